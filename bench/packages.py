"""Builds what is measured: the project's functions, a no-op, the floor and FastAPI, as Lambda unpacks them.

Each package is built twice: with bytecode and without.
"""

import json
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Final, NamedTuple

import jwt

from bench import ROOT
from common.keys import Key
from common.principal import Principal
from common.tokens import sign

NOOP: Final = "no-op"
FLOOR: Final = "floor"
FASTAPI: Final = "FastAPI"
PROJECT: Final = "project"
UVICORN: Final = "uvicorn"
AUTHORIZER: Final = "authorizer"
# The project's functions that use the database; each name is that of a package.
RESOURCES: Final = tuple(
    sorted({path.parent.name for path in ROOT.glob("functions/*/handler.py")} - {"apidocs"})
)
# For each subject that is not the project's: its directory in bench/ and the distributions that it needs.
OTHERS: Final = {
    NOOP: ("noop", ()),
    FLOOR: ("floor", ("pg8000", "bcrypt")),
    FASTAPI: (
        "fastapi_app",
        (
            "fastapi", "mangum", "sqlalchemy", "psycopg2-binary", "pyjwt", "bcrypt", "email-validator",
            "python-multipart",
        ),
    ),
}  # fmt: skip

KEY: Final = Key("2026-01", "0123456789abcdef0123456789abcdef")
LIFETIME_SECONDS: Final = 24 * 60 * 60
# The session of user 1, who sends all requests. bench/data.sql creates it.
SESSION: Final = "b3f1c9f2-6c0e-4f43-9d0a-6d4f1f0e2a55"
LAYER: Final = "CommonLayerX86" if platform.machine() in {"x86_64", "AMD64"} else "CommonLayerArm"
BUILD: Final = ROOT / ".build" / "bench"
COMPILED: Final = BUILD / "compiled"
PLAIN: Final = BUILD / "plain"
# AWS's runtime client, which Lambda's image contains with its bytecode.
CLIENT: Final = COMPILED / "client"
# The interpreter outside of this virtual environment, so that it has no other packages, as in Lambda.
PYTHON: Final = str(Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}"))


class Package(NamedTuple):
    """A deployed function: its handler, its code and its layer."""

    handler: str
    task: Path
    layer: Path


class Subject(NamedTuple):
    """A function that is measured, with bytecode and without."""

    compiled: Package
    plain: Package
    zipped_mb: float


def build() -> dict[str, Subject]:
    """Build all packages from this working tree into .build/bench; return the subjects by name."""
    shutil.rmtree(BUILD, ignore_errors=True)
    _install("client", "awslambdaric")
    subjects = {}
    for name, (directory, distributions) in OTHERS.items():
        task = shutil.copytree(ROOT / "bench" / directory, COMPILED / name / "task")
        layer = _install(f"{name}/layer", *distributions)
        _add_bytecode(task)
        # Such packages are usually deployed without bytecode.
        subjects[name] = _subject(Package("app.handler", task, layer), zip_bytecode=False)
    layer = _make(f"build-{LAYER}", COMPILED / "layer") / "python"
    for package in (*RESOURCES, "apidocs"):
        task = _make(f"build-{package.capitalize()}Function", COMPILED / package)
        subjects[package] = _subject(Package(f"{package}.handler.handler", task, layer))
        if package == "auth":
            subjects[AUTHORIZER] = _subject(Package("auth.authorizer.handler", task, layer))
    return subjects


def variables(database_url: str) -> dict[str, str]:
    """Return the environment variables of every subject; each reads those that it knows."""
    return {
        "STAGE": "local",
        "DATABASE_URL": database_url,
        "CORS_ORIGIN": "http://localhost:5173",
        "JWT_KEYS": json.dumps({KEY.kid: KEY.secret}),
        "PASSWORD_POLICY": "strict",
        "TOKEN_LIFETIME": "1800",
        "POSTS_PER_DAY": "1000000",
        "PROFILE_CHANGES_PER_DAY": "1000000",
        "REFRESHES_PER_DAY": "1000000",
        "VOTES_PER_DAY": "1000000",
        "POWERTOOLS_SERVICE_NAME": "social",
        "POWERTOOLS_METRICS_NAMESPACE": "social",
        "POWERTOOLS_LOG_LEVEL": "INFO",
        "SECRET_KEY": KEY.secret,
    }


def token(subject: str) -> str:
    """Return an access token of user 1 that the subject accepts. FastAPI's tutorial uses other claims."""
    if subject == FASTAPI:
        claims = {"user_id": 1, "exp": int(time.time()) + LIFETIME_SECONDS}
        return jwt.encode(claims, KEY.secret, algorithm="HS256")
    return sign(Principal(1, SESSION), KEY, lifetime=LIFETIME_SECONDS)


def _make(goal: str, directory: Path) -> Path:
    """Build a function or the layer of the project as `sam build` does; return its directory."""
    command = [
        "make",
        "-s",
        "-f",
        "sam_build/Makefile",
        f"PYTHON={PYTHON}",
        f"ARTIFACTS_DIR={directory}",
        goal,
    ]
    subprocess.run(command, cwd=ROOT, check=True)  # noqa: S603  # the project's own makefile
    return directory


def _install(name: str, *distributions: str) -> Path:
    """Install the locked versions of distributions, with bytecode; return their directory."""
    directory = COMPILED / name
    directory.mkdir(parents=True)
    if distributions:
        command = [
            *(str(ROOT / ".venv/bin/uv"), "pip", "install", "--quiet", "--python", sys.executable),
            *("--target", str(directory), "--constraints", str(ROOT / "requirements/bench.txt")),
        ]
        subprocess.run([*command, *distributions], check=True)  # noqa: S603  # the project's installer
        _add_bytecode(directory)
    return directory


def _add_bytecode(directory: Path) -> None:
    """Compile a directory as the project's makefile does."""
    command = [PYTHON, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", str(directory)]
    subprocess.run(command, check=True)  # noqa: S603  # the interpreter that runs this


def _subject(compiled: Package, *, zip_bytecode: bool = True) -> Subject:
    plain = Package(compiled.handler, _without_bytecode(compiled.task), _without_bytecode(compiled.layer))
    zipped = compiled if zip_bytecode else plain
    return Subject(compiled, plain, _zipped_mb(zipped.task) + _zipped_mb(zipped.layer))


def _without_bytecode(directory: Path) -> Path:
    copy = PLAIN / directory.relative_to(COMPILED)
    return shutil.copytree(directory, copy, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)


def _zipped_mb(directory: Path) -> float:
    archive = Path(shutil.make_archive(str(BUILD / "zipped"), "zip", directory))
    return archive.stat().st_size / 1e6
