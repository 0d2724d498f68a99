"""Streams of access logs, and exports of OTLP, where something goes wrong."""

import asyncio
import logging
import time
from collections import namedtuple
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
import pytest
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2

from mixer.engine import Record
from mixer.shedding import Bounds, RateBound, Shedder
from mixer.transport import access_log, otlp_logs
from mixer.transport.endless import EndlessHandler
from tests.api.test_access_log import HTTP_ENTRY, framed, message
from tests.api.test_otlp_logs import export, log_record

_Details = namedtuple("_Details", "method invocation_metadata")
_LONG_S = 30.0


class Told:
    """An engine that keeps the paths that it was told of; those that begin so fail."""

    def __init__(self) -> None:
        self.paths: list[object] = []

    decision_timeout = 30.0

    def recorded(self) -> None:
        return None

    def report(self, record: Record, recorded: None = None) -> tuple[str, ...]:
        path = str(record.attributes.get("request.path"))
        if path.startswith("/defect"):
            raise RuntimeError("a defect")
        self.paths.append(path)
        return ("billing",) if path.startswith("/missed") else ()


class AbortedError(Exception):
    """As gRPC ends a call."""


class Stream:
    """The context of a call whose messages a test puts in.

    Attributes:
        reads: How many messages were asked for.
        trailers: What the call ended with.
    """

    def time_remaining(self) -> None:
        return None

    def __init__(self, *messages: bytes) -> None:
        self.reads = 0
        self.trailers: dict[str, Any] = {}
        self._messages: asyncio.Queue[object] = asyncio.Queue()
        for one in messages:
            self._messages.put_nowait(one)

    def send(self, data: bytes) -> None:
        self._messages.put_nowait(data)

    def end(self) -> None:
        self._messages.put_nowait(grpc.aio.EOF)  # type: ignore[attr-defined]

    async def read(self) -> object:
        self.reads += 1
        return await self._messages.get()

    def peer(self) -> str:
        return "unix:"

    async def abort(self, code: grpc.StatusCode, details: str, trailing_metadata: Any = ()) -> None:
        self.trailers = dict(trailing_metadata)
        raise AbortedError(code, details)


class Logs:
    """The access log service over an engine that keeps."""

    def __init__(self, shedder: Shedder | None = None) -> None:
        self.engine = Told()
        made = access_log.handler(self.engine, shedder)  # type: ignore[arg-type]
        assert isinstance(made, EndlessHandler)
        self.streams = made.streams
        method = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs"
        found: Any = made.service(_Details(method, ()))  # type: ignore[arg-type]
        self._serve: Callable[..., Awaitable[bytes]] = found.stream_unary

    def open(self, stream: Stream) -> "asyncio.Task[bytes]":
        """Begin a stream."""
        return asyncio.ensure_future(asyncio.wait_for(self._serve(None, stream), _LONG_S))  # type: ignore[arg-type]


def entries(*paths: str) -> bytes:
    """A message of entries."""
    found = [HTTP_ENTRY() for _ in paths]
    for one, path in zip(found, paths, strict=True):
        one.request.path = path
    return message(*found)


async def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _LONG_S
    while not true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)


async def test_a_stream_that_ends() -> None:
    """All of its messages are told, in order, and then it is answered."""
    logs, stream = Logs(), Stream(entries("/a", "/b"), entries("/c"))
    stream.end()
    assert await logs.open(stream) == b""
    assert logs.engine.paths == ["/a", "/b", "/c"]


async def test_the_next_message_is_read_when_the_last_one_was_told() -> None:
    """A caller who sends faster than adapters work is slowed down."""
    logs = Logs()
    stream = Stream(entries(*["/a"] * 50_000), entries("/b"))
    call = logs.open(stream)
    await until(lambda: len(logs.engine.paths) > 100)
    assert (stream.reads, len(logs.engine.paths) < 50_000) == (1, True)
    stream.end()
    await call
    assert logs.engine.paths[-1] == "/b"


