"""From the bytes of a RateLimitRequest to what is asked.

Whatever is wrong with a request is told as an error, which the front end answers with OVER_LIMIT:
the values are often those of headers, and no client may write itself free of a limit.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from envoy.service.ratelimit.v3 import rls_pb2
from envoy.type.v3 import ratelimit_unit_pb2
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from mixer.attributes import NOBODY, Entries, FindCaller

MOST_DESCRIPTORS = 256
"""Of one request."""
MOST_ENTRIES = 64
"""Of one descriptor."""
MOST_BYTES = 64 * 1024
"""Of one descriptor's keys and values together."""
_LONGEST_DOMAIN = 253
_MOST_HITS = (1 << 63) - 1
_IS_NEGATIVE_HITS = 4
"""Of a descriptor; newer than the messages that are installed with this."""


class MalformedRequestError(Exception):
    """The bytes are no RateLimitRequest, or one that cannot be answered."""


@dataclass(frozen=True, slots=True)
class Override:
    """The limit that a proxy asks for in place of the configured one.

    Attributes:
        requests_per_unit: How many.
        unit: In what time: ``SECOND`` to ``YEAR``.
    """

    requests_per_unit: int
    unit: str


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What one limit is asked for.

    Attributes:
        entries: Keys and values, in order.
        hits: How much of the limit; 0 only looks at it, and less than 0 is given back.
        limit: In place of the configured one; None leaves that.
    """

    entries: Entries
    hits: int
    limit: Override | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """One request.

    Attributes:
        domain: Whose limits.
        descriptors: At least one.
        caller: Tells who asks.
    """

    domain: str
    descriptors: tuple[Descriptor, ...]
    caller: FindCaller = lambda: NOBODY


def decode(data: bytes, caller: FindCaller = lambda: NOBODY) -> Asked:
    """Read a RateLimitRequest.

    Args:
        data: The message.
        caller: Tells who sent it.

    Raises:
        MalformedRequestError: The bytes are none, or it cannot be answered.
    """
    try:
        message = rls_pb2.RateLimitRequest.FromString(data)
    except DecodeError as error:
        raise MalformedRequestError(f"not a RateLimitRequest: {error}") from error
    _check_number(len(message.domain), "domain: characters", _LONGEST_DOMAIN)
    _check_number(len(message.descriptors), "descriptors", MOST_DESCRIPTORS)
    hits = max(1, message.hits_addend)
    descriptors = tuple(
        _descriptor(one, hits, f"descriptors[{at}]") for at, one in enumerate(message.descriptors)
    )
    return Asked(message.domain, descriptors, caller)


def _descriptor(message: Any, hits: int, path: str) -> Descriptor:
    _check_number(len(message.entries), f"{path}.entries", MOST_ENTRIES)
    pairs = [(one.key, one.value) for one in message.entries]
    if not all(key for key, _ in pairs):
        raise MalformedRequestError(f"{path}.entries: a key is empty")
    _check_size(pairs, path)
    limit = _override(message.limit, path) if message.HasField("limit") else None
    return Descriptor(Entries(pairs), _hits(message, hits), limit)


def _check_number(number: int, what: str, most: int) -> None:
    if not 1 <= number <= most:
        raise MalformedRequestError(f"{what}: there are {number}, must be 1 to {most}")


def _check_size(pairs: Iterable[tuple[str, str]], path: str) -> None:
    size = sum(len(key.encode()) + len(value.encode()) for key, value in pairs)
    if size > MOST_BYTES:
        raise MalformedRequestError(f"{path}: {size} bytes, must be at most {MOST_BYTES}")


def _override(message: Any, path: str) -> Override:
    unit = message.unit
    if unit == ratelimit_unit_pb2.UNKNOWN or unit not in ratelimit_unit_pb2.RateLimitUnit.values():
        raise MalformedRequestError(f"{path}.limit.unit: {unit} is no unit of time")
    return Override(message.requests_per_unit, ratelimit_unit_pb2.RateLimitUnit.Name(unit))


def _hits(message: Any, default: int) -> int:
    """A descriptor's own number may be 0; that of the request is 1 where it is not set."""
    given = message.hits_addend.value if message.HasField("hits_addend") else default
    hits = min(given, _MOST_HITS)
    return -hits if _is_negative(message) else hits


def _is_negative(message: Any) -> bool:
    unknown = UnknownFieldSet(message)
    fields = (unknown[at] for at in range(len(unknown)))
    return any(one.field_number == _IS_NEGATIVE_HITS and one.data == 1 for one in fields)
