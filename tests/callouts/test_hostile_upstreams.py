"""Upstreams that speak HTTP/2 well enough to make this side keep what they do not read."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from hyperframe.frame import PingFrame, SettingsFrame, WindowUpdateFrame

from mixer.callouts.addresses import Addresses
from mixer.callouts.clusters import HttpProtocol
from mixer.callouts.grpc_calls import GrpcCalls
from mixer.callouts.grpc_stream import MAX_UNSENT
from mixer.callouts.naming import Clusters
from mixer.callouts.ports import GrpcMethod, NotSentError, Pairs
from tests.callouts.clients import callouts, reply_to, static, text, until

_LARGEST_WINDOW = (1 << 31) - 1
ROOM = (
    SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: _LARGEST_WINDOW}).serialize()
    + WindowUpdateFrame(0, window_increment=_LARGEST_WINDOW - 65535).serialize()
)
PINGS = PingFrame(0, b"12345678").serialize() * 1000

Write = Callable[[asyncio.StreamWriter], object]


@asynccontextmanager
async def deaf(first: bytes, again: bytes = b"") -> AsyncIterator[int]:
    """A server that reads nothing, and writes ``again`` for as long as it can; its port."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(task := asyncio.current_task())  # type: ignore[arg-type]
        assert task is not None
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        with contextlib.suppress(ConnectionError):
            writer.write(first)
            while again:
                writer.write(again)
                await writer.drain()
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                writer.transport.abort()

    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # soon full
    server = await asyncio.start_server(serve, sock=listener)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Silent:
    """A module that is told how its stream ended."""

    def __init__(self) -> None:
        self.closed: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()

    def on_initial_metadata(self, metadata: Pairs) -> None:
        """Nobody asks for it."""

    def on_message(self, message: bytes) -> None:
        """There is none."""

    def on_trailing_metadata(self, metadata: Pairs) -> None:
        """Nobody asks for it."""

    def on_close(self, status: int, message: str) -> None:
        self.closed.set_result((status, message))


async def test_pings_whose_answers_are_not_read_end_an_http_connection() -> None:
    """An upstream cannot fill the memory with the answers that HTTP/2 owes it."""
    async with (
        deaf(ROOM, PINGS) as port,
        callouts(static(port, protocol=HttpProtocol.HTTP2)) as client,
    ):
        reply = await reply_to(client)
    assert reply is not None
    assert text(reply)[0] == "503"  # type: ignore[index]
    assert reply.body.endswith(b"connection termination")


async def test_pings_whose_answers_are_not_read_end_a_grpc_connection() -> None:
    """Nor can a gRPC server."""
    async with deaf(ROOM, PINGS) as port:
        calls, events = GrpcCalls(Clusters([static(port)]), Addresses()), Silent()
        calls.grpc_stream(GrpcMethod(b"up", "a.B", "c", (), None), events)
        status, message = await asyncio.wait_for(events.closed, 60)
        await calls.close()
    assert status == 14
    assert "connection_termination" in message


@pytest.mark.parametrize("turns", [False, True])
async def test_a_stream_to_a_server_that_does_not_read_is_bounded(turns: bool) -> None:
    """What the server's windows have room for waits here all the same, and counts."""
    async with deaf(ROOM) as port:
        calls, events = GrpcCalls(Clusters([static(port)]), Addresses()), Silent()
        stream = calls.grpc_stream(GrpcMethod(b"up", "a.B", "c", (), None), events)
        await until(lambda: stream._connection)  # type: ignore[attr-defined]
        codec = stream._connection._codec  # type: ignore[attr-defined]
        await until(lambda: codec._protocol.remote_settings.initial_window_size > 65535)
        piece, sent = bytes(1 << 20), 0
        with contextlib.suppress(NotSentError):
            while sent < 8 * MAX_UNSENT:
                stream.send(piece, end_of_stream=False)
                sent += len(piece)
                if turns:
                    await asyncio.sleep(0)
        await calls.close()
    assert MAX_UNSENT // 2 < sent < 2 * MAX_UNSENT
