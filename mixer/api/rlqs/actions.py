"""From what holds for a bucket to the bytes of a RateLimitQuotaResponse.

Written for what Envoy makes of it: it knows token buckets and blanket rules, counts time in whole
seconds (an interval of less than one would be no limit at all), takes an assignment without a time
to live for one that is over, and keeps its tokens where a token bucket comes again unchanged.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from envoy.service.rate_limit_quota.v3 import rlqs_pb2
from envoy.type.v3 import ratelimit_strategy_pb2, ratelimit_unit_pb2

from mixer.api.rlqs.reports import Bucket
from mixer.config import QuotaStrategy

_U32 = (1 << 32) - 1
_NS = 1_000_000_000
_DAY = 24 * 3600 * _NS
_UNITS = {
    _NS: ratelimit_unit_pb2.SECOND,
    60 * _NS: ratelimit_unit_pb2.MINUTE,
    3600 * _NS: ratelimit_unit_pb2.HOUR,
    _DAY: ratelimit_unit_pb2.DAY,
    30 * _DAY: ratelimit_unit_pb2.MONTH,
    365 * _DAY: ratelimit_unit_pb2.YEAR,
}
_Strategy = ratelimit_strategy_pb2.RateLimitStrategy


@dataclass(frozen=True, slots=True)
class AllowAll:
    """There is no limit."""


@dataclass(frozen=True, slots=True)
class DenyAll:
    """Nothing is left, or nobody could tell."""


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a limit.

    Attributes:
        requests: In a window, 1 or more.
        window: Nanoseconds.
    """

    requests: int
    window: int


@dataclass(frozen=True, slots=True)
class Abandon:
    """The bucket is forgotten here, and is to be forgotten there."""


Assignment = AllowAll | DenyAll | Share
Action = Assignment | Abandon


def encode(
    actions: Iterable[tuple[Bucket, Action]], time_to_live: float, strategy: QuotaStrategy
) -> bytes:
    """Write a message.

    Args:
        actions: What becomes of which bucket, in order.
        time_to_live: Seconds that assignments hold.
        strategy: How shares are told.
    """
    response = rlqs_pb2.RateLimitQuotaResponse()
    for bucket, action in actions:
        message = response.bucket_action.add()
        message.bucket_id.bucket.update(bucket.entries)
        if isinstance(action, Abandon):
            message.abandon_action.SetInParent()
            continue
        assignment = message.quota_assignment_action
        assignment.assignment_time_to_live.seconds = int(time_to_live)
        _write(assignment.rate_limit_strategy, action, strategy)
    return bytes(response.SerializeToString())


def _write(message: Any, assignment: Assignment, strategy: QuotaStrategy) -> None:
    if isinstance(assignment, AllowAll):
        message.blanket_rule = _Strategy.ALLOW_ALL
    elif isinstance(assignment, DenyAll):
        message.blanket_rule = _Strategy.DENY_ALL
    elif strategy is QuotaStrategy.REQUESTS_PER_TIME_UNIT and assignment.window in _UNITS:
        message.requests_per_time_unit.requests_per_time_unit = assignment.requests
        message.requests_per_time_unit.time_unit = _UNITS[assignment.window]
    else:
        _write_tokens(message.token_bucket, assignment)


def _write_tokens(message: Any, share: Share) -> None:
    seconds = -(-share.window // _NS)
    message.max_tokens = min(share.requests, _U32)
    message.tokens_per_fill.value = min(share.requests * seconds * _NS // share.window, _U32)
    message.fill_interval.seconds = seconds
