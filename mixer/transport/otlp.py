"""Metrics sent by OTLP over gRPC, time and again.

They are read on the event loop, piece by piece; the thread that sends gets only what was read.
"""

import asyncio
import logging
import time

from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import Metric, MetricExportResult, MetricsData

from mixer.telemetry import Metrics
from mixer.telemetry.otel import data, metrics_of, resource
from mixer.transport.metrics_push import PushSettings
from mixer.transport.otlp_sender import OtlpSender

_log = logging.getLogger(__name__)

_POINTS_IN_A_MESSAGE = 500


class OtlpPush(OtlpSender):
    """Sends while entered, and once more at the end.

    Args:
        metrics: What is sent.
        settings: Where to, and how often.
    """

    def __init__(self, metrics: Metrics, settings: PushSettings) -> None:
        self._metrics = metrics
        self._settings = settings
        self._resource = resource(settings.resource_attributes)
        self._started = time.time_ns()
        self._exporter = OTLPMetricExporter(
            endpoint=settings.endpoint,
            timeout=settings.timeout,
            max_export_batch_size=_POINTS_IN_A_MESSAGE,
        )
        super().__init__("metrics", settings.endpoint, self._exporter.shutdown)

    async def _wait(self) -> None:
        await asyncio.sleep(self._settings.interval)

    async def _send_all(self) -> None:
        try:
            await self._send()
        except Exception:
            _log.exception("metrics could not be sent")

    async def _send(self) -> None:
        read = await self._read()
        result = await asyncio.to_thread(self._exporter.export, read)
        self._tell(is_down=result is not MetricExportResult.SUCCESS)

    async def _read(self) -> MetricsData:
        found: list[Metric] = []
        for families in self._metrics.pieces():
            found += metrics_of(families, self._started, time.time_ns())
            await asyncio.sleep(0)
        return data(self._resource, [one for one in found if one.data.data_points])
