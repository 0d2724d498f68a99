"""Attributes from a YAML or JSON file, in groups that are called as the flags."""

from collections.abc import Iterator
from pathlib import Path

from mixer.attributes import Value
from mixer.cli.mixer_v1.attributes import ATTRIBUTES, InputError
from mixer.cli.mixer_v1.syntax import AUTO, DOUBLE, Syntax, kind_of
from mixer.config.document import Document
from mixer.config.problem import Problem
from mixer.config.source import read_documents, read_source


def read_attributes(path: Path) -> dict[str, Value]:
    """Read a file such as ``{"string_attributes": {"source.name": "reviews"}}``.

    Texts are read as the flag of their group reads them, but for ``attributes``, where a text is
    a text; other values have the types of JSON, and objects are string maps.

    Raises:
        InputError: It cannot be read, or a value cannot be used.
    """
    source = read_source(path)
    if isinstance(source, Problem):
        raise InputError(f"--file {source}")
    documents, problems = read_documents(source)
    if problems:
        raise InputError(f"--file {problems[0]}")
    first, *more = documents
    if more:
        raise InputError(f"--file {more[0].problem((), 'must be one document')}")
    return dict(_attributes(first))


def _attributes(document: Document) -> Iterator[tuple[str, Value]]:
    names: set[str] = set()
    for group, entries in _groups(document):
        for name, value in entries.items():
            if name in names:
                raise _refusal(document, (group, name), "is given twice")
            names.add(name)
            try:
                yield name, _value(ATTRIBUTES[group].syntax, value)
            except ValueError as error:
                raise _refusal(document, (group, name), str(error)) from None


def _groups(document: Document) -> Iterator[tuple[str, dict[str, object]]]:
    if not isinstance(document.data, dict):
        raise _refusal(document, (), f"must have the fields {', '.join(ATTRIBUTES)}")
    for group, entries in document.data.items():
        if group not in ATTRIBUTES:
            raise _refusal(document, (group,), f"is none of {', '.join(ATTRIBUTES)}")
        if not isinstance(entries, dict):
            raise _refusal(document, (group,), "must map names of attributes to values")
        yield group, entries


def _refusal(document: Document, path: tuple[str, ...], message: str) -> InputError:
    return InputError(f"--file {document.problem(path, message)}")


def _value(syntax: Syntax, value: object) -> Value:
    if isinstance(value, str):
        return value if syntax is AUTO else syntax.read(value)
    native = _native(value)
    if syntax is DOUBLE and type(native) is int:
        return float(native)
    if syntax is not AUTO and kind_of(native) != syntax.kind:
        raise ValueError(f"is not of type {syntax.kind}: write {syntax.expected}")
    return native


def _native(value: object) -> Value:
    match value:
        case bool() | float():
            return value
        case int() if -(1 << 63) <= value < 1 << 63:
            return value
        case dict() if all(isinstance(text, str) for text in value.values()):
            return value
    raise ValueError("must be a string, a number of 64 bits, true, false, or an object of strings")
