"""What the service tells of itself and of its modules: metrics, to be fetched or sent."""

from mixer.telemetry.exposition import Exposition, OpenMetrics, PrometheusText, negotiate
from mixer.telemetry.metrics import Metrics
from mixer.telemetry.own import OWN, OwnMetric

__all__ = [
    "OWN",
    "Exposition",
    "Metrics",
    "OpenMetrics",
    "OwnMetric",
    "PrometheusText",
    "negotiate",
]
