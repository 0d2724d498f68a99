"""The spans of a service: what is sampled, and where it goes."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from mixer.config import Telemetry
from mixer.engine import Engine, Request
from mixer.engine.story import Sampler, Story, Wanted
from mixer.telemetry import SpanCounts
from mixer.telemetry.tracing import SpanQueue, Tracer
from mixer.transport.otlp_library import importing
from mixer.transport.spans_push import span_settings
from mixer.transport.watch import Watch


@asynccontextmanager
async def watching(
    engine: Engine, telemetry: Telemetry, environ: Mapping[str, str]
) -> AsyncIterator[tuple[Watch, SpanCounts | None]]:
    """Send spans while entered, where the configuration says so.

    Args:
        engine: Tells of its decisions.
        telemetry: The configuration.
        environ: Of the process.

    Returns:
        Who watches the front ends, and what becomes of spans; None where there are none.

    Raises:
        OtlpLibraryError: Spans cannot be sent.
    """
    settings, traces = span_settings(telemetry, environ), telemetry.traces
    if settings is None or traces is None:
        yield Watch(), None
        return
    with importing("spec.telemetry.traces"):
        from mixer.transport.otlp_spans import SpanPush
    counts = SpanCounts()
    queue = SpanQueue(counts)
    tracer = Tracer(queue, traces.sampling)
    listen(engine, tracer)
    async with SpanPush(queue, counts, settings):
        yield Watch(tracer=tracer), counts


def listen(engine: Engine, tracer: Tracer) -> None:
    """Have an engine tell a tracer of its decisions, beside whoever it tells already."""
    engine.sampler = tracer.wants if engine.sampler is None else _both(engine.sampler, tracer)
    before = engine.on_story

    def tell(story: Story) -> None:
        if before is not None:
            before(story)
        tracer.begins(story)

    engine.on_story = tell


def _both(sampler: Sampler, tracer: Tracer) -> Sampler:
    def wants(request: Request) -> Wanted:
        return sampler(request) | tracer.wants(request)

    return wants
