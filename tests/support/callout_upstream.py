"""Upstreams that answer callouts byte by byte as a test says, well or badly."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Self

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h11

_BETWEEN_PIECES_S = 0.005


@dataclass(frozen=True)
class Http1:
    """What follows a request over HTTP/1.1.

    Attributes:
        pieces: Written one by one.
        ending: ``keep`` reads the next request, ``close`` and ``reset`` end the connection,
            ``hang`` leaves it open and silent.
    """

    pieces: tuple[bytes, ...] = ()
    ending: str = "keep"


@dataclass(frozen=True)
class Http2:
    """What follows a request over HTTP/2.

    Attributes:
        steps: Done one by one, each with the connection and the stream's number.
        ending: As of `Http1`.
    """

    steps: tuple[Callable[[h2.connection.H2Connection, int], None], ...] = ()
    ending: str = "keep"


@dataclass
class Upstream:
    """Answers every request alike, on a free port; tells what it got.

    Attributes:
        answer: What follows each request.
        tls: None for plaintext.
        requests: The bytes of each HTTP/1.1 request, or the header list and body of an HTTP/2 one.
        connections: That were accepted.
    """

    answer: Http1 | Http2
    tls: ssl.SSLContext | None = None
    requests: list[tuple[object, bytes, object]] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    port: int = 0

    async def __aenter__(self) -> Self:
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        serve: Callable[..., Awaitable[None]]
        serve = self._http1 if isinstance(self.answer, Http1) else self._http2
        try:
            with contextlib.suppress(
                ConnectionError, h11.ProtocolError, h2.exceptions.ProtocolError, ssl.SSLError
            ):
                await serve(reader, writer)
        finally:
            self.open -= 1
            writer.close()

    async def _http1(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answer, rest = self.answer, b""
        assert isinstance(answer, Http1)
        while request := await self._request(reader, rest):
            raw, body, trailers, rest = request
            self.requests.append((raw, body, trailers))
            for i, piece in enumerate(answer.pieces):
                if i:
                    await asyncio.sleep(_BETWEEN_PIECES_S)
                writer.write(piece)
                await writer.drain()
            if not await _goes_on(answer.ending, reader, writer):
                return

    async def _request(
        self, reader: asyncio.StreamReader, raw: bytes
    ) -> tuple[bytes, bytes, object, bytes] | None:
        protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        protocol.receive_data(raw) if raw else None
        body = b""
        while True:
            event = protocol.next_event()
            if event is h11.NEED_DATA:
                data = await reader.read(65536)
                raw += data
                protocol.receive_data(data)
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                trailers = [(bytes(n), bytes(v)) for n, v in event.headers]
                return raw, body, trailers, protocol.trailing_data[0]
            elif isinstance(event, h11.ConnectionClosed):
                return None

    async def _http2(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answer = self.answer
        assert isinstance(answer, Http2)
        protocol = h2.connection.H2Connection(
            h2.config.H2Configuration(
                client_side=False, header_encoding=None, validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )  # fmt: skip
        protocol.initiate_connection()
        writer.write(protocol.data_to_send())
        requests: dict[int, tuple[list[object], bytearray, list[object]]] = {}
        while data := await reader.read(65536):
            for event in protocol.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    requests[event.stream_id] = (list(event.headers), bytearray(), [])
                elif isinstance(event, h2.events.TrailersReceived):
                    requests[event.stream_id][2].extend(event.headers)
                elif isinstance(event, h2.events.DataReceived):
                    requests[event.stream_id][1].extend(event.data)
                    protocol.acknowledge_received_data(
                        event.flow_controlled_length, event.stream_id
                    )
                elif isinstance(event, h2.events.StreamEnded):
                    headers, body, trailers = requests.pop(event.stream_id)
                    self.requests.append((headers, bytes(body), trailers))
                    for step in answer.steps:
                        step(protocol, event.stream_id)
                        writer.write(protocol.data_to_send())
                        await asyncio.sleep(_BETWEEN_PIECES_S)
                    if not await _goes_on(answer.ending, reader, writer):
                        return
            writer.write(protocol.data_to_send())


async def _goes_on(ending: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    if ending == "reset":
        connection: socket.socket = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await asyncio.sleep(_BETWEEN_PIECES_S)
        writer.transport.abort()
    elif ending == "hang":
        while await reader.read(65536):
            pass
    return ending == "keep"
