"""Prints what in one OpenAPI document breaks the clients of another: breaking_changes.py RELEASED PRESENT.

A client breaks when what it sends is no longer taken, or when it gets what it could not before:

- a path, an operation, a parameter, a field, a status or a media type is gone;
- an operation has another id, from which generated clients name their methods;
- a parameter, a body or a field of it is newly required;
- a type, an enum, a bound, a pattern or a format is narrower in what clients send, or wider in what they get;
- a field that was always in an answer need not be there any more;
- a way to authenticate is no longer enough.

What is new and optional breaks nothing. Exits with 1 when there is anything to print.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

METHODS = {"get", "put", "post", "delete", "patch", "head", "options", "trace"}
AT_LEAST = ("minimum", "exclusiveMinimum", "minLength", "minItems")
AT_MOST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
EXACT = ("pattern", "format", "multipleOf")


class Schema(NamedTuple):
    """A schema and the document that its references are about."""

    json: Mapping[str, Any]
    document: Mapping[str, Any]

    @classmethod
    def of(cls, json: Mapping[str, Any], document: Mapping[str, Any]) -> "Schema":
        """Return a schema, or what it refers to."""
        if "$ref" in json:
            json = document["components"]["schemas"][json["$ref"].rpartition("/")[2]]
        return cls(json, document)

    def at(self, key: str) -> "Schema":
        """Return the schema under a key."""
        return Schema.of(self.json[key], self.document)

    def choices(self) -> list["Schema"]:
        """Return the alternatives that this schema consists of; itself, if it has none."""
        choices = self.json.get("anyOf") or self.json.get("oneOf")
        return [Schema.of(choice, self.document) for choice in choices] if choices else [self]

    def fields(self) -> dict[str, "Schema"]:
        """Return the fields of the object that this schema, or an alternative of it, describes."""
        return {
            name: Schema.of(field, self.document)
            for choice in self.choices()
            for name, field in choice.json.get("properties", {}).items()
        }

    def values(self) -> list[Any] | None:
        """Return the values that it lists, or None."""
        return [self.json["const"]] if "const" in self.json else self.json.get("enum")


class Misfit(NamedTuple):
    """Where not every value that is valid on the narrow side is valid on the wide one, and why."""

    where: str
    narrow: object
    wide: object


def breaking_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each thing in which the document `new` breaks the clients of `old`."""
    for path, item in old["paths"].items():
        if path not in new["paths"]:
            yield f"{path} is gone"
            continue
        for method in sorted(METHODS & item.keys()):
            name = f"{method.upper()} {path}"
            if method not in new["paths"][path]:
                yield f"{name} is gone"
                continue
            before, after = item[method], new["paths"][path][method]
            changes = [
                *_identity(before, after),
                *_security(before.get("security", []), after.get("security", [])),
                *_parameters(_parameters_of(before, old), _parameters_of(after, new)),
                *_body(before.get("requestBody", {}), after.get("requestBody", {}), old, new),
                *_answers(before["responses"], after["responses"], old, new),
            ]
            yield from (f"{name}: {change}" for change in changes)


