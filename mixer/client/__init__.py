"""What a caller of the Mixer v1 API embeds: caches of answers and quota, and batches of reports."""

from mixer.client.metrics import ClientMetrics
from mixer.client.reports import ReportBufferFullError
from mixer.client.results import (
    CheckResult,
    HeaderAction,
    HeaderOperation,
    Quota,
    QuotaResult,
    RouteDirective,
)
from mixer.client.settings import (
    CheckCacheSettings,
    ClientSettings,
    NetworkFailPolicy,
    QuotaCacheSettings,
    ReportEncoding,
    ReportSettings,
    RetrySettings,
)

__all__ = [
    "CheckCacheSettings",
    "CheckResult",
    "ClientMetrics",
    "ClientSettings",
    "HeaderAction",
    "HeaderOperation",
    "NetworkFailPolicy",
    "Quota",
    "QuotaCacheSettings",
    "QuotaResult",
    "ReportBufferFullError",
    "ReportEncoding",
    "ReportSettings",
    "RetrySettings",
    "RouteDirective",
]
