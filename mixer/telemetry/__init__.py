"""What the service tells of itself and of its modules: metrics, to be fetched or sent."""

from mixer.telemetry.calls import Calls, HttpKind, RpcCalls
from mixer.telemetry.exposition import Exposition, OpenMetrics, PrometheusText, negotiate
from mixer.telemetry.metrics import Metrics
from mixer.telemetry.observed import OwnMetric, SpanCounts
from mixer.telemetry.own import OWN

__all__ = [
    "OWN",
    "Calls",
    "Exposition",
    "HttpKind",
    "Metrics",
    "OpenMetrics",
    "OwnMetric",
    "PrometheusText",
    "RpcCalls",
    "SpanCounts",
    "negotiate",
]
