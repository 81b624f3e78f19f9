"""The check of revisions accepts only what the code before and after it can work with."""

import runpy
from collections.abc import Callable
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


Lint = Callable[..., tuple[int, str]]
check_revisions: Callable[[], int] = runpy.run_path(str(ROOT / "scripts/lint_revisions.py"))["main"]


@pytest.fixture
def lint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Lint:
    """Return a function that checks one revision without others, and returns the exit code and the output."""

    def check(step: str, waiver: str = "") -> tuple[int, str]:
        versions = tmp_path / "migrations" / "versions"
        versions.mkdir(parents=True, exist_ok=True)
        for name in ("env.py", "script.py.mako"):
            (versions.parent / name).write_text((ROOT / "migrations" / name).read_text())
        (versions / "next.py").write_text(REVISION.format(step=step, waiver=waiver))
        monkeypatch.chdir(tmp_path)
        return check_revisions(), capfd.readouterr().out

    return check


def test_two_revisions_that_follow_the_same_one_are_rejected(lint: Lint, tmp_path: Path) -> None:
    other = tmp_path / "migrations/versions/other.py"
    other.parent.mkdir(parents=True)
    other.write_text(REVISION.format(step="", waiver="").replace('"next"', '"other"'))
    code, output = lint("op.drop_table('posts')")
    assert code == 1
    assert sorted(output.split()[:3:2]) == ["next.py", "other.py"]


@pytest.mark.parametrize(("rule", "step"), DANGERS.items())
def test_a_revision_that_breaks_the_older_code_is_rejected(lint: Lint, rule: str, step: str) -> None:
    code, output = lint(step)
    assert code == 1
    assert rule in output


@pytest.mark.parametrize(("rule", "step"), DANGERS.items())
def test_a_revision_can_waive_a_rule(lint: Lint, rule: str, step: str) -> None:
    code, output = lint(step, f'SQUAWK = ["{rule}"]')
    assert code == 0, output


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
def test_a_revision_that_the_older_code_can_ignore_is_accepted(lint: Lint, step: str) -> None:
    code, output = lint(step)
    assert code == 0, output
