"""The artefacts are complete, for the right architecture, and have bytecode that Python does not check."""

import hashlib
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sam_build.conftest import LAYER, ROOT, Build
from tests.template.stack import LIVE, Stack

FUNCTIONS = (*LIVE, "RotationFunction", "MaintenanceFunction", "MigrationFunction")
# From the header of an ELF file: https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html
MACHINE = slice(18, 20)
MACHINES = {"CommonLayerArm": b"\xb7\x00", "CommonLayerX86": b"\x3e\x00"}
# PEP 552: the flags after the magic number. Only the lowest bit means a hash that Python does not check.
UNCHECKED_HASH = b"\x01\x00\x00\x00"
ENVIRONMENT = {
    "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start",
    "AWS_REGION": "eu-central-1",
    "CORS_ORIGIN": "https://app.example.com",
    "DATABASE_URL": "postgresql://app@db.example.com/social?auth=iam",
    "JWT_KEYS": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:keys",
    "PASSWORD_POLICY": "strict",
    "POWERTOOLS_SERVICE_NAME": "social",
    "STAGE": "prod",
    "TOKEN_LIFETIME": "1800",
    "POSTS_PER_DAY": "20000",
    "PROFILE_CHANGES_PER_DAY": "2000",
    "REFRESHES_PER_DAY": "50000",
    "VOTES_PER_DAY": "500000",
}
# The paths of Lambda: the function's code, the layer and the standard library, but no installed packages.
IMPORT = """
import importlib, sys
sys.path[:0] = sys.argv[2:]
module, _, name = sys.argv[1].rpartition(".")
assert callable(getattr(importlib.import_module(module), name))
print(*(name for name in sys.modules if name.partition(".")[0] in ("sqlalchemy", "boto3", "botocore")))
"""


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_handler_needs_only_its_artefact_and_its_layer(build: Build, name: str) -> None:
    function = Stack("dev").properties(name)
    paths = [build(name)]
    if "Layers" in function:
        paths.append(build(LAYER) / "python")
    imported = subprocess.run(
        [sys.executable, "-I", "-S", "-c", IMPORT, function["Handler"], *map(str, paths)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert imported.returncode == 0, imported.stderr
    # Neither SQLAlchemy, which compiled the statements, nor the SDK is deployed: both are slow to import.
    assert (imported.stdout.strip() == "") == (name != "MigrationFunction")


@pytest.mark.parametrize("name", ["AuthFunction", "UsersFunction", "PostsFunction", "VotesFunction"])
def test_a_function_checks_its_database_settings_during_init(build: Build, name: str) -> None:
    failed = subprocess.run(
        [
            *(sys.executable, "-I", "-S", "-c", IMPORT, Stack("dev").properties(name)["Handler"]),
            *(str(build(name)), str(build(LAYER) / "python")),
        ],
        env={key: value for key, value in ENVIRONMENT.items() if key != "DATABASE_URL"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert failed.stderr.splitlines()[-1].startswith("common.settings.SettingsError: DATABASE_URL is not set")


@pytest.mark.parametrize("name", [*FUNCTIONS, LAYER])
def test_every_source_has_bytecode_that_python_does_not_check(build: Build, name: str) -> None:
    sources = list(build(name).rglob("*.py"))
    assert sources
    for source in sources:
        bytecode = Path(importlib.util.cache_from_source(str(source))).read_bytes()
        assert bytecode[:4] == importlib.util.MAGIC_NUMBER
        assert bytecode[4:8] == UNCHECKED_HASH


@pytest.mark.parametrize("name", [*FUNCTIONS, LAYER])
def test_no_bytecode_contains_the_path_of_the_build(build: Build, name: str) -> None:
    for bytecode in build(name).rglob("*.pyc"):
        assert str(ROOT).encode() not in bytecode.read_bytes()
        assert str(build(name).parent).encode() not in bytecode.read_bytes()


@pytest.mark.parametrize(("name", "machine"), MACHINES.items())
def test_a_layer_contains_only_binaries_of_its_architecture(build: Build, name: str, machine: bytes) -> None:
    binaries = list(build(name).rglob("*.so*"))
    assert binaries
    for binary in binaries:
        header = binary.read_bytes()[:20]
        assert header[:4] == b"\x7fELF"
        assert header[MACHINE] == machine, binary


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_runs_on_both_architectures(build: Build, name: str) -> None:
    assert not list(build(name).rglob("*.so*"))


def test_the_layer_validates_addresses_without_a_dns_library(build: Build) -> None:
    layer = build(LAYER) / "python"
    program = "from common.emails import normalize; print(normalize('Ada@EXAMPLE.com'))"
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(layer)!r}); {program}"]
    validated = subprocess.run(command, capture_output=True, text=True, check=True)
    assert validated.stdout == "Ada@example.com\n"
    assert not (layer / "dns").exists()


def test_the_layer_is_far_smaller_than_the_limit_of_lambda(build: Build) -> None:
    # The limit is 250 MB for a function with its layers, unzipped.
    assert sum(file.stat().st_size for file in build(LAYER).rglob("*") if file.is_file()) < 50_000_000


@pytest.mark.parametrize("name", MACHINES)
def test_a_layer_contains_the_certificates_of_every_region(build: Build, name: str) -> None:
    shipped = {path.name for path in (build(name) / "authorities").iterdir()}
    assert shipped == {path.name for path in (ROOT / "layers" / "common" / "authorities").iterdir()}


def test_the_artefact_contains_the_openapi_document(build: Build) -> None:
    document = build("ApidocsFunction") / "apidocs" / "openapi.json"
    assert not document.is_symlink()
    assert json.loads(document.read_text())["openapi"]


def test_a_changed_setting_changes_the_code(build: Build) -> None:
    expected = hashlib.sha256((ROOT / "template.yaml").read_bytes()).hexdigest()
    assert (build("UsersFunction") / "template.sha256").read_text().strip() == expected


def test_the_makefile_builds_for_the_runtime_of_the_template() -> None:
    makefile = (ROOT / "sam_build" / "Makefile").read_text()
    [version] = [line.split()[-1] for line in makefile.splitlines() if line.startswith("PYTHON_VERSION ?=")]
    template = (ROOT / "template.yaml").read_text()
    assert f"Runtime: python{version}\n" in template
    assert f"CompatibleRuntimes: [python{version}]\n" in template
