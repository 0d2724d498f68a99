"""What is wrong with an attribute that cannot be encoded."""

from collections.abc import Mapping
from typing import Any

from mixer.attributes import Duration, Timestamp

_MOST_SHOWN = 60


def refusal(name: object, value: object) -> TypeError | ValueError:
    """The error to raise for it, which names the attribute.

    Args:
        name: Of the attribute.
        value: That cannot be encoded under this name.
    """
    if not isinstance(name, str):
        return TypeError(f"the name of an attribute must be text, not {_shown(name)}")
    if not _is_unicode(name):
        return ValueError(f"attribute {_shown(name)}: its name is not Unicode text")
    return _value_refusal(f"attribute {name}", value)


def _value_refusal(where: str, value: object) -> TypeError | ValueError:
    if type(value) is str:
        return ValueError(f"{where}: {_shown(value)} is not Unicode text")
    if isinstance(value, Mapping):
        return _map_refusal(where, value)
    if isinstance(value, Timestamp | Duration):
        kind = type(value).__name__
        return ValueError(f"{where}: the seconds of a {kind} must be less than 2**63")
    if type(value) is int:
        shown = _cut(hex(value))  # a decimal of any length is not to be had
        return ValueError(f"{where}: a number must be from -2**63 to 2**63 - 1, not {shown}")
    return TypeError(f"{where}: {type(value).__name__} is no type of an attribute")


def _map_refusal(where: str, entries: Mapping[Any, Any]) -> TypeError | ValueError:
    for key, text in entries.items():
        if not isinstance(key, str):
            return TypeError(f"{where}: the keys of a map must be text, not {_shown(key)}")
        if not isinstance(text, str):
            kind = type(text).__name__
            return TypeError(f"{where}: the value of {_shown(key)} must be text, not {kind}")
        if not _is_unicode(key) or not _is_unicode(text):
            return ValueError(f"{where}: {_shown(key)} or its value is not Unicode text")
    return TypeError(f"{where}: {type(entries).__name__} is no map of texts")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(value: object) -> str:
    return _cut(ascii(value))


def _cut(shown: str) -> str:
    return shown if len(shown) <= _MOST_SHOWN else f"{shown[:_MOST_SHOWN]}..."