def _identity(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    if old.get("operationId") != new.get("operationId"):
        yield f"operation id {old.get('operationId')} is now {new.get('operationId')}"


def _security(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> Iterator[str]:
    def ways(needs: list[dict[str, Any]]) -> set[str]:
        return {" and ".join(sorted(need)) or "nothing" for need in needs or [{}]}

    for way in sorted(ways(old) - ways(new) if "nothing" not in ways(new) else ()):
        yield f"authentication by {way} is no longer enough"


def _parameters_of(
    operation: Mapping[str, Any], document: Mapping[str, Any]
) -> dict[str, tuple[Schema, bool]]:
    """Return the schema of each parameter and whether it is required, by its place and name."""
    return {
        # Names of headers are the same in any case.
        f"{each['in']} {each['name'].lower() if each['in'] == 'header' else each['name']}": (
            Schema.of(each["schema"], document),
            each.get("required", False),
        )
        for each in operation.get("parameters", [])
    }


def _parameters(
    old: Mapping[str, tuple[Schema, bool]], new: Mapping[str, tuple[Schema, bool]]
) -> Iterator[str]:
    for name, (schema, required) in old.items():
        if name not in new:
            yield f"parameter {name} is gone"
            continue
        if new[name][1] and not required:
            yield f"parameter {name} is now required"
        for misfit in _misfits(schema, new[name][0]):
            yield f"parameter {name}: {misfit.where} was {misfit.narrow}, is now {misfit.wide}"
    for name in sorted(new.keys() - old.keys()):
        if new[name][1]:
            yield f"parameter {name} is new and required"


def _body(
    old: Mapping[str, Any], new: Mapping[str, Any], released: Mapping[str, Any], present: Mapping[str, Any]
) -> Iterator[str]:
    if new.get("required", False) and not old.get("required", False):
        yield "a body is now required"
    for media, content in old.get("content", {}).items():
        if media not in new.get("content", {}):
            yield f"no body of {media} is taken any more"
            continue
        before = Schema.of(content["schema"], released)
        after = Schema.of(new["content"][media]["schema"], present)
        for field in _lost(before, after):
            yield f"field {field} of the body is gone"
        for misfit in _misfits(before, after):
            yield f"body: {misfit.where} was {misfit.narrow}, is now {misfit.wide}"


def _answers(
    old: Mapping[str, Any], new: Mapping[str, Any], released: Mapping[str, Any], present: Mapping[str, Any]
) -> Iterator[str]:
    for status, answer in old.items():
        if status not in new:
            yield f"status {status} is gone"
            continue
        for media, content in answer.get("content", {}).items():
            if media not in new[status].get("content", {}):
                yield f"{status} is no longer answered in {media}"
                continue
            before = Schema.of(content["schema"], released)
            after = Schema.of(new[status]["content"][media]["schema"], present)
            for field in _lost(before, after):
                yield f"field {field} of {status} is gone"
            for misfit in _misfits(after, before):
                yield f"{status}: {misfit.where} was {misfit.wide}, is now {misfit.narrow}"


def _lost(old: Schema, new: Schema, at: str = "") -> Iterator[str]:
    """Yield the fields that were there and are not, wherever they were."""
    before, after = old.fields(), new.fields()
    for name, field in before.items():
        if name not in after:
            yield at + name
        else:
            yield from _lost(field, after[name], f"{at}{name}.")
    if "items" in old.json and "items" in new.json:
        yield from _lost(old.at("items"), new.at("items"), f"{at}[].")


def _misfits(narrow: Schema, wide: Schema, at: str = "") -> Iterator[Misfit]:
    """Yield why a value that is valid for `narrow` may not be valid for `wide`; nothing when all are."""
    for choice in narrow.choices():
        misfits = [list(_differences(choice, other, at)) for other in wide.choices()]
        # The alternative that it misses by the least says best what is wrong.
        yield from min(misfits, key=len)


def _differences(narrow: Schema, wide: Schema, at: str) -> Iterator[Misfit]:
    here, there = narrow.json, wide.json
    types, allowed = _types(here), _types(there)
    if allowed and not (types and types <= allowed):
        yield Misfit(f"{at}type", _listed(types), _listed(allowed))
        return  # whatever else differs, it does because of this
    values, listed = narrow.values(), wide.values()
    if listed is not None and (values is None or any(value not in listed for value in values)):
        yield Misfit(f"{at}values", values or "any", listed)
    for keyword in (*AT_LEAST, *AT_MOST, *EXACT):
        if keyword in there and not _within(keyword, here.get(keyword), there[keyword]):
            yield Misfit(f"{at}{keyword}", here.get(keyword), there[keyword])
    for name in there.get("required", []):
        if name not in here.get("required", []):
            yield Misfit(f"{at}{name}", "optional", "required")
    fields, others = narrow.fields(), wide.fields()
    for name in sorted(fields.keys() & others.keys()):
        yield from _misfits(fields[name], others[name], f"{at}{name}.")
    if "items" in here and "items" in there:
        yield from _misfits(narrow.at("items"), wide.at("items"), f"{at}[].")


def _types(schema: Mapping[str, Any]) -> set[str]:
    stated = schema.get("type", [])
    types = {stated} if isinstance(stated, str) else set(stated)
    return types | {"integer"} if "number" in types else types


def _listed(types: set[str]) -> str:
    return " or ".join(sorted(types)) or "anything"


def _within(keyword: str, here: Any, there: Any) -> bool:  # noqa: ANN401  # numbers or texts, by the keyword
    if keyword in AT_LEAST:
        return here is not None and here >= there
    if keyword in AT_MOST:
        return here is not None and here <= there
    return bool(here == there)


def main() -> int:
    """Compare the two documents that the arguments name, and return the exit code."""
    released, present = (json.loads(Path(name).read_text()) for name in sys.argv[1:])
    changes = list(breaking_changes(released, present))
    sys.stdout.writelines(f"{change}\n" for change in changes)
    return 1 if changes else 0


if __name__ == "__main__":
    sys.exit(main())
