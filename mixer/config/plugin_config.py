"""``pluginConfig`` as the bytes that a module gets from ``proxy_get_buffer_bytes``."""

import json
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

# Up to here every integer is a double, so that leaving out ".0" changes no value.
_EXACT = 1 << 53


def to_json(config: Any) -> bytes:
    """Write a struct as JSON text, the way Istio hands it to a module.

    Compact, in UTF-8, in the order of the file; an empty struct is no configuration. As in
    protobuf's JSON, a number without fraction has no ``.0``: modules read it as an integer.
    Integers are written in full, where Istio rounds them to doubles beyond 2**53.

    Raises:
        ValueError: Not a mapping, or a number in it is not finite (which no document has).
    """
    if isinstance(config, bytes):
        return config
    if not isinstance(config, dict):
        raise ValueError("must be a mapping")
    if not config:
        return b""
    plain = _plain(config)
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) <= _EXACT else value
    return value


PluginConfig = Annotated[bytes, BeforeValidator(to_json), Field(repr=False)]

OptionalConfig = Annotated[bytes | None, BeforeValidator(to_json), Field(repr=False)]
"""The same where none is not the same as an empty one."""
