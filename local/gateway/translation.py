"""Translates SAM templates to CloudFormation with AWS's own translator, offline."""

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import samtranslator  # type: ignore[import-untyped]
import yaml
from samtranslator.yaml_helper import intrinsics_multi_constructor  # type: ignore[import-untyped]

from local.gateway.errors import TemplateError

Template = dict[str, Any]
"""A template as a mapping: `Parameters`, `Conditions`, `Resources` and so on."""

_UPLOADED_CODE = "s3://bucket/code"
# The log of the translator does not help the author of a template.
logging.getLogger("samtranslator").addHandler(logging.NullHandler())


class _Loader(yaml.CSafeLoader):
    """Reads YAML ten times as fast as the translator's own loader, which is written in Python."""


_Loader.add_multi_constructor("!", intrinsics_multi_constructor)


def read_template(path: Path) -> Template:
    """Return the SAM template in a file, with intrinsic functions in their long form (`{"Ref": "Stage"}`).

    Raises `TemplateError` when the file cannot be read or is not a YAML mapping with resources.
    """
    try:
        # JSON copies every object. With YAML anchors, two places share an object, and the translator edits
        # objects in place.
        read = yaml.load(path.read_text("utf-8"), _Loader)  # noqa: S506 - it derives from a safe loader
        template = json.loads(json.dumps(read, default=str))
    except (OSError, ValueError, yaml.YAMLError) as error:
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
    # Importing the translator takes a second, in which `make dev` would not be ready.
    from samtranslator.model.exceptions import (  # type: ignore[import-untyped]  # noqa: PLC0415
        InvalidDocumentException,
    )
    from samtranslator.parser.parser import Parser  # type: ignore[import-untyped]  # noqa: PLC0415
    from samtranslator.translator.translator import (  # type: ignore[import-untyped]  # noqa: PLC0415
        Translator,
    )

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


def translate_once(
    template: Template, parameters: Mapping[str, str], region: str, directory: Path
) -> Template:
    """Return what `translate` returns, from a file in `directory` if the last call had the same arguments.

    Translating takes more than a second with the import of the translator, and a template seldom changes.
    """
    file = directory / "translated.json"
    arguments = json.dumps([samtranslator.__version__, region, template, dict(parameters)])
    key = hashlib.sha256(arguments.encode()).hexdigest()
    # The file is only a copy: a missing or damaged one is written again, and without one nothing is lost.
    with suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads(file.read_text("utf-8"))
        if kept["key"] == key:
            translated: Template = kept["template"]
            return translated
    translated = translate(template, parameters, region)
    with suppress(OSError):
        directory.mkdir(exist_ok=True)
        partial = file.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps({"key": key, "template": translated}), "utf-8")
        partial.replace(file)
    return translated


def as_text(value: object) -> str:
    """Return a scalar as the string that CloudFormation passes on: `true` becomes "true", 5 becomes "5"."""
    return value if isinstance(value, str) else json.dumps(value)
