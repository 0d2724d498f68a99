"""``spec.rateLimit`` of the ``Mixer`` document: Envoy's two protocols for rate limits."""

from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Field

from mixer.config.model import Choice, Model
from mixer.config.units import duration_between

TimeToLive = Annotated[float, BeforeValidator(duration_between("2s", "24h"))]
Idle = Annotated[float, BeforeValidator(duration_between("1s", "24h"))]


class RateLimitHeaders(StrEnum):
    """Which header fields tell clients how they stand; by versions of the IETF's draft."""

    OFF = "OFF"
    DRAFT_VERSION_03 = "DRAFT_VERSION_03"
    DRAFT_VERSION_10 = "DRAFT_VERSION_10"


class QuotaStrategy(StrEnum):
    """How a share of a limit is told."""

    TOKEN_BUCKET = "TOKEN_BUCKET"  # noqa: S105 - no password
    REQUESTS_PER_TIME_UNIT = "REQUESTS_PER_TIME_UNIT"


class RateLimitQuota(Model):
    """What proxies are assigned, and how many there may be.

    Attributes:
        strategy: ``REQUESTS_PER_TIME_UNIT`` only for clients that know it, which Envoy does not;
            windows that are no unit of time are told as token buckets nevertheless.
        assignment_time_to_live: Seconds that an assignment holds unless it is renewed, which is
            done at half of them; 2s to 24h, a duration in YAML. Its fraction of a second is cut.
        abandon_after: Seconds without a report or without a request after which a bucket is
            forgotten, 1s to 24h.
        max_streams: Proxies at a time, 1 to 1000000; each takes one of
            ``limits.maxConcurrentRpcs``.
        max_buckets: Buckets of all streams together, 1 to 1000000.
    """

    strategy: Choice[QuotaStrategy] = QuotaStrategy.TOKEN_BUCKET
    assignment_time_to_live: TimeToLive = 60.0
    abandon_after: Idle = 600.0
    max_streams: Annotated[int, Field(ge=1, le=1_000_000)] = 512
    max_buckets: Annotated[int, Field(ge=1, le=1_000_000)] = 16_384


class RateLimit(Model):
    """The rate limit service and rate limit quota.

    Attributes:
        response_headers: That the rate limit service has added to responses.
        quota: Rate limit quota.
    """

    response_headers: Choice[RateLimitHeaders] = RateLimitHeaders.DRAFT_VERSION_10
    quota: RateLimitQuota = RateLimitQuota()
