"""What a gRPC listener takes of one connection, and of all, seen by real clients."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import h2.config
import h2.connection
import h2.events
import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes

from mixer.config import ConnectionLimits, Listener, ServiceLimits
from mixer.transport.access import Security
from mixer.transport.front_ends import FrontEnd
from mixer.transport.grpc_listener import GrpcListener
from mixer.transport.grpc_options import server_options
from mixer.transport.health import Health

_OPTIONS = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0))
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_SETTINGS = b"\0\0\0\4\0\0\0\0\0"
_PATIENCE_S = 30.0


class Gate:
    """The service: a call waits until it is opened.

    Attributes:
        waiting: Calls that do.
        open: Ends their wait.
    """

    def __init__(self) -> None:
        self.waiting = 0
        self.open = asyncio.Event()

    async def call(self, data: bytes, _context: Any) -> bytes:
        if data:
            self.waiting += 1
            await self.open.wait()
        return b"ok"


@asynccontextmanager
async def listening(
    gate: Gate | None = None, *, max_concurrent_rpcs: int = 1024, **connections: Any
) -> AsyncIterator[str]:
    """A listener with these limits, and its address."""
    methods = {"Call": grpc.unary_unary_rpc_method_handler((gate or Gate()).call)}
    handler: Any = grpc.method_handlers_generic_handler("a.Service", methods)
    limits = ServiceLimits.model_construct(
        **{
            **dict(ServiceLimits()),
            "max_concurrent_rpcs": max_concurrent_rpcs,
            "connections": ConnectionLimits.model_construct(
                **{**dict(ConnectionLimits()), **connections}
            ),
        }
    )
    front_end = FrontEnd("a.Service", lambda _engine, _shedder: handler)
    listener = GrpcListener(
        Listener(name="grpc", address="127.0.0.1:0"),
        limits,
        [(front_end, handler)],
        Health().servicer,
        Security(),
    )
    await listener.start()
    try:
        yield listener.address
    finally:
        await listener.stop(0)


def connect(address: str) -> grpc.aio.Channel:
    """A channel with a connection of its own."""
    return grpc.aio.insecure_channel(address, _OPTIONS)


async def status_of(channel: grpc.aio.Channel, **options: Any) -> grpc.StatusCode:
    """What a call ends with."""
    call = channel.unary_unary("/a.Service/Call")(b"", timeout=_PATIENCE_S, **options)
    return await call.code()


async def until(condition: Any) -> None:
    """Wait for it."""
    async with asyncio.timeout(_PATIENCE_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def closed(address: str, first: bytes = b"") -> None:
    """Connect, send some bytes, and wait until the other side has closed the connection."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(first)
    try:
        async with asyncio.timeout(_PATIENCE_S):
            while await reader.read(1000):
                pass
    except ConnectionError:
        pass
    finally:
        writer.close()


