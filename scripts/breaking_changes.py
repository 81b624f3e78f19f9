"""Prints the changes between two OpenAPI documents that break clients: breaking_changes.py RELEASED PRESENT.

A client breaks when the API no longer accepts what it sends, or returns what it could not return before:

- a path, an operation, a parameter, a field, a status or a media type is removed;
- an operation has another id, from which generated clients name their methods;
- a parameter, a body or a field of a body becomes required;
- a type, an enum, a bound, a pattern or a format is narrower in requests, or wider in responses;
- a field of a response becomes optional;
- a way to authenticate is no longer sufficient.

An optional addition breaks nothing. Exits with 1 when there is a breaking change.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

METHODS = ("get", "put", "post", "delete", "patch", "head", "options", "trace")
LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems")
UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
EXACT = ("pattern", "format", "multipleOf")

Json = dict[str, Any]


class Mismatch(NamedTuple):
    """A difference that lets a value be valid for the schema `narrow` and invalid for the schema `wide`.

    `where` names the field and the keyword; `narrow` and `wide` are what the schemas say there.
    """

    where: str
    narrow: object
    wide: object


def breaking_changes(old: Json, new: Json) -> Iterator[str]:
    """Yield a line for each change from the document `old` to `new` that breaks clients of `old`."""
    old, new = _resolved(old, old), _resolved(new, new)
    for path, item in old["paths"].items():
        for method in METHODS:
            if method in item:
                name = f"{method.upper()} {path}"
                if present := new["paths"].get(path, {}).get(method):
                    yield from (f"{name}: {change}" for change in _operation(item[method], present))
                else:
                    yield f"{name} is removed"


def _resolved(node: Any, document: Json) -> Any:  # noqa: ANN401  # any JSON
    """Return a part of a document with each reference replaced by the schema that it refers to."""
    if isinstance(node, list):
        return [_resolved(item, document) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _resolved(document["components"]["schemas"][node["$ref"].rpartition("/")[2]], document)
    return {key: _resolved(value, document) for key, value in node.items()}


def _operation(old: Json, new: Json) -> Iterator[str]:
    if old["operationId"] != new["operationId"]:
        yield f"operation id {old['operationId']} is now {new['operationId']}"
    ways, ways_now = _ways_to_authenticate(old), _ways_to_authenticate(new)
    for way in sorted(ways - ways_now if "nothing" not in ways_now else ()):
        yield f"authentication by {way} is no longer sufficient"
    for name in sorted(_required(new) - _required(old)):
        yield f"{name} is now required"
    yield from _schemas(_inputs(old), _inputs(new), is_request=True)
    yield from _schemas(_outputs(old), _outputs(new), is_request=False)


def _ways_to_authenticate(operation: Json) -> set[str]:
    return {" and ".join(sorted(way)) or "nothing" for way in operation.get("security") or [{}]}


def _parameters(operation: Json) -> Iterator[tuple[str, Json]]:
    for parameter in operation.get("parameters", []):
        # The name of a header is the same in any letter case.
        name = parameter["name"].lower() if parameter["in"] == "header" else parameter["name"]
        yield f"parameter {parameter['in']} {name}", parameter


def _required(operation: Json) -> set[str]:
    required = {name for name, parameter in _parameters(operation) if parameter.get("required")}
    return required | ({"a body"} if operation.get("requestBody", {}).get("required") else set())


def _inputs(operation: Json) -> dict[str, Json]:
    """Return the schemas of what clients send, by name."""
    content = operation.get("requestBody", {}).get("content", {})
    parameters = {name: parameter["schema"] for name, parameter in _parameters(operation)}
    return parameters | {f"body {media}": body["schema"] for media, body in content.items()}


def _outputs(operation: Json) -> dict[str, Json]:
    """Return the schemas of what clients receive, by name."""
    schemas: dict[str, Json] = {}
    for status, response in operation["responses"].items():
        schemas[f"status {status}"] = {}
        for media, body in response.get("content", {}).items():
            schemas[f"status {status} {media}"] = body["schema"]
    return schemas


def _schemas(old: dict[str, Json], new: dict[str, Json], *, is_request: bool) -> Iterator[str]:
    for name, before in old.items():
        if name not in new:
            yield f"{name} is removed"
            continue
        after = new[name]
        for field in _removed_fields(before, after):
            yield f"{name}: {field} is removed"
        narrow, wide = (before, after) if is_request else (after, before)
        for mismatch in _mismatches(narrow, wide):
            was, now = (mismatch.narrow, mismatch.wide) if is_request else (mismatch.wide, mismatch.narrow)
            yield f"{name}: {mismatch.where} was {was}, is now {now}"


def _removed_fields(old: Json, new: Json, at: str = "") -> Iterator[str]:
    before, after = _fields(old), _fields(new)
    for name, field in before.items():
        if name in after:
            yield from _removed_fields(field, after[name], f"{at}{name}.")
        else:
            yield at + name
    if "items" in old and "items" in new:
        yield from _removed_fields(old["items"], new["items"], f"{at}[].")


def _mismatches(narrow: Json, wide: Json, at: str = "") -> Iterator[Mismatch]:
    """Yield why a value that is valid for `narrow` can be invalid for `wide`; nothing when it cannot."""
    for choice in _choices(narrow):
        # Report only the alternative with the fewest differences, which is most likely the counterpart.
        yield from min((list(_differences(choice, other, at)) for other in _choices(wide)), key=len)


def _differences(narrow: Json, wide: Json, at: str) -> Iterator[Mismatch]:
    types, allowed = _types(narrow), _types(wide)
    if allowed and not (types and types <= allowed):
        yield Mismatch(f"{at}type", " or ".join(sorted(types)) or "any", " or ".join(sorted(allowed)))
        return  # the other differences would only follow from this one
    values, allowed_values = _values(narrow), _values(wide)
    if allowed_values and not (values and all(value in allowed_values for value in values)):
        yield Mismatch(f"{at}values", values or "any", allowed_values)
    for keyword in (*LOWER_BOUNDS, *UPPER_BOUNDS, *EXACT):
        if keyword in wide and not _is_within(keyword, narrow.get(keyword), wide[keyword]):
            yield Mismatch(f"{at}{keyword}", narrow.get(keyword), wide[keyword])
    for name in wide.get("required", []):
        if name not in narrow.get("required", []):
            yield Mismatch(f"{at}{name}", "optional", "required")
    fields, others = _fields(narrow), _fields(wide)
    for name in sorted(fields.keys() & others.keys()):
        yield from _mismatches(fields[name], others[name], f"{at}{name}.")
    if "items" in narrow and "items" in wide:
        yield from _mismatches(narrow["items"], wide["items"], f"{at}[].")


def _choices(schema: Json) -> list[Json]:
    return schema.get("anyOf") or schema.get("oneOf") or [schema]


def _fields(schema: Json) -> Json:
    """Return the fields of the object that this schema, or an alternative of it, describes."""
    choices = _choices(schema)
    return {name: field for choice in choices for name, field in choice.get("properties", {}).items()}


def _values(schema: Json) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _types(schema: Json) -> set[str]:
    stated = schema.get("type", [])
    types = {stated} if isinstance(stated, str) else set(stated)
    return types | {"integer"} if "number" in types else types


def _is_within(keyword: str, value: Any, bound: Any) -> bool:  # noqa: ANN401  # numbers or texts
    if value is None or keyword in EXACT:
        return bool(value == bound)
    return bool(value >= bound if keyword in LOWER_BOUNDS else value <= bound)


def main() -> int:
    """Compare the two documents that the arguments name, and return the exit code."""
    released, present = (json.loads(Path(name).read_text()) for name in sys.argv[1:])
    changes = list(breaking_changes(released, present))
    sys.stdout.writelines(f"{change}\n" for change in changes)
    return 1 if changes else 0


if __name__ == "__main__":
    sys.exit(main())
