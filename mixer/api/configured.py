"""Attributes that the proxy's own configuration says, as text under their names."""

from collections.abc import Callable, Container, Mapping
from typing import Any

from mixer.attributes import LEGACY_NAMES, VOCABULARY, Kind, Resolver, Value

_FROM_TEXT: dict[Kind, Callable[[str], Value]] = {
    Kind.STRING: str,
    Kind.INT: int,
    Kind.UINT: int,
    Kind.BOOL: lambda text: text == "true",
}
_SHORT = {full: short for short, full in LEGACY_NAMES.items()}
_NOT_OF_PROXIES = ("plugin_", "mixer.")


def configured(
    texts: Callable[[Any], Mapping[str, str]], known: Container[str]
) -> dict[str, Resolver]:
    """How to compute the attributes that a message has no field for.

    Args:
        texts: What the configuration says, of what the resolvers are given.
        known: The attributes that there are fields for.
    """
    return {
        name: _resolver(texts, name, _FROM_TEXT[kind])
        for name, kind in VOCABULARY.items()
        if name not in known and kind in _FROM_TEXT and not name.startswith(_NOT_OF_PROXIES)
    }


def _resolver(
    texts: Callable[[Any], Mapping[str, str]], name: str, convert: Callable[[str], Value]
) -> Resolver:
    """One attribute; text that is not of its type is absent."""
    short = _SHORT.get(name, name)

    def resolve(source: Any) -> Value | None:
        said = texts(source)
        text = said.get(name) or said.get(short)
        try:
            return convert(text) if text else None
        except ValueError:
            return None

    return resolve
