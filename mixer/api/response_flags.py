"""``response.flags``: the bits that Envoy has for what went wrong with a response.

Source: Envoy's ``StreamInfo::CoreResponseFlag``; the number of a flag there is that of its bit.
"""

from typing import Any

_SHORT = (
    "LH", "UH", "UT", "LR", "UR", "UF", "UC", "UO", "NR", "DI", "FI", "RL", "UAEX", "RLSE", "DC",
    "URX", "SI", "IH", "DPE", "UMSDR", "RFCF", "NFCF", "DT", "UPE", "NC", "OM", "DF", "DO", "DR",
    "UDO",
)  # fmt: skip
"""What access logs call them, from the first bit on."""

_BITS = {name: 1 << number for number, name in enumerate(_SHORT)}
_UNAUTHORIZED = "unauthorized_details"
_OUT_OF_ORDER = {"downstream_remote_reset": _BITS["DR"]}
"""Of ``ResponseFlags``, whose other fields are in the order of the bits."""


def bits_of(flags: Any) -> int:
    """The bits of ``envoy.data.accesslog.v3.ResponseFlags``."""
    bits = 0
    for field, value in flags.ListFields():
        if field.name != _UNAUTHORIZED or value.reason:
            bits |= _OUT_OF_ORDER.get(field.name, 1 << (field.number - 1))
    return bits


def bits_of_text(text: str) -> int | None:
    """The bits of ``UF,URX``, as ``%RESPONSE_FLAGS%`` writes them; None for another text."""
    bits = 0
    for name in text.split(","):
        if name not in _BITS:
            return None
        bits |= _BITS[name]
    return bits
