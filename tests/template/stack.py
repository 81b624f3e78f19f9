"""The stack that template.yaml becomes with the parameters of a stage, without an account to deploy it to."""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from local.gateway.intrinsics import Resolver
from local.gateway.translation import parameter_values, read_template, translate

ROOT = Path(__file__).parents[2]
NO_VALUE = {"Ref": "AWS::NoValue"}
TEMPLATE = read_template(ROOT / "template.yaml")
# The functions that the API invokes, and no other, shift their traffic to new versions.
LIVE = tuple(
    name
    for name, resource in TEMPLATE["Resources"].items()
    if resource["Type"] == "AWS::Serverless::Function" and "DeploymentPreference" in resource["Properties"]
)

Resource = dict[str, Any]


def overrides(stage: str) -> dict[str, str]:
    """Return what samconfig.toml says of a stage's parameters."""
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    return dict(pair.split("=", 1) for pair in config[stage]["deploy"]["parameters"]["parameter_overrides"])


class Stack:
    """The resources of one stage, as CloudFormation would make them."""

    def __init__(self, stage: str, **changes: str) -> None:
        self.parameters = parameter_values(TEMPLATE, {**overrides(stage), **changes})
        translated = translate(TEMPLATE, self.parameters, "eu-central-1")
        self._resolver = Resolver(self.parameters, {}, translated["Conditions"])
        self.resources: dict[str, Resource] = {
            name: self._chosen(resource)
            for name, resource in translated["Resources"].items()
            if "Condition" not in resource or self._resolver.holds(resource["Condition"])
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

    def value(self, node: object) -> str:
        """Return a value with the parameters in it filled in."""
        return str(self._resolver.resolve(node))

    def _chosen(self, node: Any) -> Any:  # noqa: ANN401  # whatever a template holds
        """Return a part of the template with each choice made, and nothing else resolved."""
        if isinstance(node, list):
            return [item for item in map(self._chosen, node) if item != NO_VALUE]
        if not isinstance(node, dict):
            return node
        if list(node) == ["Fn::If"]:
            condition, then, otherwise = node["Fn::If"]
            return self._chosen(then if self._resolver.holds(condition) else otherwise)
        chosen = {key: self._chosen(item) for key, item in node.items()}
        return {key: item for key, item in chosen.items() if item != NO_VALUE}


def statements(role: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Go through the statements of a role's own policies, with their actions as a list."""
    for policy in role.get("Policies", []):
        for statement in policy["PolicyDocument"]["Statement"]:
            actions = statement["Action"]
            yield {**statement, "Action": actions if isinstance(actions, list) else [actions]}


def references(node: object) -> set[str]:
    """Return the names that a part of the template refers to."""
    if isinstance(node, list):
        return set().union(*map(references, node))
    if not isinstance(node, dict):
        return set()
    found = set().union(*map(references, node.values()))
    if isinstance(name := node.get("Ref"), str):
        found.add(name)
    if isinstance(attribute := node.get("Fn::GetAtt"), list):
        found.add(attribute[0])
    substituted = node.get("Fn::Sub")
    text = substituted[0] if isinstance(substituted, list) else substituted
    if isinstance(text, str):
        found |= {part.split("}")[0].split(".")[0] for part in text.split("${")[1:]}
    return found
