"""Spans sent to a receiver that is killed, slow, back again, or answers nonsense."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
from opentelemetry.exporter.otlp.proto.grpc import exporter

from mixer.config import Otlp, Telemetry, Traces
from mixer.telemetry import SpanCounts
from mixer.telemetry.span import Span
from mixer.telemetry.tracing import MAX_WAITING, SpanQueue
from mixer.transport.otlp_spans import SpanPush
from mixer.transport.spans_push import SpanSettings, span_settings
from tests.support.trace_receiver import (
    Answer,
    TraceReceiver,
    attributes_of,
    lies,
    refuses,
    takes,
)

TRACE_ID, OFTEN_S = 0x0AF7651916CD43DD8448EB211C80319C, 0.02


@pytest.fixture
def receiver() -> Iterator[TraceReceiver]:
    """A receiver that is running."""
    with TraceReceiver() as running:
        yield running


@pytest.fixture(autouse=True)
def every_failure_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exporter otherwise logs one failure in twenty seconds, whichever test it is in."""
    monkeypatch.setattr(logging.getLogger(exporter.__name__), "filters", [])


def a_span(number: int = 1, **attributes: str) -> Span:
    return Span("call", TRACE_ID, number, 7, True, 1_000, 2_000, {**attributes})


class Sending:
    """Spans on their way to a receiver."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self.counts = SpanCounts()
        self.queue = SpanQueue(self.counts)
        settings = SpanSettings(url, OFTEN_S, timeout_s, {"zone": "a"})
        self.push = SpanPush(self.queue, self.counts, settings)

    @property
    def done(self) -> int:
        return self.counts.sent + self.counts.failed


@asynccontextmanager
async def sending(url: str, timeout_s: float = 10.0) -> AsyncIterator[Sending]:
    made = Sending(url, timeout_s)
    async with made.push:
        yield made


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30.0):
        while True:
            if condition():
                return
            await asyncio.sleep(0.005)


async def test_what_is_sent(receiver: TraceReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names, ids, times and attributes arrive, with who made the span."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-token=secret")
    root = Span("root", 5, 6, 0, False, 1, 2, {"n": 3, "yes": True}, error=True)
    whole = Span(
        "call", TRACE_ID, 1, 7, True, 1_000, 2_000, {"k": "v"}, state="a=1,b=2", remote=True
    )
    async with sending(receiver.url) as out:
        out.queue.put([whole, root])
        await until(lambda: out.counts.sent == 2)
    call, other = receiver.spans("mixer")
    assert (call.name, call.trace_id.hex()) == ("call", f"{TRACE_ID:032x}")
    assert (call.span_id.hex(), call.parent_span_id.hex()) == (f"{1:016x}", f"{7:016x}")
    assert (call.start_time_unix_nano, call.end_time_unix_nano) == (1_000, 2_000)
    assert (call.kind, other.kind) == (call.SPAN_KIND_SERVER, call.SPAN_KIND_INTERNAL)
    assert (call.trace_state, attributes_of(call)) == ("a=1,b=2", {"k": "v"})
    assert call.status.code == call.status.STATUS_CODE_UNSET
    assert (other.parent_span_id, attributes_of(other)) == (b"", {"n": 3, "yes": True})
    assert other.status.code == call.status.STATUS_CODE_ERROR
    assert receiver.metadata["x-token"] == "secret"


async def test_text_that_is_none(receiver: TraceReceiver) -> None:
    """What cannot be written as UTF-8 is shown so that it can, and harms no other span."""
    odd = Span("na\udcffme", TRACE_ID, 1, 0, True, 1, 2, {"k": "\ud800\0"})
    async with sending(receiver.url) as out:
        out.queue.put([odd, a_span()])
        await until(lambda: out.done == 2)
    named, _ = receiver.spans()
    assert (named.name, attributes_of(named)) == (r"na\udcffme", {"k": "\\ud800\0"})


async def test_the_end_is_sent(receiver: TraceReceiver) -> None:
    """What waits when the service ends is sent before."""
    made = Sending(receiver.url, 10.0)
    async with made.push:
        made.queue.put([a_span()])
    assert len(receiver.spans()) == made.counts.sent == 1


async def test_full_batches_do_not_wait(receiver: TraceReceiver) -> None:
    """Very many are sent at once, in messages of a bounded size."""
    made = Sending(receiver.url, 10.0)
    made.push._settings = SpanSettings(receiver.url, 3600.0, 10.0, {})
    async with made.push:
        for number in range(2048):
            made.queue.put([a_span(number + 1)])
        await until(lambda: made.counts.sent == 2048)
        assert receiver.messages >= 4


@pytest.mark.parametrize("answer", [lies, refuses])
async def test_an_answer_that_is_none(
    receiver: TraceReceiver, caplog: pytest.LogCaptureFixture, answer: Answer
) -> None:
    """The spans are counted as failed, which is logged once, and later ones are sent."""
    receiver.answer = answer
    async with sending(receiver.url) as out:
        for number in range(3):
            out.queue.put([a_span()])
            await until(lambda number=number: out.counts.failed == number + 1)
        receiver.answer = takes
        out.queue.put([a_span()])
        await until(lambda: out.counts.sent == 1)
    assert caplog.text.count("takes no spans") == 1
    assert "Failed to export" not in caplog.text


async def test_a_receiver_that_does_not_answer(receiver: TraceReceiver) -> None:
    """Nobody waits for it; what waits is bounded, and what is beyond is dropped and counted."""
    receiver.may_answer.clear()
    async with sending(receiver.url, timeout_s=0.3) as out:
        out.queue.put([a_span()])
        await until(lambda: receiver.messages > 0)
        for number in range(3 * MAX_WAITING):
            out.queue.put([a_span(number + 1)])
            assert len(out.queue) <= MAX_WAITING
        assert out.counts.dropped >= 3 * MAX_WAITING - MAX_WAITING - 512
        await until(lambda: out.counts.failed > 0)
        receiver.may_answer.set()
        before = out.counts.sent
        out.queue.put([a_span()])
        await until(lambda: out.counts.sent > before)


async def test_a_receiver_that_is_killed_and_started_again() -> None:
    """Spans are sent again once it is back, without a restart of the service."""
    with TraceReceiver() as first:
        async with sending(first.url, timeout_s=0.3) as out:
            out.queue.put([a_span()])
            await until(lambda: out.counts.sent == 1)
            first.stop()
            out.queue.put([a_span()])
            await until(lambda: out.counts.failed == 1)
            with TraceReceiver(first.port) as second:

                def came() -> bool:
                    out.queue.put([a_span()])
                    return bool(second.spans())

                await until(came)


async def test_an_end_without_a_receiver() -> None:
    """The service ends all the same."""
    made = Sending("http://127.0.0.1:1", 0.2)
    async with asyncio.timeout(30.0):
        async with made.push:
            made.queue.put([a_span()])
    assert made.counts.sent == 0


def test_settings() -> None:
    """Without traces there is nothing to send; the metrics' receiver is the default."""
    otlp = Otlp.model_validate({"endpoint": "http://a:1", "resourceAttributes": {"k": "v"}})
    own = Traces.model_validate({"endpoint": "http://b:2", "interval": "1s", "timeout": "2s"})
    assert span_settings(Telemetry(otlp=otlp), {}) is None
    shared = span_settings(Telemetry(otlp=otlp, traces=Traces()), {})
    assert shared == SpanSettings("http://a:1", 5.0, 10.0, {"k": "v"})
    assert span_settings(Telemetry(traces=own), {}) == SpanSettings("http://b:2", 1.0, 2.0, {})
    assert span_settings(Telemetry(traces=own), {"OTEL_SDK_DISABLED": "true"}) is None


async def test_a_defect_of_our_own(
    receiver: TraceReceiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot even be written is counted as failed, logged, and ends nothing."""
    async with sending(receiver.url) as out:
        with monkeypatch.context() as patch:
            patch.setattr("mixer.transport.otlp_spans.readable", None)
            out.queue.put([a_span()])
            await until(lambda: out.counts.failed == 1)
        out.queue.put([a_span()])
        await until(lambda: out.counts.sent == 1)
    assert "spans could not be sent" in caplog.text
