"""The service of Envoy's external processing of TCP, asked by callers that do as they like."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from envoy.service.network_ext_proc.v3 import network_external_processor_pb2 as pb2

from mixer.api.network_ext_proc import METHOD, SERVICE
from mixer.engine import Engine
from mixer.shedding import Bounds, Shedder
from mixer.testing.callouts import FakeCallouts
from mixer.transport import network_ext_proc
from tests.callouts.clients import until
from tests.differential.scripted_exchange import answer, close, put, resume, set_body
from tests.engine.conftest import MakeEngine, Plugins, make_engine, plugins
from tests.engine.test_tcp import ASK, TRAP, network
from tests.support.hurried import Hurried

__all__ = ["make_engine", "plugins"]

Call = grpc.aio.StreamStreamCall[bytes, bytes]
_METHOD = f"/{SERVICE}/{METHOD}"
_LONG_S = 30.0
CONTINUE, CLOSED = pb2.ProcessingResponse.CONTINUE, pb2.ProcessingResponse.CLOSE


def piece(data: bytes = b"", *, up: bool = False, ends: bool = False) -> bytes:
    content = pb2.Data(data=data, end_of_stream=ends)
    return pb2.ProcessingRequest(
        **{"write_data" if up else "read_data": content}
    ).SerializeToString()


class Proxy:
    """A caller with one connection."""

    def __init__(self, call: Call) -> None:
        self.call = call

    async def send(self, message: bytes) -> None:
        await self.call.write(message)

    async def read(self) -> Any:
        async with asyncio.timeout(_LONG_S):
            got = await self.call.read()
        assert got is not grpc.aio.EOF, await self.call.details()
        return pb2.ProcessingResponse.FromString(got)

    async def ask(self, message: bytes) -> Any:
        await self.send(message)
        return await self.read()

    async def status(self) -> grpc.StatusCode:
        async with asyncio.timeout(_LONG_S):
            return await self.call.code()

    async def closed(self) -> dict[str, Any]:
        """What is told of why the connection is to be closed."""
        told = await self.read()
        assert told.connection_status == CONTINUE
        assert not told.read_data.data + told.write_data.data
        order = await self.read()
        assert order == pb2.ProcessingResponse(connection_status=CLOSED)
        return dict(told.dynamic_metadata["envoy.filters.network.ext_proc"].items())


@asynccontextmanager
async def serving(
    engine: Engine, shedder: Shedder | None = None, *, hurried: bool = False
) -> AsyncIterator[grpc.aio.Server]:
    server = grpc.aio.server()
    handler = network_ext_proc.handler(engine, shedder)
    server.add_generic_rpc_handlers((Hurried(handler) if hurried else handler,))
    server.port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield server
    finally:
        await server.stop(0)


@asynccontextmanager
async def calling(
    engine: Engine, shedder: Shedder | None = None, *, hurried: bool = False
) -> AsyncIterator[grpc.aio.StreamStreamMultiCallable[bytes, bytes]]:
    async with (
        serving(engine, shedder, hurried=hurried) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        yield channel.stream_stream(_METHOD)


@contextmanager
def decisions(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.DEBUG, "mixer.transport.decision_log"):
        yield


async def test_a_connection(
    make_engine: MakeEngine, plugins: Plugins, caplog: pytest.LogCaptureFixture
) -> None:
    """Each piece comes back as the adapters left it, and what was decided is logged at the end."""
    script = {
        "downstream_data": [set_body(2, "!", 9, 0)],
        "upstream_data": [set_body(3, "?", 9, 0)],
    }
    engine = make_engine(network(plugins, "a", script))
    said = (("source.address", "10.0.0.1:1"), ("destination.address", "10.0.0.2:2"))
    with decisions(caplog):
        async with calling(engine) as call:
            proxy = Proxy(call(metadata=said))
            first = await proxy.ask(piece(b"up"))
            assert first.read_data == pb2.Data(data=b"up!")
            assert first.data_processing_status == pb2.ProcessingResponse.MODIFIED
            second = await proxy.ask(piece(b"down", up=True))
            assert second.write_data == pb2.Data(data=b"down?")
            assert (await proxy.ask(piece(ends=True))).read_data.end_of_stream
            await proxy.call.done_writing()
            assert await proxy.status() is grpc.StatusCode.OK
    assert "connection 10.0.0.1:1 -> 10.0.0.2:2: allow by a" in caplog.messages
    assert (engine.connections, engine.connection_verdicts.allow) == (1, 1)


@pytest.mark.parametrize("callback", ["new_connection", "downstream_data"])
async def test_a_module_that_closes_the_connection(
    make_engine: MakeEngine, plugins: Plugins, callback: str
) -> None:
    """The proxy is told why, in a message of its own, and then to close it."""
    engine = make_engine(network(plugins, "a", {callback: [close(2)]}))
    async with calling(engine) as call:
        proxy = Proxy(call())
        await proxy.send(piece(b"up"))
        said = await proxy.closed()
    assert (said["verdict"], said["adapter"]) == ("deny", "a")
    assert said["reason"] == "closed_the_connection"


async def test_no_network_adapters(make_engine: MakeEngine) -> None:
    """A connection that nobody could decide about is closed."""
    async with calling(make_engine()) as call:
        proxy = Proxy(call())
        await proxy.send(piece(b"up", up=True))
        assert "spec.type" in (await proxy.closed())["reason"]


async def test_a_trap(make_engine: MakeEngine, plugins: Plugins) -> None:
    """An adapter that fails closed has the connection closed, whatever the proxy does on errors."""
    engine = make_engine(network(plugins, "a", {"downstream_data": [TRAP]}))
    async with calling(engine) as call:
        proxy = Proxy(call())
        await proxy.send(piece(b"up"))
        assert (await proxy.closed())["verdict"] == "error"


async def test_data_that_comes_through_later(make_engine: MakeEngine, plugins: Plugins) -> None:
    """What waits for a callout has an empty answer at once, and comes in one of its own later."""
    callouts = FakeCallouts()
    engine = make_engine(network(plugins, "a", ASK), callouts=callouts)
    async with calling(engine) as call:
        proxy = Proxy(call())
        assert (await proxy.ask(piece(b"up"))).read_data == pb2.Data()
        assert (await proxy.ask(piece(ends=True))).read_data == pb2.Data()
        assert (await proxy.ask(piece(b"down", up=True))).write_data == pb2.Data()
        callouts.http_calls[0].respond(200)
        first, second = await proxy.read(), await proxy.read()
        assert first.read_data == pb2.Data(data=b"up", end_of_stream=True)
        assert second.write_data == pb2.Data(data=b"down")


async def test_a_connection_that_is_held_too_long(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """An adapter may hold a connection from its start for decisionTimeout, and no longer."""
    engine = make_engine(network(plugins, "a", ASK), callouts=FakeCallouts())
    engine.decision_timeout = 0.05
    async with calling(engine) as call:
        proxy = Proxy(call())
        assert (await proxy.ask(piece(b"up"))).read_data == pb2.Data()
        assert (await proxy.closed())["reason"] == "decision_timed_out"


async def test_a_connection_that_is_held_until_the_caller_s_deadline(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """It is closed by then: a proxy may let a connection pass whose call ends with a status."""
    engine = make_engine(network(plugins, "a", ASK), callouts=FakeCallouts())
    engine.decision_timeout = 2 * _LONG_S
    async with calling(engine, hurried=True) as call:
        proxy = Proxy(call())
        assert (await proxy.ask(piece(b"up"))).read_data == pb2.Data()
        assert (await proxy.closed())["reason"] == "decision_timed_out"


async def test_data_is_held_without_a_deadline(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A protocol's message may take its time, once the connection has begun."""
    engine = make_engine(network(plugins, "a", {"downstream_data": [answer(1)]}))
    engine.decision_timeout = 0.001
    async with calling(engine) as call:
        proxy = Proxy(call())
        for _ in range(3):
            assert (await proxy.ask(piece(b"half"))).read_data == pb2.Data()
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([b"\xff"], "not a ProcessingRequest"),
        ([b""], "one of read_data and write_data"),
        ([piece(ends=True), piece(b"x")], "after the end"),
    ],
)
async def test_messages_that_may_not_come(
    make_engine: MakeEngine, plugins: Plugins, messages: list[bytes], text: str
) -> None:
    """The connection is closed, also where the proxy fails open, and the call tells why."""
    engine = make_engine(network(plugins, "a", {}))
    async with calling(engine) as call:
        proxy = Proxy(call())
        *before, last = messages
        for message in before:
            await proxy.ask(message)
        assert (await proxy.ask(last)).connection_status == CLOSED
        assert await proxy.status() is grpc.StatusCode.INVALID_ARGUMENT
        assert text in await proxy.call.details()


