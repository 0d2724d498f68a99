"""Envoy's rate limit service: envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit."""

from mixer.api.rate_limit.answer import Answer, Question, answering
from mixer.api.rate_limit.request import Asked, MalformedRequestError, decode
from mixer.api.rate_limit.response import encode, refuse
from mixer.api.rate_limit.status import summary

SERVICE = "envoy.service.ratelimit.v3.RateLimitService"
METHOD = "ShouldRateLimit"

__all__ = [
    "METHOD",
    "SERVICE",
    "Answer",
    "Asked",
    "MalformedRequestError",
    "Question",
    "answering",
    "decode",
    "encode",
    "refuse",
    "summary",
]
