"""Metrics sent by OTLP over gRPC, time and again.

They are read on the event loop, piece by piece; the thread that sends gets only what was read.
"""

import asyncio
import contextlib
import logging
import time
from types import TracebackType

from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import Metric, MetricExportResult, MetricsData

from mixer.telemetry import Metrics
from mixer.telemetry.otel import data, metrics_of, resource
from mixer.transport.metrics_push import PushSettings

_log = logging.getLogger(__name__)
_EXPORTERS = "opentelemetry.exporter"

_POINTS_IN_A_MESSAGE = 500
_LAST_S = 2.0


class OtlpPush:
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
        self._is_down = False
        self._exporter = OTLPMetricExporter(
            endpoint=settings.endpoint,
            timeout=settings.timeout,
            max_export_batch_size=_POINTS_IN_A_MESSAGE,
        )

    async def __aenter__(self) -> "OtlpPush":
        logging.getLogger(_EXPORTERS).setLevel(logging.CRITICAL)  # `_tell` says it once
        self._task = asyncio.create_task(self._send_for_ever())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_S):
                await self._try_to_send()
        self._exporter.shutdown()

    async def _send_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._settings.interval)
            await self._try_to_send()

    async def _try_to_send(self) -> None:
        try:
            await self._send()
        except Exception:
            _log.exception("metrics could not be sent")

    async def _send(self) -> None:
        read = await self._read()
        result = await asyncio.to_thread(self._exporter.export, read)
        self._tell(is_down=result is not MetricExportResult.SUCCESS)

    def _tell(self, *, is_down: bool) -> None:
        """One line for each outage; the exporter's own would be two for each interval."""
        if is_down and not self._is_down:
            _log.warning("OTLP at %s takes no metrics", self._settings.endpoint)
        elif self._is_down and not is_down:
            _log.info("OTLP at %s takes metrics again", self._settings.endpoint)
        self._is_down = is_down

    async def _read(self) -> MetricsData:
        found: list[Metric] = []
        for families in self._metrics.pieces():
            found += metrics_of(families, self._started, time.time_ns())
            await asyncio.sleep(0)
        return data(self._resource, [one for one in found if one.data.data_points])
