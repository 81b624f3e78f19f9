"""The API behaves like a simple model of it in any sequence of requests."""

import hypothesis
import pytest
from hypothesis.stateful import run_state_machine_as_test

from tests.support.database import Database
from tests.support.model import Api


@pytest.mark.usefixtures("_cheap_hashes")
def test_the_api_agrees_with_a_model_of_it(database: Database) -> None:
    settings = hypothesis.settings(max_examples=15, stateful_step_count=40)
    run_state_machine_as_test(lambda: Api(database), settings=settings)  # type: ignore[arg-type]  # a factory works, too
