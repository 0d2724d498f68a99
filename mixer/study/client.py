"""An HTTP/1.1 client that sends exactly the bytes it is told to."""

import asyncio
import contextlib
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from mixer.study.http1 import MAX_HEAD_BYTES, Headers, HttpError, read_body, read_head

_NO_BODY_STATUSES = (204, 304)


@dataclass(frozen=True, slots=True)
class Request:
    """A request: the target is sent as it is, and header names keep their case."""

    method: str
    target: str
    headers: Headers = ()
    body: bytes = b""

    def encode(self, host: str) -> bytes:
        """The bytes on the wire, with ``host`` and, if there is a body, ``content-length``."""
        framing = (("content-length", str(len(self.body))),) if self.body else ()
        lines = [f"{self.method} {self.target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in (("host", host), *self.headers, *framing)]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


@dataclass(frozen=True, slots=True)
class Response:
    """A whole response; header names are in lower case."""

    status: int
    headers: Headers
    body: bytes

    def header(self, name: str) -> str | None:
        """The values of a header joined with a comma; None if it is absent."""
        values = [value for key, value in self.headers if key == name]
        return ", ".join(values) if values else None


class HttpConnection:
    """One kept connection: an async context manager; one request at a time.

    When the other side says that it closes the connection, the next request opens a new one.

    Args:
        address: ``host:port``.
        timeout_s: The longest time of one exchange, in seconds.

    Raises:
        OSError: On entering, if nothing listens at the address.
    """

    def __init__(self, address: str, timeout_s: float = 10.0) -> None:
        self._address = address
        self._timeout_s = timeout_s

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def _open(self) -> None:
        host, _, port = self._address.rpartition(":")
        self._reader, self._writer = await asyncio.open_connection(
            host, int(port), limit=MAX_HEAD_BYTES
        )
        self._kept = True

    async def _close(self) -> None:
        self._kept = False
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._close()

    async def send(self, request: Request, host: str = "demo.mixer.dev") -> Response:
        """Sends a request and reads the whole response.

        Args:
            request: What to send.
            host: The value of the Host header.

        Raises:
            HttpError: The answer is no HTTP/1.1 response, or the connection ended.
            TimeoutError: The whole exchange takes longer than the connection's timeout.
        """
        async with asyncio.timeout(self._timeout_s):
            if not self._kept:
                await self._open()
            self._writer.write(request.encode(host))
            await self._writer.drain()
            return await self._receive(request.method)

    async def _receive(self, method: str) -> Response:
        while True:
            head = await read_head(self._reader)
            if head is None:
                raise HttpError("the connection ended before the response")
            if (status := _status(head.start[1])) >= 200:
                break
        body = b""
        if method != "HEAD" and status not in _NO_BODY_STATUSES:
            body = b"".join([b async for b in read_body(self._reader, head, until_close=True)])
        if head.closes:
            await self._close()
        headers = tuple((name.lower(), value) for name, value in head.headers)
        return Response(status, headers, body)


def _status(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise HttpError(f"the status {text[:20]!r}")
    return int(text)


async def get(address: str, target: str, timeout_s: float = 10.0) -> Response:
    """Sends one GET on a connection of its own.

    Raises:
        OSError: Nothing listens at the address.
        HttpError: The answer is no HTTP/1.1 response.
        TimeoutError: The exchange takes longer than ``timeout_s`` seconds.
    """
    async with HttpConnection(address, timeout_s) as connection:
        return await connection.send(Request("GET", target, (("connection", "close"),)), address)
