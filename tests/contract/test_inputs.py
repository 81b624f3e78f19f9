"""Hundreds of requests made from the OpenAPI document; `make test-long` makes thousands."""

from pathlib import Path

from tests.contract.client import Account
from tests.inputs import send_inputs


def test_every_answer_is_one_that_the_document_describes(base_url: str, ada: Account, tmp_path: Path) -> None:
    assert send_inputs(base_url, ada.token, tmp_path, examples=5, phases="coverage,fuzzing") > 200