class Http2:
    """A client that does as it likes, and answers nothing by itself.

    Args:
        address: Of the listener.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self.protocol = h2.connection.H2Connection(h2.config.H2Configuration())
        self.events: list[Any] = []

    async def __aenter__(self) -> "Http2":
        host, _, port = self._address.rpartition(":")
        self._reader, self.writer = await asyncio.open_connection(host, int(port))
        self.protocol.initiate_connection()
        self.send()
        return self

    async def __aexit__(self, *_error: object) -> None:
        self.writer.close()

    def send(self) -> None:
        """Write what is to be sent."""
        self.writer.write(self.protocol.data_to_send())

    async def until(self, kind: type) -> Any:
        """Read on until there is such an event."""
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                for event in self.events:
                    if isinstance(event, kind):
                        return event
                data = await self._reader.read(1000)
                assert data, "closed"
                self.events += self.protocol.receive_data(data)

    def call(self) -> int:
        """Begin a call that sends nothing."""
        stream = self.protocol.get_next_available_stream_id()
        headers = [(":method", "POST"), (":scheme", "http"), (":path", "/a.Service/Call")]
        more = [(":authority", "a"), ("te", "trailers"), ("content-type", "application/grpc")]
        self.protocol.send_headers(stream, headers + more)
        return stream


async def test_connections() -> None:
    """One too many is closed at once; when another ends, there is room again."""
    async with listening(max_connections=2, handshake_timeout=600.0) as address:
        async with connect(address) as first, connect(address) as second:
            assert await status_of(first) is grpc.StatusCode.OK
            assert await status_of(second) is grpc.StatusCode.OK
            await closed(address)
            assert await status_of(first) is grpc.StatusCode.OK
        async with connect(address) as third:
            assert await status_of(third, wait_for_ready=True) is grpc.StatusCode.OK


async def test_a_connection_that_says_nothing_takes_a_place() -> None:
    """And gives it back when the time for its handshake is over."""
    async with listening(max_connections=1, handshake_timeout=0.2) as address:
        await closed(address)
        async with connect(address) as channel:
            assert await status_of(channel, wait_for_ready=True) is grpc.StatusCode.OK


@pytest.mark.parametrize("first", [b"", _PREFACE[:5], _PREFACE, b"GET / HTTP/1.1\r\n\r\n"])
async def test_a_handshake_that_never_ends(first: bytes) -> None:
    """Who connects and does not speak HTTP/2 is cut off."""
    async with listening(handshake_timeout=0.2) as address:
        await closed(address, first)


async def test_a_connection_without_calls() -> None:
    """It is closed after a while."""
    async with listening(idle_timeout=0.2) as address:
        await closed(address, _PREFACE + _SETTINGS)


async def test_a_peer_that_is_gone() -> None:
    """One that answers no ping is disconnected, with or without a call."""
    async with listening(keepalive_interval=1.0, keepalive_timeout=0.1) as address:
        await closed(address, _PREFACE + _SETTINGS)
        client = Http2(address)
        client.protocol.initiate_connection()
        client.call()
        await closed(address, client.protocol.data_to_send())


async def test_calls_of_one_connection() -> None:
    """HTTP/2 tells the client how many, and one that does not care is refused."""
    async with listening(max_concurrent_streams=2) as address, Http2(address) as client:
        settings = await client.until(h2.events.RemoteSettingsChanged)
        told = settings.changed_settings[SettingCodes.MAX_CONCURRENT_STREAMS]
        assert told.new_value == 2
        client.protocol.remote_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = 100
        client.protocol.remote_settings.acknowledge()
        calls = [client.call() for _ in range(20)]
        client.send()
        refused = await client.until(h2.events.StreamReset)
        assert refused.stream_id in calls[2:]
        assert refused.error_code is ErrorCodes.REFUSED_STREAM


async def test_a_client_keeps_back_what_is_too_much() -> None:
    """Calls beyond the limit wait in the client; none of them fails."""
    gate = Gate()
    async with listening(gate, max_concurrent_streams=2) as address, connect(address) as channel:
        call = channel.unary_unary("/a.Service/Call")
        assert await status_of(channel) is grpc.StatusCode.OK  # and it knows the limit now
        calls = [asyncio.ensure_future(call(b"wait", timeout=60)) for _ in range(5)]
        await until(lambda: gate.waiting == 2)
        gate.open.set()
        assert await asyncio.gather(*calls) == [b"ok"] * 5
        many = [asyncio.ensure_future(call(b"", timeout=60)) for _ in range(300)]
        assert await asyncio.gather(*many) == [b"ok"] * 300


async def test_calls_of_all_connections() -> None:
    """One too many is answered RESOURCE_EXHAUSTED."""
    gate = Gate()
    async with (
        listening(gate, max_concurrent_rpcs=2) as address,
        connect(address) as first,
        connect(address) as second,
    ):
        call = first.unary_unary("/a.Service/Call")
        calls = [asyncio.ensure_future(call(b"wait", timeout=60)) for _ in range(2)]
        await until(lambda: gate.waiting == 2)
        assert await status_of(second) is grpc.StatusCode.RESOURCE_EXHAUSTED
        gate.open.set()
        assert await asyncio.gather(*calls) == [b"ok"] * 2
        assert await status_of(second) is grpc.StatusCode.OK


async def test_metadata() -> None:
    """What is too large is refused, each time, and the connection serves the next call."""
    async with listening(max_metadata_bytes=2048) as address, connect(address) as channel:
        small, large = (("a", "x" * 1000),), (("a", "x" * 2048),)
        for _ in range(3):
            status = await status_of(channel, metadata=large)
            assert status is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert await status_of(channel, metadata=small) is grpc.StatusCode.OK


async def test_the_age_of_a_connection() -> None:
    """It ends, and no call on it fails: the client makes another connection."""
    peers = set[str]()

    async def note(_data: bytes, context: Any) -> bytes:
        peers.add(context.peer())
        return b""

    gate = Gate()
    gate.call = note  # type: ignore[method-assign]
    async with listening(gate, max_age=0.2) as address, connect(address) as channel:
        async with asyncio.timeout(_PATIENCE_S):
            while len(peers) < 3:
                assert await status_of(channel) is grpc.StatusCode.OK


async def test_too_many_pings() -> None:
    """A peer that pings all the time is disconnected."""
    async with listening() as address, Http2(address) as client:
        for _ in range(10):
            client.protocol.ping(b"12345678")
        client.send()
        ended = await client.until(h2.events.ConnectionTerminated)
    assert (ended.error_code, ended.additional_data) == (
        ErrorCodes.ENHANCE_YOUR_CALM,
        b"too_many_pings",
    )


def test_no_limit_is_left_to_grpc() -> None:
    """Each setting gets to gRPC in milliseconds, and what is not set is for ever."""
    options = dict(server_options(ServiceLimits()))
    assert options["grpc.max_connection_age_ms"] == 2**31 - 1
    assert options["grpc.server_handshake_timeout_ms"] == 10_000
    assert options["grpc.max_connection_idle_ms"] == 3_600_000
    assert options["grpc.http2.ping_timeout_ms"] == 20_000
    assert options["grpc.keepalive_time_ms"] == 300_000
