"""Prepares API Gateway's events for Powertools, so that requests are parsed as the reference parses them.

Powertools then reads a path with one encoding, query parameters with one value, and JSON bodies only.
"""

import json
from base64 import b64decode
from collections.abc import Mapping, Set
from typing import Any
from urllib.parse import parse_qsl, unquote

JSON = "application/json"
URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
# The reference has the same limit. It bounds the time that reading a form takes.
MAX_FORM_FIELDS = 1_000
# Replaces a form that cannot be read. It is not JSON, so that it differs from every form that can be read.
INVALID_FORM = "invalid form"
# A path that no route has.
NO_PATH = ""
# Replaces every media type that a route does not read.
UNSUPPORTED = "application/octet-stream"


def prepare(event: dict[str, Any], query_aliases: Mapping[str, str], forms: Set[str]) -> None:
    """Change an event in place.

    Args:
        event: The event of a Lambda proxy integration.
        query_aliases: Other spellings of query parameters, and the names that they stand for.
        forms: The resources whose body is a form, which becomes a JSON object.

    """
    event["path"] = _path(event["resource"], event["path"])
    event["multiValueQueryStringParameters"] = query = _query(event, query_aliases)
    event["queryStringParameters"] = {name: value for name, [value] in query.items()}
    _prepare_body(event, is_form=event["resource"] in forms)


def _path(resource: str, path: str) -> str:
    """Return the path that leads Powertools to the route of a resource, or `NO_PATH` if it does not match.

    A parameter is decoded once, after the path is split, so that a decoded "/" is part of the value. Then
    each of its bytes is encoded, so that no value is equal to the literal segment of another route.
    """
    declared = resource.removesuffix("/").split("/")[1:]
    sent = path.removesuffix("/").split("/")[1:]
    # A custom domain name may add segments at the beginning.
    values = [unquote(segment, errors="replace") for segment in sent[len(sent) - len(declared) :]]
    if len(values) != len(declared) or not all(map(_matches, declared, values)):
        return NO_PATH
    pairs = zip(declared, values, strict=True)
    return "/" + "/".join(_encode(value) if _is_parameter(name) else name for name, value in pairs)


def _matches(name: str, value: str) -> bool:
    return bool(value) if _is_parameter(name) else name == value


def _is_parameter(name: str) -> bool:
    return name.startswith("{")


def _encode(value: str) -> str:
    return "".join(f"%{byte:02X}" for byte in value.encode(errors="replace"))


def _query(event: Mapping[str, Any], aliases: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the last value of each query parameter; the name of a parameter wins over its alias."""
    sent = event["multiValueQueryStringParameters"] or {}
    query = {name: values[-1:] for name, values in sent.items() if name not in aliases}
    return {aliases[name]: sent[name][-1:] for name in aliases.keys() & sent.keys()} | query


def _prepare_body(event: dict[str, Any], *, is_form: bool) -> None:
    headers = event["headers"] or {}
    content_type = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
    # Media types are case-insensitive (RFC 9110, section 8.3.1).
    media_type = content_type.partition(";")[0].strip().lower()
    if is_form:
        event["body"] = _form(event, media_type, content_type)
        event["isBase64Encoded"] = False
    readable = is_form or not media_type or media_type == JSON or _is_json_based(media_type)
    others = {name: value for name, value in headers.items() if name.lower() != "content-type"}
    event["headers"] = others | {"Content-Type": JSON if readable else UNSUPPORTED}


def _is_json_based(media_type: str) -> bool:
    return media_type.startswith("application/") and media_type.endswith("+json")  # RFC 6839, section 3.1


def _form(event: Mapping[str, Any], media_type: str, content_type: str) -> str:
    """Return the fields of a form as a JSON object, or `INVALID_FORM`.

    The last of several values counts, and an empty value counts as an absent field, as in the reference. A
    body that is not a form has no fields.
    """
    text = event["body"] or ""
    try:
        body = b64decode(text) if event["isBase64Encoded"] else text.encode(errors="replace")
        fields = {URLENCODED: _urlencoded, MULTIPART: _multipart}.get(media_type, _nothing)(
            body, content_type
        )
    except ValueError:
        return INVALID_FORM
    return json.dumps({name: value for name, value in fields.items() if value != ""})


def _nothing(_body: bytes, _content_type: str) -> dict[str, Any]:
    return {}


def _urlencoded(body: bytes, _content_type: str) -> dict[str, Any]:
    text = body.decode(errors="replace")
    return dict(parse_qsl(text, keep_blank_values=True, errors="replace", max_num_fields=MAX_FORM_FIELDS))


def _multipart(body: bytes, content_type: str) -> dict[str, Any]:
    # Imported here because hardly any request needs them.
    from io import BytesIO  # noqa: PLC0415

    from multipart import MultipartParser, parse_options_header  # noqa: PLC0415

    _, options = parse_options_header(content_type)
    parser = MultipartParser(
        BytesIO(body),
        options.get("boundary", ""),
        part_limit=MAX_FORM_FIELDS,
        spool_limit=len(body),
        memory_limit=len(body),
    )
    # No route accepts files: an object where text belongs makes the validation fail and name the field.
    return {part.name: {} if part.filename is not None else part.value for part in parser}
