"""The check of revisions: it lets through what code of before and after can live with, and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REVISION = '''"""Next."""

from alembic import op

revision = "next"
down_revision = None
branch_labels = None
depends_on = None
{waiver}


def upgrade() -> None:
    """Go on."""
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
    """Check one revision, in a project that has no other."""
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
def test_what_breaks_the_code_beside_it_is_refused(tmp_path: Path, rule: str, step: str) -> None:
    answer = lint(tmp_path, step)
    assert answer.returncode == 1
    assert rule in answer.stdout


@pytest.mark.parametrize(("rule", "step"), DANGERS.items())
def test_a_revision_may_have_a_reason(tmp_path: Path, rule: str, step: str) -> None:
    answer = lint(tmp_path, step, f'SQUAWK = ["{rule}"]')
    assert answer.returncode == 0, answer.stdout


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
def test_what_the_code_of_before_can_ignore_passes(tmp_path: Path, step: str) -> None:
    answer = lint(tmp_path, step)
    assert answer.returncode == 0, answer.stdout
