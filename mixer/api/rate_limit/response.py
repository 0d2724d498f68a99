"""From an answer to the bytes of a RateLimitResponse."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from envoy.config.core.v3 import base_pb2
from envoy.service.ratelimit.v3 import rls_pb2

from mixer.api.rate_limit.answer import Answer
from mixer.api.rate_limit.headers import header_fields
from mixer.api.rate_limit.status import Status, summary
from mixer.config import RateLimitHeaders
from mixer.engine import QuotaStanding

_Response = rls_pb2.RateLimitResponse
_RateLimit = _Response.RateLimit
_U32 = (1 << 32) - 1
_SECOND = 1_000_000_000
_DAY = 24 * 3600 * _SECOND
_UNITS = {
    _SECOND: _RateLimit.SECOND,
    60 * _SECOND: _RateLimit.MINUTE,
    3600 * _SECOND: _RateLimit.HOUR,
    _DAY: _RateLimit.DAY,
    7 * _DAY: _RateLimit.WEEK,
    30 * _DAY: _RateLimit.MONTH,
    365 * _DAY: _RateLimit.YEAR,
}
"""As envoyproxy/ratelimit counts them; a window of another length has the unit UNKNOWN."""


def encode(answer: Answer, headers: RateLimitHeaders) -> bytes:
    """Write a RateLimitResponse.

    Args:
        answer: What came of the request.
        headers: Which headers the response to the client gets.
    """
    response = _Response(overall_code=_code(over_limit=answer.is_over_limit))
    for status in answer.statuses:
        _write(response.statuses.add(), status)
    fields = header_fields(headers, (one.standing for one in answer.statuses))
    if answer.is_over_limit and fields:
        fields += _retry_after(answer.statuses)
    _add_headers(response, fields)
    _describe(response, summary(answer.statuses))
    return bytes(response.SerializeToString())


@lru_cache(maxsize=512)
def refuse(reason: str, retry_after: int | None = None) -> bytes:
    """The answer to a request that no adapter was asked about: OVER_LIMIT.

    A gRPC status would let the request pass in an Envoy without ``failure_mode_deny``.

    Args:
        reason: Why, for the log of whoever asked.
        retry_after: Seconds after which the client may try again.
    """
    response = _Response(overall_code=_Response.OVER_LIMIT)
    if retry_after is not None:
        _add_headers(response, [("retry-after", str(retry_after))])
    _describe(response, Status(is_over_limit=True, reason=reason))
    return bytes(response.SerializeToString())


def _code(*, over_limit: bool) -> int:
    return int(_Response.OVER_LIMIT if over_limit else _Response.OK)


def _write(message: Any, status: Status) -> None:
    standing = status.standing
    message.code = _code(over_limit=status.is_over_limit)
    message.limit_remaining = min(standing.remaining or 0, _U32)
    if standing.limit is not None:
        _write_limit(message.current_limit, standing.limit, standing)
    if standing.reset is not None:
        message.duration_until_reset.seconds = standing.reset


def _write_limit(message: Any, limit: int, standing: QuotaStanding) -> None:
    message.name = standing.policy
    message.requests_per_unit = min(limit, _U32)
    message.unit = _UNITS.get(standing.window or 0, _RateLimit.UNKNOWN)


def _retry_after(statuses: Iterable[Status]) -> list[tuple[str, str]]:
    """The seconds until all limits that refuse have a new window, where they tell."""
    resets = [one.standing.reset for one in statuses if one.is_over_limit]
    known = [reset for reset in resets if reset is not None]
    return [("retry-after", str(max([1, *known])))] if known else []


def _add_headers(response: Any, fields: Iterable[tuple[str, str]]) -> None:
    for key, value in fields:
        response.response_headers_to_add.append(base_pb2.HeaderValue(key=key, value=value))


def _describe(response: Any, status: Status) -> None:
    """Say in the filter's dynamic metadata who decided and why."""
    response.dynamic_metadata.update({"adapter": status.adapter, "reason": status.reason})
