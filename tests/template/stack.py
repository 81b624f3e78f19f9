"""The stack that template.yaml becomes with the parameters of a stage, without an account to deploy it to."""

import re
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from local.gateway.intrinsics import Resolver
from local.gateway.translation import Template, parameter_values, read_template, translate

ROOT = Path(__file__).parents[2]
TEMPLATE = read_template(ROOT / "template.yaml")
# The functions that the API invokes. Only these have the alias `live` that shifts traffic to new versions.
LIVE = tuple(
    name
    for name, resource in TEMPLATE["Resources"].items()
    if resource["Type"] == "AWS::Serverless::Function" and "DeploymentPreference" in resource["Properties"]
)

Resource = dict[str, Any]
IntrinsicFunction = Callable[[Any], object]

_REGION = "eu-central-1"
_PSEUDO_PARAMETERS = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": _REGION,
    "AWS::StackName": "social",
    "AWS::URLSuffix": "amazonaws.com",
}
# Attributes that the template splits into parts.
_ATTRIBUTES = {"Proxy.DBProxyArn": f"arn:aws:rds:{_REGION}:123456789012:db-proxy:prx-1"}
_VARIABLE = re.compile(r"\$\{([^!}]+)\}")
_NO_VALUE = object()


class Stack:
    """The resources of a stage, by logical id, with intrinsic functions resolved.

    A reference to a resource is its logical id, to a layer an ARN, and an attribute is `Resource.Attribute`.
    The stack is named `social`. `parameters` are the values from samconfig.toml, with `changes`.
    """

    def __init__(self, stage: str, **changes: str) -> None:
        self.parameters = parameter_values(TEMPLATE, {**overrides(stage), **changes})
        self._values = {**_PSEUDO_PARAMETERS, **_ATTRIBUTES, **self.parameters}
        self._conditions = Resolver(self.parameters, {}, TEMPLATE["Conditions"])
        self._values |= {
            name: layer_version(name)
            for name, resource in _translated(stage)["Resources"].items()
            if resource["Type"] == "AWS::Lambda::LayerVersion"
        }
        self._functions: dict[str, IntrinsicFunction] = {
            "Ref": self._ref,
            "Fn::FindInMap": self._find_in_map,
            "Fn::GetAtt": lambda argument: self._value(".".join(argument)),
            "Fn::GetAZs": lambda _: [f"{_REGION}{zone}" for zone in "abc"],
            "Fn::If": self._if,
            "Fn::Join": lambda argument: argument[0].join(self._resolve(argument[1])),
            "Fn::Select": lambda argument: self._resolve(argument[1])[int(argument[0])],
            "Fn::Split": lambda argument: self._resolve(argument[1]).split(argument[0]),
            "Fn::Sub": self._sub,
        }
        self.resources: dict[str, Resource] = {
            name: self._resolve(resource)
            for name, resource in _translated(stage)["Resources"].items()
            if "Condition" not in resource or self._conditions.holds(resource["Condition"])
        }

    def of_type(self, kind: str) -> dict[str, Resource]:
        """Return the properties of the resources of a type, by logical id."""
        return {
            name: resource.get("Properties", {})
            for name, resource in self.resources.items()
            if resource["Type"] == kind
        }

    def properties(self, name: str) -> Resource:
        """Return the properties of one resource."""
        properties: Resource = self.resources[name]["Properties"]
        return properties

    def _resolve(self, node: Any) -> Any:  # noqa: ANN401  # any node of a template
        if isinstance(node, list):
            return [item for item in map(self._resolve, node) if item is not _NO_VALUE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            [(name, argument)] = node.items()
            if name in self._functions:
                return self._functions[name](argument)
        resolved = {key: self._resolve(item) for key, item in node.items()}
        return {key: item for key, item in resolved.items() if item is not _NO_VALUE}

    def _ref(self, name: str) -> object:
        if name == "AWS::NoValue":
            return _NO_VALUE
        return self._value(name)

    def _if(self, argument: list[Any]) -> object:
        condition, then, otherwise = argument
        return self._resolve(then if self._conditions.holds(condition) else otherwise)

    def _sub(self, argument: str | list[Any]) -> str:
        text, variables = argument if isinstance(argument, list) else (argument, {})
        own = self._resolve(variables)
        return _VARIABLE.sub(lambda match: own.get(match[1]) or self._value(match[1]), text)

    def _find_in_map(self, argument: list[Any]) -> object:
        name, *keys = self._resolve(argument)
        return TEMPLATE["Mappings"][name][keys[0]][keys[1]]

    def _value(self, name: str) -> str:
        return self._values.get(name, name)


def overrides(stage: str) -> dict[str, str]:
    """Return the parameters of a stage in samconfig.toml."""
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    return dict(pair.split("=", 1) for pair in config[stage]["deploy"]["parameters"]["parameter_overrides"])


def layer_version(name: str) -> str:
    """Return the ARN of a layer version, with its logical id in the place of the number."""
    return f"arn:aws:lambda:{_REGION}:123456789012:layer:layer:{name}"


def policy(*statements: Resource) -> Resource:
    """Return a policy document with these statements."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


@cache
def _translated(stage: str) -> Template:
    return translate(TEMPLATE, parameter_values(TEMPLATE, overrides(stage)), _REGION)
