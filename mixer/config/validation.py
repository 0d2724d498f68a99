"""From pydantic's errors to problems that say where, what, and what was perhaps meant."""

import difflib
import re
from collections.abc import Iterable
from typing import Any, TypeVar, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mixer.config.document import Document
from mixer.config.model import Model, Origin
from mixer.config.problem import CONFIGURATIONS, FieldPath, Problem

_M = TypeVar("_M", bound=Model)

_TYPES: dict[type, str] = {
    type(None): "null",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "a mapping",
}
_WANTED = {
    "string_type": "a string",
    "int_type": "an integer",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "a boolean",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "is_instance_of": "a string",  # of a Path
}
_BOUNDS = {
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "too_long": "must have at most {max_length} items",
}
_SECRET = CONFIGURATIONS | {"vmConfig"}
_UNLISTED = "UNDEFINED"
_LONGEST_SHOWN = 40


def validate(model: type[_M], document: Document, origin: Origin) -> _M | list[Problem]:
    """Validate a document as a whole: the model, or everything that is wrong with it."""
    try:
        # Python's own names for fields are no names for them in YAML.
        return model.model_validate(document.data, context=origin, by_alias=True, by_name=False)
    except ValidationError as error:
        details = error.errors(include_url=False)
        return [document.problem(_path(one), _message(one, model)) for one in details]


def nearest(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'this'?``, or nothing when no known word is nearer than all others."""
    lower = {one.lower(): one for one in known}
    close = difflib.get_close_matches(word.lower(), lower, n=2, cutoff=0.7)
    ratios = [difflib.SequenceMatcher(None, one, word.lower()).ratio() for one in close]
    if not close or (len(close) > 1 and ratios[0] == ratios[1]):
        return ""
    return f"; did you mean {lower[close[0]]!r}?"


def one_of(known: Iterable[str], value: object) -> str:
    """``must be one of A, B, not 'C'``, with the nearest of them if there is one."""
    listed = [one for one in known if not one.startswith(_UNLISTED)]
    wanted = f"one of {', '.join(listed)}" if len(listed) > 1 else listed[0]
    if not isinstance(value, str):
        return f"must be {wanted}, not {type_name(value)}"
    shown = repr(value) if len(value) <= _LONGEST_SHOWN else f"{value[:_LONGEST_SHOWN]!r}..."
    return f"must be {wanted}, not {shown}{nearest(value, listed)}"


def type_name(value: object) -> str:
    """What a value of YAML is called, with an article."""
    return _TYPES.get(type(value), "a value of another type")


def _path(error: ErrorDetails) -> FieldPath:
    # pydantic marks an error in a key with a step of its own.
    return tuple(part for part in error["loc"] if part != "[key]")


def _message(error: ErrorDetails, model: type[Model]) -> str:
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "missing":
        return "is required"
    if kind == "extra_forbidden":
        *parent, name = error["loc"]
        return f"unknown field{nearest(str(name), _fields(model, parent))}"
    if kind in _WANTED:
        return f"must be {_WANTED[kind]}, not {type_name(value)}"
    if kind in _BOUNDS:
        return _BOUNDS[kind].format(**context)
    if kind in {"enum", "literal_error"}:
        known = re.findall(r"'([^']*)'", context["expected"])
        wanted = one_of(known, value)
        return wanted if _SECRET.isdisjoint(error["loc"]) else wanted.partition(", not ")[0]
    return str(context["error"]) if "error" in context else error["msg"]


def _fields(model: type[Model], path: Iterable[str | int]) -> list[str]:
    """Names of the fields that the mapping at a path may have."""
    for part in path:
        if isinstance(part, int):
            continue
        by_alias = {one.alias: one for one in model.model_fields.values()}
        inner = _model_in(by_alias[part].annotation) if part in by_alias else None
        if inner is None:
            return []
        model = inner
    return [one.alias for one in model.model_fields.values() if one.alias]


def _model_in(annotation: Any) -> type[Model] | None:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)
