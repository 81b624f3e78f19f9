"""The check of revisions accepts only what the code before and after it can work with."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REVISION = '''"""Next revision."""

from alembic import op

revision = "next"
down_revision = None
branch_labels = None
depends_on = None
{waiver}


def upgrade() -> None:
    """Change the schema."""
    {step}
'''
DANGERS = {
    "ban-drop-column": "op.drop_column('posts', 'title')",
    "renaming-column": "op.alter_column('posts', 'title', new_column_name='name')",
    "changing-column-type": "op.execute('ALTER TABLE posts ALTER COLUMN title TYPE integer')",
    "adding-required-field": "op.execute('ALTER TABLE posts ADD COLUMN rank bigint NOT NULL')",
    "require-concurrent-index-creation": "op.create_index('ix', 'posts', ['title'])",
    "constraint-missing-not-valid": "op.execute('ALTER TABLE posts ADD CONSTRAINT c CHECK (id > 0)')",
}


def lint(directory: Path, step: str, waiver: str = "") -> subprocess.CompletedProcess[str]:
    """Check one revision, in a project without others."""
    versions = directory / "migrations" / "versions"
    versions.mkdir(parents=True)
    for name in ("env.py", "script.py.mako"):
        (versions.parent / name).write_text((ROOT / "migrations" / name).read_text())
    (versions / "next.py").write_text(REVISION.format(step=step, waiver=waiver))
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / "lint_revisions.py"],
        cwd=directory,
        env={"PYTHONPATH": str(ROOT / "layers" / "common" / "python")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("rule", "step"), DANGERS.items())
def test_a_revision_that_breaks_the_older_code_is_rejected(tmp_path: Path, rule: str, step: str) -> None:
    result = lint(tmp_path, step)
    assert result.returncode == 1
    assert rule in result.stdout


@pytest.mark.parametrize(("rule", "step"), DANGERS.items())
def test_a_revision_can_waive_a_rule(tmp_path: Path, rule: str, step: str) -> None:
    result = lint(tmp_path, step, f'SQUAWK = ["{rule}"]')
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    "step",
    [
        "op.execute('ALTER TABLE posts ADD COLUMN rank bigint')",
        "op.execute('ALTER TABLE posts ADD COLUMN rank bigint NOT NULL DEFAULT 0')",
        "op.execute('CREATE TABLE ranks (id bigint PRIMARY KEY)')",
        "with op.get_context().autocommit_block():\n"
        "        op.create_index('ix', 'posts', ['title'], postgresql_concurrently=True)",
    ],
)
def test_a_revision_that_the_older_code_can_ignore_is_accepted(tmp_path: Path, step: str) -> None:
    result = lint(tmp_path, step)
    assert result.returncode == 0, result.stdout
