"""Checks the SQL of each revision for statements that block, or break, the code that still runs beside it.

Usage: lint_revisions.py

The rules are those of squawk: https://squawkhq.com/docs/rules. A revision can waive a rule. It names the rule
and the reason in a list: `SQUAWK = ["ban-drop-column"]  # unused since 2026-12`.
"""

import io
import subprocess
import sys
import sysconfig
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import Script, ScriptDirectory

MIGRATIONS = Path("migrations")
# Rules that do not apply here, each with the reason.
EXCLUDED = {
    "prefer-bigint-over-int": "the contract says INTEGER",
    "prefer-identity": "alembic writes SERIAL, as the reference does",
    "prefer-robust-stmts": "a revision is one transaction",
    "prefer-text-field": "the contract says VARCHAR",
    "require-lock-timeout": "migrations/runner.py sets it",
    "require-statement-timeout": "migrations/runner.py sets it",
}


def main() -> int:
    """Check every revision; return 1 if one breaks a rule, or if two follow the same one."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    directory = ScriptDirectory.from_config(config)
    heads = [Path(head.path).name for head in directory.get_revisions("heads")]
    if len(heads) > 1:
        sys.stdout.write(
            f"{' and '.join(heads)} end two chains: let the newer one follow the other (down_revision)\n"
        )
        return 1
    return max([_check(config, revision) for revision in directory.walk_revisions()])


def _check(config: Config, revision: Script) -> int:
    config.output_buffer = io.StringIO()
    before = revision.down_revision or "base"
    command.upgrade(config, f"{before}:{revision.revision}", sql=True)
    waived = [*EXCLUDED, *getattr(revision.module, "SQUAWK", [])]
    options = ["--pg-version=17.0", f"--exclude={','.join(waived)}"]
    sql = config.output_buffer.getvalue()
    squawk = Path(sysconfig.get_path("scripts"), "squawk")
    done = subprocess.run(  # noqa: S603  # a program of this environment
        [squawk, *options, "--stdin-filepath", Path(revision.path).with_suffix(".sql").name],
        input=sql,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.stdout.write(done.stdout)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
