"""What a function brings along when it starts; who may import whom stands in pyproject.toml."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PATH = [str(ROOT / "functions"), str(ROOT / "layers/common/python")]

DATABASE = {"sqlalchemy", "pg8000"}
FRAMEWORK = {"aws_lambda_powertools", "pydantic"}
SLOW = {"bcrypt", "email_validator", "http.client", "ssl"}
# Lambda has them, and they take longer to import than all of ours.
SDK = {"boto3", "botocore.session", "aws_xray_sdk"}


def imported_by(module: str) -> set[str]:
    """Return the modules that are loaded once a new interpreter has imported one."""
    # PyJWT takes cryptography along where it finds it: among the tools here, but not in the layer.
    program = (
        f"import sys; sys.path[:0] = {PATH}; sys.modules['cryptography'] = None;"
        f" import {module}; print(*sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    return set(answer.stdout.split())


def test_the_authorizer_brings_no_database_and_no_framework() -> None:
    loaded = imported_by("auth.authorizer")
    assert "jwt" in loaded
    assert loaded & (DATABASE | FRAMEWORK | SLOW | SDK) == set()


def test_the_renewal_of_keys_brings_no_database_and_no_framework() -> None:
    assert (
        imported_by("auth.rotation") & (DATABASE | FRAMEWORK | {"bcrypt", "email_validator"} | SDK) == set()
    )


@pytest.mark.parametrize("function", ["posts", "votes", "apidocs"])
def test_a_function_that_knows_no_password_brings_no_hashing(function: str) -> None:
    loaded = imported_by(f"{function}.handler")
    assert "aws_lambda_powertools" in loaded
    assert loaded & {"bcrypt", "email_validator", "jwt"} == set()


@pytest.mark.parametrize("function", ["users", "posts", "votes", "auth", "apidocs"])
def test_no_function_brings_what_only_some_requests_need(function: str) -> None:
    assert imported_by(f"{function}.handler") & ({"email_validator"} | SDK) == set()
