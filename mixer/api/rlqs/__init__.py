"""Envoy's rate limit quota: RateLimitQuotaService/StreamRateLimitQuotas, all streams together."""

from mixer.api.rlqs.actions import encode
from mixer.api.rlqs.hub import Hub, TooManyStreamsError
from mixer.api.rlqs.questions import Question
from mixer.api.rlqs.reports import Bucket, Domain, MalformedReportError, Usage, Usages, decode
from mixer.api.rlqs.standing import FAILED, Standing, standing_of
from mixer.api.rlqs.stream import Stream

SERVICE = "envoy.service.rate_limit_quota.v3.RateLimitQuotaService"
METHOD = "StreamRateLimitQuotas"

__all__ = [
    "FAILED",
    "METHOD",
    "SERVICE",
    "Bucket",
    "Domain",
    "Hub",
    "MalformedReportError",
    "Question",
    "Standing",
    "Stream",
    "TooManyStreamsError",
    "Usage",
    "Usages",
    "decode",
    "encode",
    "standing_of",
]