async def test_a_defect_closes_the_connection(
    make_engine: MakeEngine, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A defect of our own lets nothing pass, and does not tell of itself."""
    engine = make_engine(network(plugins, "a", {}))
    monkeypatch.setattr(network_ext_proc.Session, "receive", lambda *_: 1 / 0)
    async with calling(engine) as call:
        proxy = Proxy(call())
        assert (await proxy.ask(piece(b"x"))).connection_status == CLOSED
        assert await proxy.status() is grpc.StatusCode.INTERNAL
        assert await proxy.call.details() == "internal error"


async def test_a_caller_that_does_not_read(
    make_engine: MakeEngine,
    plugins: Plugins,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing more is read from it, and after a while its connection ends."""
    monkeypatch.setattr(network_ext_proc, "WRITE_TIMEOUT_S", 0.1)
    engine = make_engine(network(plugins, "a", {}))
    async with calling(engine) as call:
        proxy = Proxy(call())

        async def flood() -> None:
            while True:
                await proxy.send(piece(b"x" * 1_000_000))

        flooding = asyncio.create_task(flood())
        await until(lambda: engine.connection_verdicts.error == 1)
        [adapter] = engine.adapters
        assert len(adapter.living_root().vm.contexts) == 1  # the plugin's own
        flooding.cancel()
        await asyncio.wait({flooding})
        assert await proxy.status() is not grpc.StatusCode.OK


async def test_nothing_is_left_of_opens_and_cancels(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """Callers that go, at any moment, leave no context and no open connection behind."""
    engine = make_engine(network(plugins, "a", {"downstream_data": [put(b"1", "x")]}))
    async with calling(engine) as call:
        for number in range(600):
            proxy = Proxy(call())
            if number % 3:
                await proxy.send(piece(b"x"))
            if number % 3 == 2:
                await proxy.read()
            proxy.call.cancel()
        last = Proxy(call())
        await last.ask(piece(b"x"))
        await until(lambda: engine.connections - engine.connection_verdicts.total == 1)
        [adapter] = engine.adapters
        contexts = adapter.living_root().vm.contexts
        await until(lambda: len(contexts) == 2)  # the plugin's own, and the last one's


async def test_overload(make_engine: MakeEngine, plugins: Plugins) -> None:
    """What is too much is closed with the reason; one that has begun takes no place any more."""
    callouts = FakeCallouts()
    engine = make_engine(network(plugins, "a", ASK), callouts=callouts)
    async with calling(engine, Shedder(Bounds(max_concurrent=1))) as call:
        first, second, third = Proxy(call()), Proxy(call()), Proxy(call())
        await first.ask(piece(b"1"))
        await second.send(piece(b"2"))
        assert (await second.closed())["reason"] == "overload_concurrency"
        callouts.http_calls[0].respond(200)
        assert (await first.read()).read_data.data == b"1"
        assert (await third.ask(piece(b"3"))).connection_status == CONTINUE
        assert len(callouts.http_calls) == 2


async def test_the_end_of_the_service(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A service that stops ends its connections by an error: with OK the data would pass unseen."""
    engine = make_engine(network(plugins, "a", {}))
    async with serving(engine) as server:
        address = f"127.0.0.1:{server.port}"
        async with grpc.aio.insecure_channel(address) as channel:
            proxy = Proxy(channel.stream_stream(_METHOD)())
            await proxy.ask(piece(b"x"))
            await server.stop(0)
            assert await proxy.status() is not grpc.StatusCode.OK
    await until(lambda: engine.connection_verdicts.total == 1)


async def test_a_module_that_lets_go_from_the_other_direction(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """What the upstream's data sets free comes in an answer of its own, after the due one."""
    script = {"downstream_data": [answer(1)], "upstream_data": [resume(2)]}
    engine = make_engine(network(plugins, "a", script))
    async with calling(engine) as call:
        proxy = Proxy(call())
        assert (await proxy.ask(piece(b"up"))).read_data == pb2.Data()
        assert (await proxy.ask(piece(b"down", up=True))).write_data.data == b"down"
        assert (await proxy.read()).read_data.data == b"up"
