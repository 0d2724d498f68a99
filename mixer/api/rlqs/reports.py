"""From the bytes of RateLimitQuotaUsageReports to usages of buckets, made one at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from envoy.service.rate_limit_quota.v3 import rlqs_pb2
from google.protobuf.message import DecodeError

from mixer.wire.twins import leave_bytes, twins

MOST_ENTRIES = 64
"""Of a bucket's id."""
MOST_BYTES = 4 * 1024
"""Of a bucket's keys and values together."""
_LONGEST_DOMAIN = 253
_MOST_REQUESTS = (1 << 63) - 1
_NS = 1_000_000_000
_NAME = "envoy.service.rate_limit_quota.v3.RateLimitQuotaUsageReports"
_Reports: Any = twins(rlqs_pb2.DESCRIPTOR, leave_bytes(f"{_NAME}.bucket_quota_usages"))[_NAME]
_BucketUsage = rlqs_pb2.RateLimitQuotaUsageReports.BucketQuotaUsage


class MalformedReportError(Exception):
    """The bytes are no usage reports, or they are of another domain than the stream."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """What requests are counted in together.

    Attributes:
        domain: Whose it is.
        entries: Keys and values of its id, by key: their order does not count.
    """

    domain: str
    entries: tuple[tuple[str, str], ...]

    @property
    def is_too_large(self) -> bool:
        """Whether nothing is kept of it. It holds what clients send: no stream ends for it."""
        size = sum(len(key.encode()) + len(value.encode()) for key, value in self.entries)
        return len(self.entries) > MOST_ENTRIES or size > MOST_BYTES


@dataclass(frozen=True, slots=True)
class Usage:
    """What a proxy made of a bucket since its last report.

    Attributes:
        bucket: Which.
        elapsed: Nanoseconds since then; 0 in the first one.
        allowed: Requests that it let pass.
        denied: Requests that it refused.
    """

    bucket: Bucket
    elapsed: int = 0
    allowed: int = 0
    denied: int = 0


class Domain:
    """That of a stream: the first message tells it, and no later one another.

    Attributes:
        name: None before the first message.
    """

    __slots__ = ("name",)

    def __init__(self) -> None:
        self.name: str | None = None

    def settle(self, told: str) -> str:
        """What it is, after a message that told `told`.

        Raises:
            MalformedReportError: It is none, or another one.
        """
        if self.name is None:
            if not 1 <= len(told) <= _LONGEST_DOMAIN:
                raise MalformedReportError(f"domain: must be 1 to {_LONGEST_DOMAIN} characters")
            self.name = told
        if told not in ("", self.name):
            raise MalformedReportError("domain: another one than in the first message")
        return self.name


class Usages:
    """Those of one message, in order.

    Args:
        frames: The bytes of each.
        domain: Of the stream.
    """

    def __init__(self, frames: Sequence[bytes], domain: str) -> None:
        self._frames = frames
        self._domain = domain

    def __len__(self) -> int:
        return len(self._frames)

    def __iter__(self) -> Iterator[Usage]:
        """Each as it is asked for: one message can have hundreds of thousands.

        Raises:
            MalformedReportError: One cannot be read; those before it were given.
        """
        for number, frame in enumerate(self._frames, start=1):
            place = f"usage {number} of {len(self)}"
            try:
                message = _BucketUsage.FromString(frame)
            except DecodeError as error:
                raise MalformedReportError(f"{place}: no usage of a bucket: {error}") from error
            yield _usage(message, self._domain, place)


def decode(data: bytes, domain: Domain) -> Usages:
    """Read a message of a stream; its usages are not looked at.

    Args:
        data: The message.
        domain: Of the stream.

    Raises:
        MalformedReportError: The bytes are none, or it cannot be answered.
    """
    try:
        message = _Reports.FromString(data)
    except DecodeError as error:
        raise MalformedReportError(f"no usage reports: {error}") from error
    if isinstance(message.domain, bytes):  # see `mixer.wire.twins`
        raise MalformedReportError("no usage reports: domain: it is not UTF-8")
    return Usages(message.bucket_quota_usages, domain.settle(message.domain))


def _usage(message: Any, domain: str, place: str) -> Usage:
    entries = tuple(sorted(message.bucket_id.bucket.items()))
    if not entries:
        raise MalformedReportError(f"{place}: bucket_id: it is empty")
    elapsed = message.time_elapsed.seconds * _NS + message.time_elapsed.nanos
    return Usage(
        Bucket(domain, entries),
        max(0, elapsed),
        min(message.num_requests_allowed, _MOST_REQUESTS),
        min(message.num_requests_denied, _MOST_REQUESTS),
    )
