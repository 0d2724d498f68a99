"""Spans sent by OTLP over gRPC, in batches.

They wait in a bounded queue; a receiver that is down, slow or answers nonsense costs the spans that
there is no room for, and nothing else.
"""

import asyncio
import contextlib
import logging
from types import TracebackType

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import SpanExportResult

from mixer.telemetry import SpanCounts
from mixer.telemetry.otel import resource
from mixer.telemetry.span import Span
from mixer.telemetry.span_otel import readable
from mixer.telemetry.tracing import SpanQueue
from mixer.transport.spans_push import SpanSettings

_log = logging.getLogger(__name__)
_EXPORTERS = "opentelemetry.exporter"

_LAST_S = 2.0


class SpanPush:
    """Sends while entered, and what is left at the end.

    Args:
        queue: What is to be sent.
        counts: What becomes of it.
        settings: Where to, and how often.
    """

    def __init__(self, queue: SpanQueue, counts: SpanCounts, settings: SpanSettings) -> None:
        self._queue = queue
        self._counts = counts
        self._settings = settings
        self._resource = resource(settings.resource_attributes)
        self._is_down = False
        self._full = asyncio.Event()
        self._exporter = OTLPSpanExporter(endpoint=settings.endpoint, timeout=settings.timeout)

    async def __aenter__(self) -> "SpanPush":
        logging.getLogger(_EXPORTERS).setLevel(logging.CRITICAL)  # `_tell` says it once
        self._queue.on_batch = self._full.set
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
                await self._send_all()
        self._exporter.shutdown()

    async def _send_for_ever(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.interval):
                    await self._full.wait()
            self._full.clear()
            await self._send_all()

    async def _send_all(self) -> None:
        """Send what there is now; what comes meanwhile too, if it makes a batch."""
        while spans := self._queue.take():
            taken = False
            try:
                taken = await asyncio.to_thread(self._send, spans)
            except Exception:
                _log.exception("spans could not be sent")
            finally:
                self._count(len(spans), taken=taken)

    def _send(self, spans: list[Span]) -> bool:
        """Send one message, in a thread of its own; whether the receiver took it."""
        ready = [readable(span, self._resource) for span in spans]
        return self._exporter.export(ready) is SpanExportResult.SUCCESS

    def _count(self, spans: int, *, taken: bool) -> None:
        """One line for each outage; the exporter's own would be one for each batch."""
        if taken:
            self._counts.sent += spans
        else:
            self._counts.failed += spans
        if not taken and not self._is_down:
            _log.warning("OTLP at %s takes no spans", self._settings.endpoint)
        elif self._is_down and taken:
            _log.info("OTLP at %s takes spans again", self._settings.endpoint)
        self._is_down = not taken