async def test_others_have_their_turn() -> None:
    """A long message does not keep the loop."""
    logs, turns = Logs(), 0
    stream = Stream(entries(*["/a"] * 20_000))
    stream.end()
    call = logs.open(stream)
    while not call.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 20


async def test_a_malformed_message() -> None:
    """It ends its stream, after what was good was told."""
    logs = Logs()
    stream = Stream(entries("/a"), framed(b"\x1a\x04\x2a\x02/b", b"\xff", b"\x1a\x04\x2a\x02/c"))
    with pytest.raises(AbortedError) as caught:
        await logs.open(stream)
    assert caught.value.args[0] is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.args[1].startswith("entry 2 of 3: not of type HTTPAccessLogEntry")
    assert logs.engine.paths == ["/a", "/b"]


async def test_a_defect_of_one_entry(caplog: pytest.LogCaptureFixture) -> None:
    """The others are told, and the log says what was not."""
    logs, stream = Logs(), Stream(entries("/a", "/defect", "/b", "/defect"))
    stream.end()
    with caplog.at_level(logging.ERROR):
        await logs.open(stream)
    assert logs.engine.paths == ["/a", "/b"]
    assert "2 records of an access log were not told" in caplog.text
    assert caplog.text.count("RuntimeError: a defect") == 1


async def test_a_caller_that_goes_away() -> None:
    """What was read of its stream is told nevertheless, and no more is."""
    logs = Logs()
    call = logs.open(Stream(entries(*["/a"] * 20_000), entries("/b")))
    await until(lambda: bool(logs.engine.paths))
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await until(lambda: len(logs.engine.paths) == 20_000)
    await logs.streams.close()
    assert "/b" not in logs.engine.paths


async def test_so_many_streams() -> None:
    """One more may come again later, also while only the work of one that is gone is left."""
    logs = Logs()
    logs.streams.most = 1
    first = logs.open(Stream(entries(*["/a"] * 20_000)))
    await until(lambda: bool(logs.engine.paths))
    with pytest.raises(AbortedError) as caught:
        await logs.open(Stream())
    told = "more than 1 streams of access logs: try again later"
    assert caught.value.args == (grpc.StatusCode.UNAVAILABLE, told)
    first.cancel()
    with pytest.raises(AbortedError):
        await logs.open(Stream())
    await until(lambda: len(logs.engine.paths) == 20_000)
    await logs.streams.close()
    last = Stream()
    last.end()
    assert await logs.open(last) == b""


async def test_the_stop_of_the_service() -> None:
    """A stream ends when nothing more comes, one that is quiet too, and what came is told."""
    logs = Logs()
    quiet, busy = Stream(), Stream(entries("/a"), entries("/b"))
    calls = [logs.open(quiet), logs.open(busy)]
    await until(lambda: quiet.reads == 1)
    logs.streams.stop(_LONG_S)
    busy.send(entries("/c"))
    assert await asyncio.wait_for(asyncio.gather(*calls), _LONG_S) == [b"", b""]
    assert logs.engine.paths == ["/a", "/b", "/c"]


async def test_the_stop_of_the_service_under_load() -> None:
    """A stream that never pauses ends when its time is over, with what it read."""
    logs = Logs()

    class Endless(Stream):
        async def read(self) -> object:
            self.reads += 1
            await asyncio.sleep(0)
            return entries("/a")

    stream = Endless()
    call = logs.open(stream)
    await until(lambda: stream.reads > 3)
    logs.streams.stop(0.01)
    assert await asyncio.wait_for(call, _LONG_S) == b""
    assert len(logs.engine.paths) == stream.reads


async def test_work_that_outlasts_the_service() -> None:
    """It is given up."""
    logs = Logs()
    call = logs.open(Stream(entries(*["/a"] * 100_000)))
    await until(lambda: bool(logs.engine.paths))
    call.cancel()
    await asyncio.wait((call,))
    await logs.streams.close()
    told = len(logs.engine.paths)
    await asyncio.sleep(0)
    assert (len(logs.engine.paths), told < 100_000) == (told, True)


