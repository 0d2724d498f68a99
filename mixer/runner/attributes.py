"""The attributes of a request that somebody typed."""

from collections.abc import Callable, Iterable

from mixer.attributes import (
    HTTP_RESOLVERS,
    LEGACY_NAMES,
    VOCABULARY,
    AttributeBag,
    Duration,
    Kind,
    Resolver,
    Timestamp,
    Value,
)
from mixer.runner.messages import MESSAGE_RESOLVERS, TypedSource

_PARSERS: dict[Kind, Callable[[str], Value]] = {
    Kind.STRING: str,
    Kind.BYTES: str.encode,
    Kind.INT: int,
    Kind.UINT: int,
    Kind.DOUBLE: float,
    Kind.TIMESTAMP: lambda text: Timestamp(int(text)),
    Kind.DURATION: lambda text: Duration(int(text)),
    Kind.BOOL: lambda text: {"true": True, "false": False}[text],
}


class PropertyError(ValueError):
    """A property is not written as NAME=VALUE, or its value is not of the attribute's type."""


def parse_properties(texts: Iterable[str]) -> dict[str, Value]:
    """Read ``NAME=VALUE`` texts; the type is that of the attribute, or string for another name.

    Raises:
        PropertyError: One of them cannot be read.
    """
    return dict(map(_parse, texts))


def _parse(text: str) -> tuple[str, Value]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise PropertyError(
            f"--property {text!r}: write NAME=VALUE, such as source.address=10.0.0.1:5000"
        )
    name = LEGACY_NAMES.get(name, name)
    kind = VOCABULARY.get(name, Kind.STRING)
    parser = _PARSERS.get(kind)
    if parser is None:
        raise PropertyError(f"{name} is of type {kind}, which cannot be given on the command line")
    try:
        return name, parser(value)
    except (ValueError, KeyError) as error:
        raise PropertyError(f"{name} must be of type {kind}, not {value!r}") from error


def attribute_bag(source: TypedSource) -> AttributeBag:
    """The attributes that follow from the headers, and those that were given."""
    given = {name: _given(name) for name in source.properties}
    return AttributeBag({**HTTP_RESOLVERS, **MESSAGE_RESOLVERS, **given}, source)


def _given(name: str) -> Resolver:
    return lambda source: source.properties[name]
