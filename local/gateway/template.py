"""Reads template.yaml as AWS would: through the translator that SAM deploys with, offline."""

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

from local.gateway.api import API_ID, Api
from local.gateway.errors import TemplateError
from local.gateway.intrinsics import Resolver
from local.gateway.openapi import (
    read_authorizers,
    read_binary_media_types,
    read_gateway_responses,
    read_routes,
)
from local.runtime.function import ACCOUNT, REGION, Function

# Lambda's, in seconds and megabytes.
_DEFAULT_TIMEOUT = 3
_DEFAULT_MEMORY = 128
_PLACEHOLDER = "s3://local/code"
_PSEUDO_PARAMETERS = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackName": "local",
    "AWS::URLSuffix": "amazonaws.com",
}
# The translator has nothing to say that a developer of the template could act on.
logging.getLogger("samtranslator").addHandler(logging.NullHandler())


def load_api(template: Path, overrides: Mapping[str, str]) -> Api:
    """Return the REST API that a SAM template declares, with its parameters' defaults and these overrides.

    Raises `TemplateError` when the template cannot be read or declares no REST API.
    """
    try:
        # Through JSON, so that what YAML anchors share is no longer shared: the translator edits in place.
        declared = json.loads(json.dumps(yaml_parse(template.read_text("utf-8")), default=str))
        parameters = _parameters(declared, overrides)
        return _read(_translate(declared, parameters), declared, parameters, template)
    except TemplateError:
        raise
    except (OSError, ValueError, YAMLError) as error:
        raise TemplateError(f"cannot read {template}: {' '.join(str(error).split())}") from error
    except InvalidDocumentException as error:
        causes = "; ".join(cause.message for cause in error.causes)
        raise TemplateError(f"{template} is not a valid SAM template: {causes}") from error
    except Exception as error:
        # Nothing says what else the translator raises when a template is not of the shape it expects.
        raise TemplateError(f"{template} is not a valid SAM template: {error!r}") from error


def _parameters(document: Mapping[str, Any], overrides: Mapping[str, str]) -> dict[str, Any]:
    declared = document.get("Parameters") or {}
    values = {name: parameter.get("Default", "") for name, parameter in declared.items()}
    return values | dict(overrides) | _PSEUDO_PARAMETERS


def _translate(document: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the CloudFormation template that SAM would deploy."""
    copy = json.loads(json.dumps(document))
    blocks = [resource.get("Properties") or {} for resource in copy["Resources"].values()]
    for properties in [*blocks, *copy.get("Globals", {}).values()]:
        # Deploying uploads the code first; the translator accepts only where it was uploaded to.
        for key in {"CodeUri", "ContentUri"} & properties.keys():
            properties[key] = _PLACEHOLDER
    # The region is all that the translator asks of an AWS session.
    translator = Translator(None, Parser(), boto_session=SimpleNamespace(region_name=REGION))
    translated: dict[str, Any] = translator.translate(copy, dict(parameters), get_managed_policy_map=dict)
    return translated


def _read(
    translated: Mapping[str, Any], declared: Mapping[str, Any], parameters: Mapping[str, Any], template: Path
) -> Api:
    resources = translated["Resources"]
    references = dict(parameters) | {name: name for name in [*declared["Resources"], *resources]}
    attributes: dict[str, str] = {}
    for name, resource in resources.items():
        if resource["Type"] == "AWS::Lambda::Function":
            attributes[f"{name}.Arn"] = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
        elif resource["Type"] == "AWS::Lambda::Alias":
            function = resource["Properties"]["FunctionName"]["Ref"]
            references[name] = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function}:live"
        elif resource["Type"] == "AWS::ApiGateway::RestApi":
            references[name] = API_ID
    resolver = Resolver(references, attributes, translated.get("Conditions") or {})
    present = {
        name: resource
        for name, resource in resources.items()
        if "Condition" not in resource or resolver.holds(resource["Condition"])
    }
    apis = [api for api in _of_type(present, "AWS::ApiGateway::RestApi").values() if api.get("Body")]
    if not apis:
        raise TemplateError(f"{template} declares no REST API (AWS::Serverless::Api)")
    body = resolver.resolve(apis[0]["Body"])
    stages = _of_type(present, "AWS::ApiGateway::Stage").values()
    return Api(
        stage=resolver.resolve(next(iter(stages))["StageName"]),
        routes=read_routes(body),
        functions={
            name: _function(name, resolver.resolve(properties), declared, resolver, template.parent)
            for name, properties in _of_type(present, "AWS::Lambda::Function").items()
        },
        authorizers=read_authorizers(body),
        gateway_responses=read_gateway_responses(body),
        binary_media_types=read_binary_media_types(body),
    )


def _of_type(resources: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return the properties of the resources of a type, by logical id."""
    return {
        name: resource.get("Properties", {})
        for name, resource in resources.items()
        if resource["Type"] == kind
    }


def _function(
    name: str, properties: Mapping[str, Any], declared: Mapping[str, Any], resolver: Resolver, project: Path
) -> Function:
    """Read a function; where its code and layers lie, the translation no longer knows."""
    shared = declared.get("Globals", {}).get("Function", {})
    own = declared["Resources"].get(name, {}).get("Properties", {})
    layers = resolver.resolve([*shared.get("Layers", []), *own.get("Layers", [])])
    variables = properties.get("Environment", {}).get("Variables", {})
    return Function(
        name=name,
        handler=properties.get("Handler", ""),
        code=project / (own.get("CodeUri") or shared.get("CodeUri") or "."),
        layers=tuple(project / content for layer in layers if (content := _content(declared, layer))),
        timeout=float(properties.get("Timeout") or _DEFAULT_TIMEOUT),
        memory=int(properties.get("MemorySize") or _DEFAULT_MEMORY),
        environment={key: _text(value) for key, value in variables.items()},
    )


def _content(declared: Mapping[str, Any], layer: str) -> str:
    content: str = declared["Resources"].get(layer, {}).get("Properties", {}).get("ContentUri", "")
    return content


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
