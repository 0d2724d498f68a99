"""Process streams over gRPC: how they end, and what bounds them."""

import asyncio
import gc
import logging
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
import pytest
from envoy.service.ext_proc.v3 import external_processor_pb2

from mixer.api import ext_proc as api
from mixer.config import ServiceLimits
from mixer.engine import Engine
from mixer.shedding import Bounds, RateBound, Shedder
from mixer.testing.callouts import FakeCallouts
from mixer.transport import ext_proc
from mixer.transport.open_streams import OpenStreams
from tests.api.ext_proc.proxy import GET, headers, immediate, kinds
from tests.engine.conftest import MakeEngine, Plugins, make_engine, plugins
from tests.engine.world import asking
from tests.support import adapters as do
from tests.support.adapters import adapter

__all__ = ["make_engine", "plugins"]

Request = external_processor_pb2.ProcessingRequest
LOGS = adapter(
    do.count("opened", 1),
    response_headers=[],
    log=[do.count("logged", 1)],
    delete=[do.count("deleted", 1)],
)
_PATIENCE_S = 30.0


def first(*, end: bool = True, mode: int = 0, observes: bool = False) -> Any:
    message = Request(request_headers=headers(GET, end=end), observability_mode=observes)
    if not observes:
        message.protocol_config.request_body_mode = mode
    return message


@dataclass
class Served:
    """A service and a channel to it."""

    engine: Engine
    channel: grpc.aio.Channel

    def begin(self, **options: Any) -> "Call":
        """Begin a stream."""
        method = self.channel.stream_stream(f"/{api.SERVICE}/{api.METHOD}")
        return Call(method(wait_for_ready=True, **options))

    def counted(self, name: str) -> int:
        """What the adapters counted."""
        found = {m.name: m.value for m in self.engine.services.metrics.snapshot()}
        return int(found.get(name, 0))


@dataclass
class Call:
    """One stream, as its proxy has it."""

    call: Any

    async def send(self, message: Any) -> None:
        """Send a message."""
        await self.call.write(message.SerializeToString())

    async def receive(self) -> Any:
        """The next answer; None at the end."""
        data = await asyncio.wait_for(self.call.read(), _PATIENCE_S)
        if data is grpc.aio.EOF:
            return None
        return external_processor_pb2.ProcessingResponse.FromString(data)


