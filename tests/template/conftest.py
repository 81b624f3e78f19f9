"""The stacks of the stages."""

import pytest

from tests.template.stack import Stack

# The parameters of a stack that sends mail.
MAIL = {"MailFrom": "app@mail.example.com", "AppUrl": "https://app.example.com/account"}


@pytest.fixture(scope="session")
def dev() -> Stack:
    """Return the stack of dev."""
    return Stack("dev")


@pytest.fixture(scope="session")
def prod() -> Stack:
    """Return the stack of prod."""
    return Stack("prod")


@pytest.fixture(scope="session")
def mailing() -> Stack:
    """Return the stack of prod, which sends mail."""
    return Stack("prod", **MAIL)


@pytest.fixture(scope="session", params=["dev", "staging", "prod"])
def stack(request: pytest.FixtureRequest) -> Stack:
    """Return the stack of each stage in turn."""
    return Stack(request.param)
