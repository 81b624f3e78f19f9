"""Hundreds of requests made from the OpenAPI document; `make test-long` makes thousands."""

from pathlib import Path

import httpx

from tests.contract.client import new_account
from tests.support.schemathesis_run import run_schemathesis


def test_every_response_matches_the_openapi_document(
    base_url: str, client: httpx.Client, tmp_path: Path
) -> None:
    # An account of its own: wrong current passwords among the inputs throttle it, as they should.
    token = new_account(client).token
    assert run_schemathesis(base_url, token, tmp_path, examples=5, phases="coverage,fuzzing") > 200
