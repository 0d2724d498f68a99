"""What a module says of its answer beyond the ABI, by properties that it sets.

In Envoy they are properties like any other, and do nothing: ``mixer.valid_duration`` (a duration
such as ``5s``), ``mixer.valid_use_count``, ``mixer.quota.granted`` and ``mixer.deny.code`` (numbers
in decimal), and how a quota stands: ``mixer.quota.limit`` and ``mixer.quota.remaining`` (amounts),
``mixer.quota.reset`` (whole seconds until the window ends), ``mixer.quota.window`` (a duration) and
``mixer.quota.policy`` (what the limit is called). Path parts may be joined by NUL or a dot.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mixer.config.units import parse_duration
from mixer.engine.validity import UNLIMITED, Validity

_PREFIX = b"mixer"
_NS = 1_000_000_000
_LONGEST = 24 * 3600 * _NS
_SHOWN = 40
_NUMBER = re.compile(rb"-?[0-9]{1,19}")
_I32 = range(-(1 << 31), 1 << 31)
_I64 = range(-(1 << 63), 1 << 63)
_AMOUNTS = range(1 << 63)
_SECONDS = range(1 << 33)
_LONGEST_POLICY = 256
_LONGEST_WINDOW = 366 * _LONGEST
_CODES = range(1, 17)


class SaidError(ValueError):
    """A module set one of these properties to what it cannot be."""


@dataclass(slots=True)
class Said:
    """What one plugin said of one request; None for what it did not.

    Attributes:
        duration: Nanoseconds that its answer holds.
        use_count: How often it may be used again.
        granted: Amount of the quota that was asked for.
        code: gRPC code of its denial.
        limit: Amount that there is of the quota in one window.
        remaining: What is left of it.
        reset: Seconds until the window ends.
        window: Nanoseconds of a window.
        policy: What the limit is called.
    """

    duration: int | None = None
    use_count: int | None = None
    granted: int | None = None
    code: int | None = None
    limit: int | None = None
    remaining: int | None = None
    reset: int | None = None
    window: int | None = None
    policy: str = ""

    def validity(self, default: "Said") -> Validity | None:
        """How long the answer holds.

        Args:
            default: What the configuration says.
        """
        duration = default.duration if self.duration is None else self.duration
        if duration is None:
            return None
        uses = default.use_count if self.use_count is None else self.use_count
        return Validity(duration, UNLIMITED if uses is None else uses)


NOTHING = Said()
"""What most modules say."""

NONSENSE = Said()
"""What a module said of which a part makes no sense: it holds for nothing, and grants nothing."""


def what_was_said(properties: Mapping[bytes, bytes] | None) -> Said:
    """Read the properties that a plugin set.

    Args:
        properties: By path; None where it set none.

    Raises:
        SaidError: One has no such value.
    """
    if properties is None:
        return NOTHING
    said = Said()
    for path, value in properties.items():
        if path.startswith(_PREFIX):
            field = _FIELDS.get(path.replace(b"\0", b"."))
            if field is not None:
                setattr(said, field[0], field[1](value))
    return said


def _duration(name: str, longest: int) -> Callable[[bytes], int]:
    def read(value: bytes) -> int:
        try:
            return min(round(parse_duration(value.decode()) * _NS), longest)
        except ValueError:
            raise _refused(name, value, "a duration such as 5s") from None

    return read


def _policy(value: bytes) -> str:
    text = value.decode(errors="replace")
    if len(text) > _LONGEST_POLICY:
        wanted = f"a text of at most {_LONGEST_POLICY} characters"
        raise _refused("mixer.quota.policy", value, wanted)
    return text


def _number(name: str, bounds: range) -> Callable[[bytes], int]:
    def read(value: bytes) -> int:
        if not _NUMBER.fullmatch(value) or int(value) not in bounds:
            raise _refused(name, value, f"a number from {bounds[0]} to {bounds[-1]}")
        return int(value)

    return read


def _refused(name: str, value: bytes, wanted: str) -> SaidError:
    return SaidError(f"{name} must be {wanted}, not {value[:_SHOWN]!r}")


_FIELDS: dict[bytes, tuple[str, Callable[[bytes], Any]]] = {
    b"mixer.valid_duration": ("duration", _duration("mixer.valid_duration", _LONGEST)),
    b"mixer.valid_use_count": ("use_count", _number("mixer.valid_use_count", _I32)),
    b"mixer.quota.granted": ("granted", _number("mixer.quota.granted", _I64)),
    b"mixer.quota.limit": ("limit", _number("mixer.quota.limit", _AMOUNTS)),
    b"mixer.quota.remaining": ("remaining", _number("mixer.quota.remaining", _AMOUNTS)),
    b"mixer.quota.reset": ("reset", _number("mixer.quota.reset", _SECONDS)),
    b"mixer.quota.window": ("window", _duration("mixer.quota.window", _LONGEST_WINDOW)),
    b"mixer.quota.policy": ("policy", _policy),
    b"mixer.deny.code": ("code", _number("mixer.deny.code", _CODES)),
}
