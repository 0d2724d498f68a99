"""An HTTP/1.1 upstream that tells what reached it."""

import asyncio
import contextlib
import hashlib
import json
from types import TracebackType
from typing import Self

import h11

from mixer.study.http1 import HttpError, HttpStream, header_fields


class EchoUpstream:
    """Answers every request with 200 and a JSON description of it; keeps nothing.

    The description has ``method``, ``path`` (with the query), ``headers`` (a list of pairs in
    the order of arrival), ``body_length`` and ``body_sha256``.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._host, self._port = host, port
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, self._host, self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def address(self) -> str:
        """Where it listens, as ``host:port``."""
        return f"{self._host}:{self._port}"

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Not a coroutine: asyncio would keep no reference to its task and report its cancellation.
        connection = asyncio.create_task(_serve(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    stream = HttpStream(h11.SERVER, reader, writer)
    try:
        with contextlib.suppress(ConnectionError):
            await _answer_all(stream)
    finally:
        writer.close()


async def _answer_all(stream: HttpStream) -> None:
    try:
        while isinstance(request := await stream.receive(), h11.Request):
            await _answer(stream, request)
            if stream.protocol.our_state is not h11.DONE:
                return
            stream.protocol.start_next_cycle()
    except HttpError:
        headers = [(b"content-length", b"0"), (b"connection", b"close")]
        await stream.send(h11.Response(status_code=400, headers=headers), h11.EndOfMessage())


async def _answer(stream: HttpStream, request: h11.Request) -> None:
    length, digest = 0, hashlib.sha256()
    while isinstance(part := await stream.receive(), h11.Data):
        length += len(part.data)
        digest.update(part.data)
    seen = {
        "method": request.method.decode(),
        "path": request.target.decode(),
        "headers": header_fields(request),
        "body_length": length,
        "body_sha256": digest.hexdigest(),
    }
    body = json.dumps(seen).encode()
    headers = [("content-type", "application/json"), ("content-length", str(len(body)))]
    shown = b"" if request.method == b"HEAD" else body
    await stream.send(
        h11.Response(status_code=200, headers=headers), h11.Data(shown), h11.EndOfMessage()
    )
