"""Spans sent by OTLP over gRPC, in batches.

They wait in a bounded queue; a receiver that is down, slow or answers nonsense costs the spans that
there is no room for, and nothing else.
"""

import asyncio
import contextlib
import logging
from typing import Self

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import SpanExportResult

from mixer.telemetry import SpanCounts
from mixer.telemetry.otel import resource
from mixer.telemetry.span import Span
from mixer.telemetry.span_otel import readable
from mixer.telemetry.tracing import SpanQueue
from mixer.transport.otlp_sender import OtlpSender
from mixer.transport.spans_push import SpanSettings

_log = logging.getLogger(__name__)


class SpanPush(OtlpSender):
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
        self._full = asyncio.Event()
        self._exporter = OTLPSpanExporter(endpoint=settings.endpoint, timeout=settings.timeout)
        super().__init__("spans", settings.endpoint, self._exporter.shutdown)

    async def __aenter__(self) -> Self:
        self._queue.on_batch = self._full.set
        return await super().__aenter__()

    async def _wait(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.interval):
                await self._full.wait()
        self._full.clear()

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
        if taken:
            self._counts.sent += spans
        else:
            self._counts.failed += spans
        self._tell(is_down=not taken)
