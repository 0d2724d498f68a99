"""What a caller of the Mixer v1 API embeds: caches of answers and quota, and batches of reports."""

from mixer.client.async_client import AsyncMixerClient
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
from mixer.client.sync_client import MixerClient
from mixer.client.tls import TlsSettings

__all__ = [
    "AsyncMixerClient",
    "CheckCacheSettings",
    "CheckResult",
    "ClientMetrics",
    "ClientSettings",
    "HeaderAction",
    "HeaderOperation",
    "MixerClient",
    "NetworkFailPolicy",
    "Quota",
    "QuotaCacheSettings",
    "QuotaResult",
    "ReportBufferFullError",
    "ReportEncoding",
    "ReportSettings",
    "RetrySettings",
    "RouteDirective",
    "TlsSettings",
]
