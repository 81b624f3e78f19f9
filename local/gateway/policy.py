"""Evaluates the policy that a Lambda authorizer returns."""

import re
from collections.abc import Mapping
from functools import lru_cache

_ACTION = "execute-api:Invoke"
_STATEMENT_ELEMENTS = frozenset({"Sid", "Effect", "Action", "Resource"})


class PolicyError(Exception):
    """API Gateway would not accept the policy, or it has elements that are not supported here."""


def allows(document: object, method_arn: str) -> bool:
    """Tell whether a policy document allows the invocation of a method.

    A Deny overrides every Allow, and a method that no statement allows is denied. Raises `PolicyError`.
    """
    statements = document.get("Statement") if isinstance(document, Mapping) else None
    effects = {
        statement["Effect"]
        for statement in map(_checked, _as_list(statements))
        if _matches(statement, "Action", _ACTION) and _matches(statement, "Resource", method_arn)
    }
    return effects == {"Allow"}


def _checked(statement: object) -> Mapping[str, object]:
    if not isinstance(statement, Mapping) or not statement.keys() <= _STATEMENT_ELEMENTS:
        raise PolicyError(f"a statement has elements other than {', '.join(sorted(_STATEMENT_ELEMENTS))}")
    if statement.get("Effect") not in {"Allow", "Deny"}:
        raise PolicyError(f"a statement's Effect is {statement.get('Effect')!r}")
    return statement


def _matches(statement: Mapping[str, object], element: str, value: str) -> bool:
    return any(_pattern(pattern, element).fullmatch(value) for pattern in _as_list(statement.get(element)))


@lru_cache
def _pattern(pattern: object, element: str) -> re.Pattern[str]:
    """Compile a pattern, in which `*` is any text and `?` any character. Actions ignore letter case."""
    if not isinstance(pattern, str):
        raise PolicyError(f"a statement's {element} is {pattern!r}")
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(expression, re.DOTALL | (re.IGNORECASE if element == "Action" else 0))


def _as_list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]
