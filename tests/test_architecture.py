"""Which modules a function imports during init. The import contracts are in pyproject.toml."""

import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest
import yaml

from tests.support.lambdas import TemplateLoader

ROOT = Path(__file__).parents[1]
FUNCTIONS = sorted(path.parent.name for path in ROOT.glob("functions/*/handler.py"))
PATH = [str(ROOT / "functions"), str(ROOT / "layers/common/python")]

DATABASE = {"sqlalchemy", "pg8000"}
FRAMEWORK = {"aws_lambda_powertools", "pydantic"}
# Lambda provides them. Importing them takes longer than importing all of our modules.
SDK = {"boto3", "botocore.session", "aws_xray_sdk"}


@cache
def imported_by(module: str) -> set[str]:
    """Return the modules that a new interpreter has loaded after it imported this one."""
    # PyJWT imports cryptography if it is installed. It is installed here, but not in the layer.
    program = (
        f"import sys; sys.path[:0] = {PATH}; sys.modules['cryptography'] = None;"
        f" import {module}; print(*sys.modules)"
    )
    finished = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True
    )
    return set(finished.stdout.split())


def test_the_authorizer_imports_no_database_and_no_framework() -> None:
    loaded = imported_by("auth.authorizer")
    assert "jwt" in loaded
    # Deployed, it fetches the keys during init, and so imports http.client and ssl anyway.
    assert loaded & (DATABASE | FRAMEWORK | SDK | {"bcrypt", "email_validator"}) == set()


def test_the_rotation_of_keys_imports_no_database_and_no_framework() -> None:
    assert (
        imported_by("auth.rotation") & (DATABASE | FRAMEWORK | {"bcrypt", "email_validator"} | SDK) == set()
    )


@pytest.mark.parametrize("function", [name for name in FUNCTIONS if name not in {"auth", "users"}])
def test_a_function_without_passwords_imports_no_hashing(function: str) -> None:
    loaded = imported_by(f"{function}.handler")
    assert "aws_lambda_powertools" in loaded
    assert loaded & {"bcrypt", "email_validator", "jwt"} == set()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_function_imports_what_only_some_requests_need(function: str) -> None:
    assert imported_by(f"{function}.handler") & ({"email_validator"} | SDK) == set()


def test_every_list_of_functions_is_complete() -> None:
    template = yaml.load((ROOT / "template.yaml").read_text(), TemplateLoader)
    packages = [
        resource["Properties"]["Handler"].partition(".")[0]
        for resource in template["Resources"].values()
        if "Events" in resource.get("Properties", {})
    ]
    assert sorted(packages) == FUNCTIONS
    imports = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    assert set(imports["root_packages"]) >= set(FUNCTIONS)
    for contract in imports["contracts"]:
        for names in (value for value in contract.values() if isinstance(value, list)):
            named = {name.partition(".")[0] for name in names} & set(FUNCTIONS)
            # The exception is a contract about the modules of one function.
            assert len(named) <= 1 or named == set(FUNCTIONS), contract["name"]
