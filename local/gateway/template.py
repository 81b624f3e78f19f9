"""The REST API that a SAM template declares."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local.gateway.api import API_ID, Api
from local.gateway.errors import TemplateError
from local.gateway.intrinsics import Resolver
from local.gateway.openapi import (
    read_authorizers,
    read_binary_media_types,
    read_gateway_responses,
    read_routes,
)
from local.gateway.translation import Template, as_text, parameter_values, read_template, translate_once
from local.runtime.function import ACCOUNT, REGION, Function

# Beside the template; git ignores it.
_CACHE = ".local"
# Defaults of Lambda, in seconds and megabytes.
_DEFAULT_TIMEOUT = 3
_DEFAULT_MEMORY = 128
_PSEUDO_PARAMETERS = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackName": "local",
    "AWS::URLSuffix": "amazonaws.com",
}


def load_api(template: Path, overrides: Mapping[str, str]) -> Api:
    """Return the REST API that a SAM template declares; `overrides` replace the defaults of its parameters.

    Raises `TemplateError` when the template cannot be read or declares no REST API.
    """
    declared = read_template(template)
    declared_overrides = overrides.keys() & (declared.get("Parameters") or {}).keys()
    overridden = {name: overrides[name] for name in sorted(declared_overrides)}
    parameters = parameter_values(declared, overridden) | _PSEUDO_PARAMETERS
    try:
        translated = translate_once(declared, parameters, REGION, template.parent / _CACHE)
        return _read(translated, declared, parameters, template)
    except TemplateError:
        raise
    except Exception as error:
        # The translator does not document what it raises for a template of an unexpected shape.
        raise TemplateError(f"{template} is not a valid SAM template: {error!r}") from error


def _read(translated: Template, declared: Template, parameters: Mapping[str, str], template: Path) -> Api:
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
        minimum_compression_size=_int_or_none(resolver.resolve(apis[0].get("MinimumCompressionSize"))),
    )


def _int_or_none(value: int | str | None) -> int | None:
    return None if value in {None, ""} else int(value)


def _of_type(resources: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return the properties of the resources of a type, by logical id."""
    return {
        name: resource.get("Properties", {})
        for name, resource in resources.items()
        if resource["Type"] == kind
    }


def _function(
    name: str, properties: Mapping[str, Any], declared: Template, resolver: Resolver, project: Path
) -> Function:
    """Return a function.

    The directories come from the SAM template, because the translated template has only S3 URLs.
    """
    shared = declared.get("Globals", {}).get("Function", {})
    own = declared["Resources"].get(name, {}).get("Properties", {})
    layers = resolver.resolve([*shared.get("Layers", []), *own.get("Layers", [])])
    variables = properties.get("Environment", {}).get("Variables", {})
    return Function(
        name=name,
        handler=properties.get("Handler", ""),
        code=project / (own.get("CodeUri") or shared.get("CodeUri") or "."),
        layers=tuple(project / content for layer in layers if (content := _layer_content(declared, layer))),
        timeout=float(properties.get("Timeout") or _DEFAULT_TIMEOUT),
        memory=int(properties.get("MemorySize") or _DEFAULT_MEMORY),
        environment={key: as_text(value) for key, value in variables.items()},
    )


def _layer_content(declared: Template, layer: str) -> str:
    content: str = declared["Resources"].get(layer, {}).get("Properties", {}).get("ContentUri", "")
    return content
