"""Runs schemathesis: valid and invalid requests, generated from the OpenAPI document."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run_schemathesis(url: str, token: str, report: Path, *, examples: int, phases: str) -> int:
    """Send requests to an API, with all checks; return the number of requests."""
    run = subprocess.run(
        [
            *(
                Path(sys.executable).with_name("schemathesis"),
                "--config-file",
                ROOT / "tests/support/schemathesis.toml",
            ),
            *("run", ROOT / "docs/openapi.json", "--url", url, "--header", f"Authorization: Bearer {token}"),
            # A REST API responds with 404, not 405, to an unknown method. One of our own checks covers it.
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
