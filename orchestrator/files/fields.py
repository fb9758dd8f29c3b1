"""Pydantic over text: fields that parse text, and validation errors told in plain English with file, line and key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from ..core.errors import MOST_FOUND, Problem, in_all
from ..text.durations import EXPECTED, format_duration, parse_duration
from ..text.likeness import lookalike
from .odd_characters import first_odd, shown
from .scalars import did_you_mean, format_key, shorten
from .yaml_file import KeyPath, YamlDocument

DURATION_SCHEMA = {
    "anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": r"^(P[0-9DTHMS.]+|[0-9][0-9dhms.]*)$"}],
    "description": "a duration: 90, 90s, 1m30s, 2h, 500ms or PT90S",
}
_THE_KEY_ITSELF = "[key]"  # how pydantic says that the name of an entry is wrong, and not its value
_TAG = "\0"  # marks the steps that a union adds to the place of an error


def one_of(*words: str) -> dict[str, Any]:
    """The schema of one of *words* in any letter case: an editor offers them as they are written here."""
    any_case = "|".join("".join(f"[{c.lower()}{c.upper()}]" if c.isalpha() else c for c in word) for word in words)
    return {"anyOf": [{"enum": list(words)}, {"type": "string", "pattern": f"^({any_case})$"}]}


BOOLEAN_SCHEMA = {"anyOf": [{"type": "boolean"}, *one_of("true", "yes", "on", "false", "no", "off")["anyOf"]]}


class Text:
    """Annotates a field: *parse* turns its text into a value; *schema* is what an editor may accept for it."""

    def __init__(self, parse: Callable[[str], Any], schema: dict[str, Any], expected: str = "expected text") -> None:
        self._parse = parse
        self._schema = schema
        self._expected = expected

    def _validate(self, value: Any) -> Any:
        if not isinstance(value, str):
            raise ValueError(self._expected)  # noqa: TRY004 - pydantic knows no other
        return self._parse(value)

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._validate)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: Any) -> JsonSchemaValue:
        return dict(self._schema)


class Whole(Text):
    """A field whose parser takes the value whole, whatever it is."""

    def _validate(self, value: Any) -> Any:
        return self._parse(value)


class ModelOrWord:
    """Annotates a field that holds a mapping of *model*, or a word that *parse* understands.

    *parse* returns a mapping to be read instead of the word, or the field's final value.
    """

    def __init__(self, model: type[BaseModel], parse: Callable[[Any], Any], words: dict[str, Any]) -> None:
        self._model = model
        self._parse = parse
        self._words = words

    def _validate(self, value: Any, handler: Callable[[Any], Any]) -> Any:
        if isinstance(value, dict):
            return handler(value)
        parsed = self._parse(value)
        return handler(parsed) if isinstance(parsed, dict) else parsed

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(self._validate, handler.generate_schema(self._model))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: Any) -> JsonSchemaValue:
        return {"anyOf": [handler(schema), dict(self._words)]}


class TextModel(BaseModel):
    """A mapping whose values are text; unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=False, arbitrary_types_allowed=True)


def duration(*, zero: bool = False, least: float = 0.0) -> Text:
    """A field of seconds written as a duration, *least* of them at least; 0 only with *zero*."""

    def parse(text: str) -> float:
        seconds = parse_duration(text)
        if seconds == 0 and not zero:
            raise ValueError("expected a duration longer than 0s")
        if seconds < least:
            raise ValueError(f"expected a duration of at least {format_duration(least)}")
        return seconds

    return Text(parse, DURATION_SCHEMA, EXPECTED)


def union_tag(word: str) -> str:
    """The tag of a union's member; it is left out of the keys that problems name."""
    return _TAG + word


def problems_of(
    error: ValidationError,
    document: YamlDocument,
    models: Mapping[str, type[BaseModel]],
    *,
    show_values: bool = True,
) -> list[Problem]:
    """The mistakes in *error*, each with the place in *document*.

    Args:
        error: What pydantic found.
        document: What it was reading.
        models: The model that reads the mapping under a key (``""`` is the top), for 'did you mean'.
        show_values: Whether a message may quote what was given; never where it could be a secret.
    """
    problems = []
    if (count := error.error_count()) > MOST_FOUND:
        problems.append(in_all(document.file, count))
    details = error.errors(include_url=False)[:MOST_FOUND]
    run_on = {
        (*detail["loc"][:-1], str(detail["loc"][-1]).partition(":")[0])
        for detail in details
        if detail["type"] == "extra_forbidden" and ":" in str(detail["loc"][-1])
    }
    for detail in details:
        if detail["type"] == "missing" and detail["loc"] in run_on:
            continue  # it is there: it and its value were taken for a key
        unknown = detail["type"] == "extra_forbidden"
        *above, last = detail["loc"] or ("",)
        path: KeyPath = tuple(step for step in above if not str(step).startswith(_TAG) and step != _THE_KEY_ITSELF)
        if detail["loc"] and (unknown or not (str(last).startswith(_TAG) or last == _THE_KEY_ITSELF)):
            path += (last,)  # a key that nobody knows may be called anything
        message = _message(detail, models, show_values)
        if unknown and ":" in str(path[-1]):
            # `key:value` without its space; what follows the colon may be a secret.
            before, _, after = str(path[-1]).partition(":")
            path, message = path[:-1], "holds a key with a colon in it; put a space between a key's colon and its value"
            if after and lookalike(after[0]) == " ":
                message = f"holds a key with a colon in it: its character {len(before) + 2} is {shown(after[0])}, which YAML takes for a letter; type a space"
        problems.append(Problem(file=document.file, line=document.line_of(path), key=format_key(path), message=message))
    return problems


def _message(detail: Any, models: Mapping[str, type[BaseModel]], show_values: bool) -> str:
    place, value = detail["loc"], detail["input"]
    match detail["type"]:
        case "missing":
            return "is required, but missing"
        case "extra_forbidden":
            key = str(place[-1])
            odd = first_odd(key)
            return f"unknown key; {odd or did_you_mean(key, _keys_around(place, models))}"
        case "model_type" | "dict_type":
            message = "expected a mapping"
        case "list_type":
            message = "expected a list"
        case "value_error":
            message = str(detail["ctx"]["error"])
        case _:
            message = "has a value that is not allowed here"
    if not message.startswith("expected"):
        return message
    # Without a place it is all of a file: a key, perhaps.
    if value is None or isinstance(value, list | dict) or (show_values and place):
        return f"{message}, not {shorten(value)}"
    return message


def _keys_around(place: tuple[str | int, ...], models: Mapping[str, type[BaseModel]]) -> list[str]:
    steps = [step for step in reversed(place[:-1]) if isinstance(step, str)]
    model = models[next((step for step in steps if step in models), "")]  # a step may be a name that the writer gave
    return [info.alias or name for name, info in model.model_fields.items()]


def json_schema(model: type[BaseModel], title: str) -> dict[str, Any]:
    """The JSON Schema of *model* for editors, without the noise pydantic adds (titles, null defaults)."""
    schema: dict[str, Any] = _tidy(model.model_json_schema(by_alias=True))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **schema}


def _tidy(node: Any) -> Any:
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: _tidy(value)
        for key, value in node.items()
        if not (key == "title" and isinstance(value, str)) and not (key == "default" and value is None)
    }
