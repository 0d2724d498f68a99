"""Quantities and durations as Kubernetes and Go write them.

Source: the Kubernetes reference of ``resource.Quantity``, and Go's ``time.ParseDuration``.
"""

import math
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Annotated

from pydantic import BeforeValidator

_QUANTITY = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,18})?)(Ki|Mi|Gi|Ti|k|M|G|T)?")
_BYTES = {
    "Ki": 1 << 10,
    "Mi": 1 << 20,
    "Gi": 1 << 30,
    "Ti": 1 << 40,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
}
_DURATION_PART = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,18})?)(us|ms|s|m|h)")
_DURATION = re.compile(rf"(?:{_DURATION_PART.pattern})+")
_SECONDS = {
    "us": Fraction(1, 10**6),
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "m": Fraction(60),
    "h": Fraction(3600),
}
_LONGEST_SHOWN = 40


def parse_quantity(text: str | int) -> int:
    """Read ``64Mi``, ``128M``, ``1.5Gi`` or a plain number of bytes; bytes, rounded up.

    Raises:
        ValueError: It is none of these.
    """
    match = _QUANTITY.fullmatch(str(text))
    if not match or isinstance(text, bool):
        raise ValueError(
            f"must be a quantity such as 64Mi, 128M or a number of bytes, not {_shown(text)}"
        )
    return math.ceil(Fraction(match[1]) * _BYTES.get(match[2], 1))


def parse_duration(text: str) -> float:
    """Read ``100ms``, ``0.5s``, ``2s`` or ``1m30s``; seconds.

    Raises:
        ValueError: It is none of these; a number without unit is none.
    """
    if not isinstance(text, str) or not _DURATION.fullmatch(text):
        raise ValueError(f"must be a duration such as 100ms, 0.5s or 2s, not {_shown(text)}")
    parts = _DURATION_PART.findall(text)
    return float(sum(Fraction(number) * _SECONDS[unit] for number, unit in parts))


def quantity_between(lowest: str, highest: str) -> Callable[[str | int], int]:
    """Make a validator: bytes from ``lowest`` to ``highest``, both included."""
    bounds = parse_quantity(lowest), parse_quantity(highest)

    def check(text: str | int) -> int:
        size = parse_quantity(text)
        if not bounds[0] <= size <= bounds[1]:
            raise ValueError(f"must be from {lowest} to {highest}, not {_shown(text)}")
        return size

    return check


def duration_between(lowest: str, highest: str) -> Callable[[str], float]:
    """Make a validator: seconds from ``lowest`` to ``highest``, both included."""
    bounds = parse_duration(lowest), parse_duration(highest)

    def check(text: str) -> float:
        seconds = parse_duration(text)
        if not bounds[0] <= seconds <= bounds[1]:
            raise ValueError(f"must be from {lowest} to {highest}, not {_shown(text)}")
        return seconds

    return check


def _shown(value: object) -> str:
    text = str(value)
    return repr(text) if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]!r}..."


MemoryLimit = Annotated[int, BeforeValidator(quantity_between("1Mi", "4Gi"))]
"""Bytes of linear memory."""

CpuLimit = Annotated[float, BeforeValidator(duration_between("1ms", "60s"))]
"""Seconds of CPU."""

Backoff = Annotated[float, BeforeValidator(duration_between("10ms", "1h"))]
"""Seconds between two starts."""

ValidDuration = Annotated[float, BeforeValidator(duration_between("0s", "24h"))]
"""Seconds that an answer holds."""

VmAge = Annotated[float, BeforeValidator(duration_between("1s", "8760h"))]
"""Seconds that a VM lives."""
