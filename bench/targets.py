"""What is compared: this project's functions, a no-op, the floor, and FastAPI."""

import json
import platform
import shutil
import time
from pathlib import Path
from typing import Final, NamedTuple

import jwt

from bench import stage
from bench.stage import BUILD, Package
from bench.workload import SESSION
from common.keys import Key
from common.tokens import Principal, sign

NOOP: Final = "no-op"
FLOOR: Final = "floor"
PEER: Final = "FastAPI"
PROJECT: Final = "project"
UVICORN: Final = "uvicorn"
AUTHORIZER: Final = "authorizer"
# The project's functions that serve resources, each a package of its name.
RESOURCES: Final = ("users", "posts", "votes", "auth")

KEY: Final = Key("2026-01", "0123456789abcdef0123456789abcdef")
LIFETIME_SECONDS: Final = 24 * 60 * 60
SOURCES: Final = Path(__file__).parent
LAYER: Final = "CommonLayerX86" if platform.machine() in {"x86_64", "AMD64"} else "CommonLayerArm"

# What pip would be asked for, to deploy each.
NEEDS: Final = {
    NOOP: (),
    FLOOR: ("pg8000", "bcrypt"),
    PEER: (
        "fastapi", "mangum", "sqlalchemy", "psycopg2-binary", "pyjwt", "bcrypt", "email-validator",
        "python-multipart",
    ),
}  # fmt: skip
DIRECTORIES: Final = {NOOP: "noop", FLOOR: "floor", PEER: "peer"}


class Target(NamedTuple):
    """A function that is compared, with bytecode and without."""

    name: str
    compiled: Package
    plain: Package
    # As each is built: the project with bytecode, the others without.
    zipped_mb: float


def build() -> dict[str, Target]:
    """Build everything from this working tree into .build/bench; return the targets by name."""
    shutil.rmtree(BUILD, ignore_errors=True)
    stage.add_bytecode(stage.install(["awslambdaric"], stage.CLIENT))
    layer = stage.make(f"build-{LAYER}", BUILD / "layer")
    targets = [_other(name) for name in DIRECTORIES]
    for package in (*RESOURCES, "apidocs"):
        task = stage.make(f"build-{package.capitalize()}Function", BUILD / package)
        targets.append(_target(package, Package(f"{package}.handler.handler", task, layer / "python")))
        if package == "auth":
            targets.append(_target(AUTHORIZER, Package("auth.authorizer.handler", task, layer / "python")))
    return {target.name: target for target in targets}


def variables(database_url: str) -> dict[str, str]:
    """Return the environment variables of every target; each reads those that it knows."""
    return {
        "STAGE": "local",
        "DATABASE_URL": database_url,
        "CORS_ORIGIN": "http://localhost:5173",
        "JWT_KEYS": json.dumps({KEY.kid: KEY.secret}),
        "TOKEN_LIFETIME": "1800",
        "POWERTOOLS_SERVICE_NAME": "social",
        "POWERTOOLS_METRICS_NAMESPACE": "social",
        "POWERTOOLS_LOG_LEVEL": "INFO",
        "SECRET_KEY": KEY.secret,
    }


def token(target: str) -> str:
    """Return an access token of user 1 that the target takes: FastAPI's tutorial knows no audience."""
    if target == PEER:
        claims = {"user_id": 1, "exp": int(time.time()) + LIFETIME_SECONDS}
        return jwt.encode(claims, KEY.secret, algorithm="HS256")
    return sign(Principal(1, SESSION), KEY, lifetime=LIFETIME_SECONDS)


def _other(name: str) -> Target:
    directory = BUILD / DIRECTORIES[name]
    shutil.copytree(SOURCES / DIRECTORIES[name], directory / "task")
    layer = stage.install(NEEDS[name], directory / "layer")
    return _target(name, Package("app.handler", directory / "task", layer))


def _target(name: str, package: Package) -> Target:
    handler, task, layer = package
    return Target(
        name,
        compiled=Package(handler, stage.compiled(task), stage.compiled(layer)),
        plain=Package(handler, stage.plain(task), stage.plain(layer)),
        zipped_mb=stage.zipped_mb(task) + stage.zipped_mb(layer),
    )
