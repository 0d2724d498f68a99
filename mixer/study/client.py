"""An HTTP/1.1 client that sends targets and headers as it is told to."""

import asyncio
import contextlib
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import h11

from mixer.study.http1 import Headers, HttpStream, header_fields


@dataclass(frozen=True, slots=True)
class Request:
    """A request: the target is sent as it is, and header names keep their case."""

    method: str
    target: str
    headers: Headers = ()
    body: bytes = b""

    def events(self, host: str) -> tuple[h11.Event, ...]:
        """Its parts, with ``host`` and, if there is a body, ``content-length``."""
        framing = (("content-length", str(len(self.body))),) if self.body else ()
        fields = [
            (name.encode("latin-1"), value.encode("latin-1"))
            for name, value in (("host", host), *self.headers, *framing)
        ]
        head = h11.Request(method=self.method, target=self.target, headers=fields)
        return head, h11.Data(self.body), h11.EndOfMessage()


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
        reader, self._writer = await asyncio.open_connection(host, int(port))
        self._stream = HttpStream(h11.CLIENT, reader, self._writer)

    async def _close(self) -> None:
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
            if self._stream.protocol.our_state is not h11.IDLE:
                await self._close()
                await self._open()
            await self._stream.send(*request.events(host))
            response = await self._receive()
        if self._stream.protocol.our_state is h11.DONE:
            self._stream.protocol.start_next_cycle()
        return response

    async def _receive(self) -> Response:
        while not isinstance(head := await self._stream.receive(), h11.Response):
            pass  # an informational one
        body = b""
        while isinstance(part := await self._stream.receive(), h11.Data):
            body += part.data
        headers = tuple((name.lower(), value) for name, value in header_fields(head))
        return Response(head.status_code, headers, body)


async def get(address: str, target: str, timeout_s: float = 10.0) -> Response:
    """Sends one GET on a connection of its own.

    Raises:
        OSError: Nothing listens at the address.
        HttpError: The answer is no HTTP/1.1 response.
        TimeoutError: The exchange takes longer than ``timeout_s`` seconds.
    """
    async with HttpConnection(address, timeout_s) as connection:
        return await connection.send(Request("GET", target, (("connection", "close"),)), address)
