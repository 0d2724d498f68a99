"""What Envoy's network ext_proc filter makes of answers: what this service has to hold to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress

import grpc.aio
import pytest
from envoy.service.network_ext_proc.v3 import network_external_processor_pb2 as pb2

from mixer.api.network_ext_proc import METHOD, SERVICE
from mixer.study import bootstrap as build
from mixer.study.envoy import EnvoyProcess
from tests.differential.network import ext_proc_filter
from tests.differential.tcp import tcp_listener

_LONG_S = 30.0
_ENDS = ("streams_closed", "streams_grpc_close", "streams_grpc_error")
Messages = AsyncIterator[pb2.ProcessingRequest]
Answers = AsyncIterator[pb2.ProcessingResponse]
Response = pb2.ProcessingResponse


async def later(messages: Messages) -> Answers:
    """Answers with nothing, and tells the data by itself."""
    async for message in messages:
        yield Response(read_data=pb2.Data())
        yield Response(read_data=message.read_data)


async def closes_with_data(messages: Messages) -> Answers:
    """Has the connection closed in the answer that has the data."""
    async for message in messages:
        yield Response(read_data=message.read_data, connection_status=Response.CLOSE)


async def closes_after_data(messages: Messages) -> Answers:
    """Has it closed in an answer of its own."""
    async for message in messages:
        yield Response(read_data=message.read_data)
        yield Response(connection_status=Response.CLOSE)


async def ends(messages: Messages) -> Answers:
    """Ends the call with OK, unanswered."""
    await anext(messages)
    return
    yield


async def fails(messages: Messages) -> Answers:
    """Ends it with an error."""
    await anext(messages)
    raise RuntimeError("on purpose")
    yield


async def says_it_is_unmodified(messages: Messages) -> Answers:
    """Tells data that it calls unmodified."""
    async for message in messages:
        if message.read_data.data:
            message.read_data.data = b"new"
        yield Response(read_data=message.read_data, data_processing_status=Response.UNMODIFIED)


SERVICES: Mapping[str, tuple[Callable[[Messages], Answers], bytes]] = {
    "later": (later, b"onetwo"),
    "closes_with_data": (closes_with_data, b""),
    "closes_after_data": (closes_after_data, b"one"),
    "ends": (ends, b"two"),
    "fails": (fails, b""),
    "says_it_is_unmodified": (says_it_is_unmodified, b"newnew"),
}
"""What the upstream gets of the client's ``one`` and ``two``."""


class Upstream:
    """Keeps what it gets.

    Attributes:
        got: By the name of the listener.
        ended: Set once a connection has.
    """

    def __init__(self) -> None:
        self.got = b""
        self.ended = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                self.got += data
        finally:
            writer.close()
            self.ended.set()


async def send(envoy: EnvoyProcess, name: str, upstream: Upstream, expected: bytes) -> None:
    """Send two pieces, the second once the first has had its effect, and end."""

    async def first_has_an_effect() -> bool:
        stats = await envoy.stats(f"network_ext_proc.{name}.streams_")
        ended = (stats[f"network_ext_proc.{name}.{how}"] for how in _ENDS)
        return bool(upstream.got) or any(ended)

    async def all_has_come() -> bool:
        return len(upstream.got) >= len(expected) or upstream.ended.is_set()

    host, _, port = envoy.address(name).rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    with suppress(ConnectionError):
        writer.write(b"one")
        await until(first_has_an_effect)
        writer.write(b"two")
        await until(all_has_come)
    writer.close()
    async with asyncio.timeout(_LONG_S):
        await upstream.ended.wait()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(_LONG_S):
        while not await condition():  # noqa: ASYNC110 - it is another side that changes
            await asyncio.sleep(0.01)


@pytest.mark.usefixtures("envoy")
async def test_what_becomes_of_answers() -> None:
    """An answer may come by itself; an order to close loses the data beside it; a call that ends
    with OK lets all further data pass unseen, and only one that fails closes the connection."""
    upstreams = {name: Upstream() for name in SERVICES}
    listeners, clusters = [], []
    async with AsyncExitStack() as stack:
        for name, (service, _) in SERVICES.items():
            server = await asyncio.start_server(upstreams[name].serve, "127.0.0.1", 0)
            await stack.enter_async_context(server)
            port = server.sockets[0].getsockname()[1]
            clusters.append(build.cluster(name, f"127.0.0.1:{port}"))
            port = await start(stack, service)
            clusters.append(build.cluster(f"mixer-{name}", f"127.0.0.1:{port}", http2=True))
            mode = {"process_write": "SKIP"}
            listeners.append(tcp_listener(name, [ext_proc_filter(name, processing_mode=mode)]))
        envoy = EnvoyProcess(build.bootstrap(listeners, clusters), start_timeout_s=120.0)
        await stack.enter_async_context(envoy)
        for name, (_, expected) in SERVICES.items():
            await send(envoy, name, upstreams[name], expected)
    expected = {name: expected for name, (_, expected) in SERVICES.items()}
    assert {name: one.got for name, one in upstreams.items()} == expected


async def start(stack: AsyncExitStack, service: Callable[[Messages], Answers]) -> int:
    """Start a service that answers so; its port."""

    async def process(messages: Messages, _context: object) -> Answers:
        async for answer in service(messages):
            yield answer

    method = grpc.stream_stream_rpc_method_handler(
        process, pb2.ProcessingRequest.FromString, Response.SerializeToString
    )
    server = grpc.aio.server()
    handler = grpc.method_handlers_generic_handler(SERVICE, {METHOD: method})
    server.add_generic_rpc_handlers((handler,))
    port: int = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    stack.push_async_callback(server.stop, 0)
    return port
