"""Resolves CloudFormation's intrinsic functions as far as that is possible without a deployment."""

import re
from collections.abc import Mapping
from typing import Any

_VARIABLE = re.compile(r"\$\{([^!][^}]*)\}")
_LITERAL = re.compile(r"\$\{!([^}]*)\}")
_NO_VALUE = object()

Node = Any
"""Any value of a template: a mapping, a list or a scalar."""


class Resolver:
    """Resolves the intrinsic functions of one template.

    `references` holds the values of `!Ref` by the name of a parameter, pseudo parameter or resource,
    `attributes` those of `!GetAtt` by "Resource.Attribute", and `conditions` the template's Conditions.
    A value that only a deployment knows (an endpoint, a secret) becomes the empty string.
    """

    def __init__(
        self,
        references: Mapping[str, object],
        attributes: Mapping[str, object],
        conditions: Mapping[str, Node],
    ) -> None:
        self._references = references
        self._attributes = attributes
        self._conditions = conditions

    def resolve(self, value: Node) -> Node:
        """Return `value` with the intrinsic functions in it replaced, at any depth."""
        resolved = self._resolve(value)
        return "" if resolved is _NO_VALUE else resolved

    def holds(self, condition: str) -> bool:
        """Tell whether a condition of the template is true; an undeclared condition is false."""
        return bool(self._resolve(self._conditions.get(condition, False)))

    def _resolve(self, value: Node) -> Node:
        if isinstance(value, list):
            items = [self._resolve(item) for item in value]
            return [item for item in items if item is not _NO_VALUE]
        if isinstance(value, str) and value.startswith("{{resolve:"):
            return ""
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            name, argument = next(iter(value.items()))
            if name in {"Ref", "Condition"} or name.startswith("Fn::"):
                return self._call(name, argument)
        entries = {key: self._resolve(item) for key, item in value.items()}
        return {key: item for key, item in entries.items() if item is not _NO_VALUE}

    def _call(self, name: str, argument: Node) -> Node:  # noqa: PLR0911 - one branch per function
        match name, argument:
            case "Ref", "AWS::NoValue":
                return _NO_VALUE
            case "Ref", str():
                return self._references.get(argument, "")
            case "Fn::GetAtt", [resource, attribute]:
                return self._attributes.get(f"{resource}.{attribute}", "")
            case "Fn::GetAtt", str():
                return self._attributes.get(argument, "")
            case "Fn::Sub", str():
                return self._substitute(argument, {})
            case "Fn::Sub", [str() as text, dict() as variables]:
                return self._substitute(text, self._resolve(variables))
            case "Fn::Join", [str() as delimiter, list() as parts]:
                return delimiter.join(str(part) for part in self._resolve(parts))
            case "Fn::If", [str() as condition, then, otherwise]:
                return self._resolve(then if self.holds(condition) else otherwise)
            case _:
                return self._evaluate_condition(name, argument)

    def _evaluate_condition(self, name: str, argument: Node) -> Node:
        match name, argument:
            case "Condition", str():
                return self.holds(argument)
            case "Fn::Equals", [left, right]:
                return str(self._resolve(left)) == str(self._resolve(right))
            case "Fn::Not", [operand]:
                return not self._resolve(operand)
            case "Fn::And", list():
                return all(self._resolve(argument))
            case "Fn::Or", list():
                return any(self._resolve(argument))
            case _:
                return ""

    def _substitute(self, text: str, variables: Mapping[str, object]) -> str:
        known = {**self._references, **self._attributes, **variables}
        filled = _VARIABLE.sub(lambda match: str(known.get(match[1].strip(), "")), text)
        return _LITERAL.sub(r"${\1}", filled)
