"""An HTTP/1.1 upstream that tells what reached it."""

import asyncio
import contextlib
import hashlib
import json
from types import TracebackType
from typing import Self

from mixer.study.http1 import MAX_HEAD_BYTES, Head, HttpError, read_body, read_head

_BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


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
        self._server = await asyncio.start_server(
            self._accept, self._host, self._port, limit=MAX_HEAD_BYTES
        )
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
    try:
        with contextlib.suppress(ConnectionError):
            await _answer_all(reader, writer)
    finally:
        writer.close()


async def _answer_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while (head := await read_head(reader)) is not None:
            writer.write(await _answer(reader, head))
            await writer.drain()
            if head.closes:
                return
    except HttpError:
        writer.write(_BAD_REQUEST)


async def _answer(reader: asyncio.StreamReader, head: Head) -> bytes:
    length, digest = 0, hashlib.sha256()
    async for block in read_body(reader, head):
        length += len(block)
        digest.update(block)
    method, path, _ = head.start
    seen = {
        "method": method,
        "path": path,
        "headers": head.headers,
        "body_length": length,
        "body_sha256": digest.hexdigest(),
    }
    body = json.dumps(seen).encode()
    lines = [
        "HTTP/1.1 200 OK",
        "content-type: application/json",
        f"content-length: {len(body)}",
        *(["connection: close"] if head.closes else []),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + (b"" if method == "HEAD" else body)
