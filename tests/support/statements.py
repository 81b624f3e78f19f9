"""The statements of the functions and the layer."""

import importlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from common.database import Statement
from posts.paging import FIRST_PAGE
from tests.support.database import PASSWORD_HASH, principal_of

ROOT = Path(__file__).parents[2]
DECLARATION = "from common.statement import statement"


def statements() -> Iterator[tuple[str, Statement[..., Any]]]:
    """Return every statement of the functions and the layer by the name of its module and its own."""
    for path in sorted([*ROOT.glob("functions/*/*.py"), *ROOT.glob("layers/common/python/common/*.py")]):
        if DECLARATION in path.read_text():
            module = importlib.import_module(f"{path.parent.name}.{path.stem}")
            for name, value in vars(module).items():
                if isinstance(value, Statement):
                    yield f"{module.__name__}.{name}", value


def values(name: str, viewer: int, *, post_id: int, author: int, limit: int) -> dict[str, object]:
    """Return a value for each parameter that a statement can have; `viewer` is its user."""
    after, after_id = FIRST_PAGE[
        "old" if name.endswith("_old") else "top" if name.endswith("_top") else "new"
    ]
    return {
        **principal_of(viewer)._asdict(),
        "account": "account",
        "after": after,
        "after_id": after_id,
        "author": author,
        "client": "client",
        "content": "changed",
        "email": "new@example.com",
        "fingerprint": "",
        "keep_phone_number": False,
        "key": "key",
        "limit": limit,
        "lower_case_email": "bob@example.com",
        "part": 0,
        "password": PASSWORD_HASH,
        "per_day": 1_000,
        "phone_number": None,
        "post_id": post_id,
        "published": True,
        "reserved_until": datetime.now(UTC),
        "revert_hash": "revert hash",
        "skip": 0,
        "successor_hashes": "hash",
        "target": UUID(int=0),
        "term": "post",
        "title": "changed",
        "token_hash": "hash",
        "user_agent": None,
        "verified_hash": PASSWORD_HASH,
        "verified_only": False,
    }
