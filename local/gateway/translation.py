"""Translates SAM templates to CloudFormation with AWS's own translator, offline."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from samtranslator.model.exceptions import InvalidDocumentException  # type: ignore[import-untyped]
from samtranslator.parser.parser import Parser  # type: ignore[import-untyped]
from samtranslator.translator.translator import Translator  # type: ignore[import-untyped]
from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]
from yaml import YAMLError

from local.gateway.errors import TemplateError

Template = dict[str, Any]
"""A template as a mapping: `Parameters`, `Conditions`, `Resources` and so on."""

_UPLOADED_CODE = "s3://bucket/code"
# The log of the translator does not help the author of a template.
logging.getLogger("samtranslator").addHandler(logging.NullHandler())


def read_template(path: Path) -> Template:
    """Return the SAM template in a file, with intrinsic functions in their long form (`{"Ref": "Stage"}`).

    Raises `TemplateError` when the file cannot be read or is not a YAML mapping with resources.
    """
    try:
        # JSON copies every object. With YAML anchors, two places share an object, and the translator edits
        # objects in place.
        template = json.loads(json.dumps(yaml_parse(path.read_text("utf-8")), default=str))
    except (OSError, ValueError, YAMLError) as error:
        raise TemplateError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    if not isinstance(template, dict) or not isinstance(template.get("Resources"), dict):
        raise TemplateError(f"{path} is not a valid SAM template: it has no Resources")
    return template


def parameter_values(template: Template, overrides: Mapping[str, str]) -> dict[str, str]:
    """Return the values of the template's parameters: their defaults, and overrides by name."""
    declared = template.get("Parameters") or {}
    defaults = {name: as_text(parameter.get("Default", "")) for name, parameter in declared.items()}
    return defaults | dict(overrides)


def translate(template: Template, parameters: Mapping[str, str], region: str) -> Template:
    """Return the CloudFormation template that a deployment with these parameters would use.

    Raises `TemplateError` when the translator rejects the template.
    """
    copy = json.loads(json.dumps(template))
    blocks = [resource.get("Properties") or {} for resource in copy["Resources"].values()]
    for properties in [*blocks, *(copy.get("Globals") or {}).values()]:
        # The translator accepts only code that has been uploaded, which `sam deploy` does first.
        for key in {"CodeUri", "ContentUri"} & properties.keys():
            properties[key] = _UPLOADED_CODE
    # The translator reads only the region of the AWS session.
    translator = Translator(None, Parser(), boto_session=SimpleNamespace(region_name=region))
    try:
        translated: Template = translator.translate(copy, dict(parameters), get_managed_policy_map=dict)
    except InvalidDocumentException as error:
        causes = "; ".join(cause.message for cause in error.causes)
        raise TemplateError(f"not a valid SAM template: {causes}") from error
    return translated


def as_text(value: object) -> str:
    """Return a scalar as the string that CloudFormation passes on: `true` becomes "true", 5 becomes "5"."""
    return value if isinstance(value, str) else json.dumps(value)
