"""Hundreds of requests generated from the OpenAPI document; `make test-long` generates thousands."""

from pathlib import Path

import httpx

from tests.contract.client import new_account
from tests.support.schemathesis_run import run_schemathesis


def test_every_response_matches_the_openapi_document(
    base_url: str, client: httpx.Client, tmp_path: Path
) -> None:
    # An account of its own, because wrong current passwords among the inputs exhaust its rate limit.
    token = new_account(client).token
    assert run_schemathesis(base_url, token, tmp_path, examples=5, phases="coverage,fuzzing") > 200