async def test_load_shedding_slows_a_stream_down() -> None:
    """Nothing of it is refused: it waits, and at the stop of the service no longer."""
    logs = Logs(Shedder(Bounds(rate=RateBound(per_second=0.001, burst=1))))
    stream = Stream(entries("/a", "/b"), entries("/c"))
    call = logs.open(stream)
    await until(lambda: stream.reads == 2)
    assert logs.engine.paths == ["/a", "/b"]
    logs.streams.stop(_LONG_S)
    assert await asyncio.wait_for(call, _LONG_S) == b""
    assert logs.engine.paths == ["/a", "/b", "/c"]


async def exported(
    data: bytes, engine: Told, shedder: Shedder | None = None, stream: Stream | None = None
) -> logs_service_pb2.ExportLogsPartialSuccess:
    made = otlp_logs.handler(engine, shedder)  # type: ignore[arg-type]
    method = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
    found: Any = made.service(_Details(method, ()))  # type: ignore[arg-type]
    answer = await found.unary_unary(data, stream or Stream())
    return logs_service_pb2.ExportLogsServiceResponse.FromString(answer).partial_success


async def test_what_an_export_rejects(caplog: pytest.LogCaptureFixture) -> None:
    """It is counted, with the reasons: nothing that is acknowledged without a word is lost."""
    engine = Told()
    paths = ("/a", "/defect", "/missed", "/missed", "/b")
    data = export(*(log_record({"url.path": path}) for path in paths))
    with caplog.at_level(logging.ERROR):
        rejected = await exported(data, engine)
    assert rejected.rejected_log_records == 3
    reasons = "1 not told: internal error; 2 missed by adapters that failed: billing"
    assert rejected.error_message == reasons
    assert engine.paths == ["/a", "/missed", "/missed", "/b"]
    assert "1 records of an export of OTLP were not told" in caplog.text


async def test_an_export_of_what_is_no_export() -> None:
    """It is refused for ever."""
    with pytest.raises(AbortedError) as caught:
        await exported(b"\xff", Told())
    assert caught.value.args[0] is grpc.StatusCode.INVALID_ARGUMENT


async def test_an_export_larger_than_the_room_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is taken where nothing else waits; others then may come again."""
    monkeypatch.setattr(otlp_logs, "MOST_BYTES", 10)
    engine, stream = Told(), Stream()
    made = otlp_logs.handler(engine)  # type: ignore[arg-type]
    method = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
    found: Any = made.service(_Details(method, ()))  # type: ignore[arg-type]
    data = export(*[log_record({"url.path": "/a"})] * 20_000)
    first = asyncio.ensure_future(found.unary_unary(data, Stream()))
    await until(lambda: bool(engine.paths))
    with pytest.raises(AbortedError) as caught:
        await found.unary_unary(data, stream)
    assert caught.value.args[0] is grpc.StatusCode.UNAVAILABLE
    assert stream.trailers.keys() == {"grpc-status-details-bin", "grpc-retry-pushback-ms"}
    assert await first == b""
    assert len(engine.paths) == 20_000
    assert await found.unary_unary(export(), Stream()) == b""


@pytest.mark.parametrize(
    "batches", [b"\x0a\x00" * 20_000, b"\x0a\xc0\xb8\x02" + b"\x12\x00" * 20_000]
)
async def test_others_have_their_turn_between_empty_batches(batches: bytes) -> None:
    """An export may have millions of resources or scopes, and nothing to tell."""
    made = otlp_logs.handler(Told())  # type: ignore[arg-type]
    method = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
    found: Any = made.service(_Details(method, ()))  # type: ignore[arg-type]
    call = asyncio.ensure_future(found.unary_unary(batches, Stream()))
    turns = 0
    while not call.done():
        await asyncio.sleep(0)
        turns += 1
    assert await call == b""
    assert turns > 20