@asynccontextmanager
async def serving(engine: Engine, shedder: Shedder | None = None) -> AsyncIterator[Served]:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((ext_proc.handler(engine, shedder),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Served(engine, channel)
    finally:
        await server.stop(0)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + _PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


async def test_a_cancelled_stream_is_logged(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Envoy ends most streams so: the context is logged, done and deleted."""
    async with serving(make_engine(plugins.plugin("a", LOGS))) as served:
        stream = served.begin()
        await stream.send(first())
        assert kinds([await stream.receive()]) == ["request_headers"]
        assert served.counted("logged") == 0
        stream.call.cancel()
        await until(lambda: served.counted("logged") == 1)
        assert served.counted("deleted") == 1


async def test_a_closed_stream_is_logged(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Also where the proxy says that it has nothing more to send."""
    async with serving(make_engine(plugins.plugin("a", LOGS))) as served:
        stream = served.begin()
        await stream.send(first())
        await stream.receive()
        await stream.call.done_writing()
        assert await stream.receive() is None
        assert await stream.call.code() is grpc.StatusCode.OK
        assert (served.counted("logged"), served.counted("deleted")) == (1, 1)


async def test_the_service_ends_what_nobody_looks_at(make_engine: MakeEngine) -> None:
    """The proxy goes on alone, without an error."""
    async with serving(make_engine()) as served:
        stream = served.begin()
        await stream.send(first())
        assert kinds([await stream.receive()]) == ["request_headers"]
        assert await stream.receive() is None
        assert await stream.call.code() is grpc.StatusCode.OK


async def test_a_callout(make_engine: MakeEngine, plugins: Plugins) -> None:
    """While the service waits for it, it asks for time, and then answers by itself."""
    callouts = FakeCallouts()
    engine = make_engine(
        plugins.plugin("a", asking(do.add("x-late", "1"), do.resume)), callouts=callouts
    )
    async with serving(engine) as served:
        stream = served.begin()
        await stream.send(first())
        assert kinds([await stream.receive()]) == ["more_time"]
        callouts.http_calls[0].respond(200)
        assert kinds([await stream.receive()]) == ["request_headers"]
        assert await stream.receive() is None


async def test_pieces_while_a_callout_is_out(make_engine: MakeEngine, plugins: Plugins) -> None:
    """What a proxy in full duplex sends in the meantime is taken, in order."""
    callouts = FakeCallouts()
    text = asking(do.resume, request_body=[])
    engine = make_engine(plugins.plugin("a", text), callouts=callouts)
    async with serving(engine) as served:
        stream = served.begin()
        await stream.send(first(end=False, mode=4))
        await until(lambda: bool(callouts.http_calls))
        for data, end in ((b"one", False), (b"two", True)):
            body = external_processor_pb2.HttpBody(body=data, end_of_stream=end)
            await stream.send(Request(request_body=body))
        await asyncio.sleep(0)
        callouts.http_calls[0].respond(200)
        assert kinds([await stream.receive()]) == ["request_headers"]
        body, ended = b"", False
        while not ended:
            answer = await stream.receive()
            streamed = answer.request_body.response.body_mutation.streamed_response
            body, ended = body + streamed.body, streamed.end_of_stream
        assert body == b"onetwo"
        stream.call.cancel()


async def test_a_callout_that_is_never_answered(make_engine: MakeEngine, plugins: Plugins) -> None:
    """The client gets an error after the time for decisions."""
    engine = make_engine(plugins.plugin("a", asking()), callouts=FakeCallouts())
    engine.decision_timeout = 0.05
    async with serving(engine) as served:
        stream = served.begin()
        await stream.send(first())
        assert kinds([await stream.receive()]) == ["more_time"]
        assert immediate([await stream.receive()]) == (503, "decision_timed_out")
        assert await stream.receive() is None


async def test_a_caller_that_leaves_while_it_waits(
    make_engine: MakeEngine, plugins: Plugins, caplog: pytest.LogCaptureFixture
) -> None:
    """The stream ends in the adapters, and an answer that comes later is nobody's."""
    caplog.set_level(logging.DEBUG, "mixer.transport.decision_log")
    callouts = FakeCallouts()
    text = asking(log=[do.count("logged", 1)])
    async with serving(make_engine(plugins.plugin("a", text), callouts=callouts)) as served:
        stream = served.begin()
        await stream.send(first())
        await stream.receive()
        stream.call.cancel()
        await until(lambda: served.counted("logged") == 1)
        callouts.http_calls[0].respond(200)
        assert "GET '/a': error by a: caller_gone" in caplog.text


async def test_an_observer_that_waits_loses_nothing(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """A proxy that takes no answers ends its stream; what it told is still acted upon."""
    callouts = FakeCallouts()
    text = asking(
        do.count("resumed", 1),
        do.resume,
        response_headers=[do.count("response", 1)],
        log=[do.count("logged", 1)],
    )
    async with serving(make_engine(plugins.plugin("a", text), callouts=callouts)) as served:
        stream = served.begin()
        await stream.send(first(observes=True))
        response = headers(((":status", "200"),), end=True)
        await stream.send(Request(response_headers=response, observability_mode=True))
        await stream.call.done_writing()
        await until(lambda: bool(callouts.http_calls))
        assert served.counted("logged") == 0
        callouts.http_calls[0].respond(200)
        assert await stream.receive() is None
        counted = [served.counted(name) for name in ("resumed", "response", "logged")]
        assert counted == [1, 1, 1]


async def test_an_observer_out_of_order(make_engine: MakeEngine) -> None:
    """It is told by the status, since it takes no answers."""
    async with serving(make_engine()) as served:
        stream = served.begin()
        for _ in range(2):
            await stream.send(first(observes=True))
        with pytest.raises(grpc.aio.AioRpcError, match="request_headers_out_of_order"):
            await stream.receive()


async def test_a_defect(make_engine: MakeEngine) -> None:
    """A fault of our own is an error for the client, not a status that lets the request pass."""
    engine = make_engine()

    def broken(_request: Any) -> Any:
        raise ZeroDivisionError

    engine.open = broken  # type: ignore[method-assign]
    async with serving(engine) as served:
        stream = served.begin()
        await stream.send(first())
        assert immediate([await stream.receive()]) == (503, "internal error")
        assert await stream.receive() is None


async def test_too_many_streams(make_engine: MakeEngine, plugins: Plugins) -> None:
    """One too many is refused with 503; there is room again when another ends."""
    engine = make_engine(plugins.plugin("a", LOGS))
    engine.limits = ServiceLimits(max_streams=2)
    async with serving(engine) as served:
        streams = [served.begin() for _ in range(2)]
        for stream in streams:
            await stream.send(first())
            await stream.receive()
        refused = served.begin()  # and nothing sent: the call may have ended by then
        assert immediate([await refused.receive()]) == (503, ext_proc.TOO_MANY)
        streams[0].call.cancel()
        await until(lambda: served.counted("logged") == 1)
        admitted = served.begin()
        await admitted.send(first())
        assert kinds([await admitted.receive()]) == ["request_headers"]


async def test_idle_streams(make_engine: MakeEngine, plugins: Plugins) -> None:
    """One of which nothing is heard ends with an error for its client, and is logged."""
    engine = make_engine(plugins.plugin("a", LOGS))
    engine.limits = ServiceLimits.model_construct(max_streams=2, stream_idle_timeout=0.05)
    async with serving(engine) as served:
        stream = served.begin()
        await stream.send(first())
        assert kinds([await stream.receive()]) == ["request_headers"]
        assert immediate([await stream.receive()]) == (503, "stream_idle_timeout")
        assert await stream.receive() is None
        assert served.counted("logged") == 1
        silent = served.begin()
        assert immediate([await silent.receive()]) == (503, "stream_idle_timeout")


async def test_a_peer_that_stops_reading(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Nothing more is taken of it, and after the idle time its stream is ended."""
    text = adapter(request_body=[do.count("pieces", 1)], log=[do.count("logged", 1)])
    engine = make_engine(plugins.plugin("a", text))
    engine.limits = ServiceLimits.model_construct(max_streams=2, stream_idle_timeout=0.3)
    async with serving(engine) as served:
        stream = served.begin()
        await stream.send(first(end=False, mode=4))
        body = external_processor_pb2.HttpBody(body=b"x" * 100_000)

        async def flood() -> None:
            while True:
                await stream.send(Request(request_body=body))

        flooding = asyncio.create_task(flood())
        await until(lambda: served.counted("logged") == 1)
        assert 0 < served.counted("pieces") < 1000
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)
        stream.call.cancel()


async def test_shedding(make_engine: MakeEngine) -> None:
    """What is too much is refused with 503 and the time after which to try again."""
    shedder = Shedder(Bounds(rate=RateBound(0.01, 1)))
    async with serving(make_engine(), shedder) as served:
        for expected in ("request_headers", "immediate_response"):
            stream = served.begin()
            await stream.send(first())
            answer = await stream.receive()
            assert kinds([answer]) == [expected]
            assert await stream.receive() is None
        assert immediate([answer]) == (503, "overload_rate")
        (option,) = answer.immediate_response.headers.set_headers
        assert (option.header.key, int(option.header.raw_value) > 0) == ("retry-after", True)


async def test_opens_and_cancels(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Thousands in sequence leave nothing behind, and every one of them was logged."""
    engine = make_engine(plugins.plugin("a", LOGS))
    async with serving(engine) as served:

        async def some(count: int) -> None:
            for number in range(count):
                stream = served.begin()
                if number % 3:
                    await stream.send(first())
                if number % 3 == 1:
                    await stream.receive()
                stream.call.cancel()

        async def settled() -> int:
            opened = -1
            while opened != served.counted("logged") or opened != served.counted("opened"):
                opened = served.counted("opened")
                await asyncio.sleep(0.05)
            gc.collect()
            return tracemalloc.get_traced_memory()[0]

        await some(300)
        tracemalloc.start()
        try:
            before = await settled()
            await some(1500)
            after = await settled()
        finally:
            tracemalloc.stop()
        assert served.counted("opened") > 500
        assert after - before < 500_000


async def test_the_service_stops(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Streams that are open then are logged before the adapters end."""
    engine = make_engine(plugins.plugin("a", LOGS))
    async with serving(engine) as served:
        stream = served.begin()
        await stream.send(first())
        await stream.receive()
    # gRPC cancels what it still serves, and does not wait until that has ended.
    await until(lambda: (served.counted("logged"), served.counted("deleted")) == (1, 1))


def test_streams_are_looked_through_while_there_are_any() -> None:
    """Nothing is left to be done once all have left, and none is expired that was active."""

    class One:
        active_at = 0.0
        expired = False

        def expire(self) -> None:
            self.expired = True

    async def check() -> None:
        now = [0.0]
        streams = OpenStreams(2, 0.08, clock=lambda: now[0])
        quiet, busy, refused = One(), One(), One()
        assert (streams.enter(quiet), streams.enter(busy), streams.enter(refused)) == (
            True,
            True,
            False,
        )
        now[0] = busy.active_at = 1.0
        await until(lambda: quiet.expired)
        assert not busy.expired
        for one in (quiet, busy, refused):
            streams.leave(one)
        assert len(streams) == 0
        assert streams.enter(refused)

    asyncio.run(check())
