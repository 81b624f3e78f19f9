"""The API compared with a simple model of it, for longer than in `make test`."""

import hypothesis
import pytest
from hypothesis.stateful import run_state_machine_as_test

from common import passwords
from tests.support.database import PASSWORD_HASH, Database
from tests.support.model import Api


def test_the_api_agrees_with_a_model_of_it_for_long(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "BCRYPT_COST", 4)
    monkeypatch.setattr(passwords, "DUMMY_HASH", PASSWORD_HASH)
    settings = hypothesis.settings(
        max_examples=400, stateful_step_count=60, suppress_health_check=list(hypothesis.HealthCheck)
    )
    run_state_machine_as_test(lambda: Api(database), settings=settings)  # type: ignore[arg-type]  # a factory will do
