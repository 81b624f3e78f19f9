"""Checks the parameters of a deployment against the Rules of the template, before anything is built.

Usage: check_parameters.py STAGE [argument of `sam deploy` ...]

The parameters are those of the stage in samconfig.toml or, because `sam deploy` prefers them, those after
--parameter-overrides. The exit code is 1 if a rule rejects them; standard error says what to set. Otherwise,
standard output has the arguments with which `sam build` builds nothing that this deployment does not create:
`sam build` itself ignores conditions.
"""

import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from local.gateway.intrinsics import Resolver
from local.gateway.translation import Template, parameter_values, read_template

ROOT = Path(__file__).parents[1]


def main() -> int:
    """Check the parameters that the arguments name."""
    stage, *arguments = sys.argv[1:]
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    if stage not in config:
        sys.stderr.write(f"error: samconfig.toml has no stage {stage!r}\n")
        return 1
    overrides = overrides_in(arguments) or overrides_in(
        ["--parameter-overrides", *config[stage]["deploy"]["parameters"]["parameter_overrides"]]
    )
    template = read_template(ROOT / "template.yaml")
    parameters = parameter_values(template, overrides)
    messages = broken_rules(template, parameters)
    for message in messages:
        sys.stderr.write(f"error: {message}\n")
    if messages:
        sys.stderr.write(f"Add the values to `parameter_overrides` of [{stage}] in samconfig.toml.\n")
        return 1
    sys.stdout.write(" ".join(f"--exclude={name}" for name in not_created(template, parameters)))
    return 0


def overrides_in(arguments: Sequence[str]) -> dict[str, str]:
    """Return the parameters after --parameter-overrides in the arguments of `sam deploy`."""
    values: dict[str, str] = {}
    is_inside = False
    for argument in arguments:
        if argument.startswith("--"):
            is_inside = argument == "--parameter-overrides"
        elif is_inside:
            name, _, value = argument.partition("=")
            values[name] = value
    return values


def broken_rules(template: Template, parameters: Mapping[str, str]) -> list[str]:
    """Return the descriptions of the assertions in `Rules` that the parameters do not meet."""
    resolver = Resolver(parameters, {}, {})
    return [
        assertion["AssertDescription"]
        for rule in template["Rules"].values()
        if resolver.resolve(rule["RuleCondition"])
        for assertion in rule["Assertions"]
        if not resolver.resolve(assertion["Assert"])
    ]


def not_created(template: Template, parameters: Mapping[str, str]) -> list[str]:
    """Return the names of what the template builds on a condition that the parameters do not meet."""
    resolver = Resolver(parameters, {}, template["Conditions"])
    return [
        name
        for name, resource in template["Resources"].items()
        if "BuildMethod" in resource.get("Metadata", {})
        and "Condition" in resource
        and not resolver.holds(resource["Condition"])
    ]


if __name__ == "__main__":
    sys.exit(main())
