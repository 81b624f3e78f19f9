"""Requests that schemathesis makes from the OpenAPI document, valid and not, with all its checks."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run_schemathesis(url: str, token: str, report: Path, *, examples: int, phases: str) -> int:
    """Send so many requests an operation to an API and return how many it were in all; no check may fail."""
    run = subprocess.run(
        [
            *(
                Path(sys.executable).with_name("schemathesis"),
                "--config-file",
                ROOT / "tests/support/schemathesis.toml",
            ),
            *("run", ROOT / "docs/openapi.json", "--url", url, "--header", f"Authorization: Bearer {token}"),
            # A path that does not have a method is 404, as a REST API of API Gateway responses, not 405.
            # It is an error like any: a check of ours makes sure of that.
            *("--checks", "all", "--exclude-checks", "unsupported_method"),
            *("--max-examples", str(examples), "--phases", phases, "--workers", "2"),
            *("--generation-database", "none", "--continue-on-failure", "--no-color"),
        ],
        cwd=report,
        env=os.environ | {"SCHEMATHESIS_HOOKS": str(ROOT / "tests/support/schemathesis_checks.py")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    [number] = re.findall(r"(\d+) generated", run.stdout)
    return int(number)
