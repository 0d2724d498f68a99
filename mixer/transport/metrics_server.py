"""``GET /metrics`` over HTTP/1.1, on the event loop of the engine.

One request for each connection, in bounded time: who connects and asks nothing, or takes nothing,
is cut off.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import h11

from mixer.telemetry import Exposition, Metrics, OpenMetrics, negotiate
from mixer.transport.listening import UNIX, listen_error
from mixer.transport.tls import ServerTls

_log = logging.getLogger(__name__)

MAX_HEAD_BYTES = 16 * 1024
"""Of a request: its first line and its headers."""

MAX_CONNECTIONS = 16
"""At once; more are closed without an answer."""

EXCHANGE_S = 30.0
"""From the connection to the last byte of the answer."""

HEAD_S = 5.0
"""From the connection to the last header of the request."""

_BLOCK_BYTES = 64 * 1024
_TEXT = ("content-type", "text/plain; charset=utf-8")
_CLOSE = ("connection", "close")


class _Answer(NamedTuple):
    """An answer that is no metrics."""

    status: int
    text: str
    headers: tuple[tuple[str, str], ...] = ()


_HEALTHY = _Answer(200, "ok\n")
_NOT_FOUND = _Answer(404, "there are /metrics and /healthz\n")
_NOT_ALLOWED = _Answer(405, "only GET and HEAD\n", (("allow", "GET, HEAD"),))


class MetricsServer:
    """Answers scrapes.

    Args:
        metrics: What is told.
        exchange_s: The longest time of one connection, in seconds.
    """

    def __init__(self, metrics: Metrics, *, exchange_s: float = EXCHANGE_S) -> None:
        self._metrics = metrics
        self._open_metrics = OpenMetrics(metrics.is_taken)
        self._exchange_s = exchange_s
        self._connections: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def listening(self, address: str, tls: ServerTls | None = None) -> AsyncIterator[str]:
        """Serve while entered; told is the address with the port that it has.

        Args:
            address: As of a listener.
            tls: None for plaintext.

        Raises:
            ListenError: The address cannot be listened on.
        """
        try:
            server = await _listen(self._accept, address, tls)
        except OSError as error:
            raise listen_error("spec.telemetry.metrics", address, error) from error
        try:
            yield _bound(server, address)
        finally:
            server.close()
            for connection in self._connections:
                connection.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)
            await server.wait_closed()
            _remove(address)

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self._connections)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= MAX_CONNECTIONS:
            writer.transport.abort()
            return
        connection = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        try:
            async with asyncio.timeout(self._exchange_s):
                await self._exchange(protocol, reader, writer)
                writer.close()
                await writer.wait_closed()
        except (TimeoutError, ConnectionError):
            pass  # what the client sees of it is all that there is to it
        except Exception:
            _log.exception("an answer about metrics failed")
        finally:
            writer.transport.abort()

    async def _exchange(
        self,
        protocol: h11.Connection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        try:
            async with asyncio.timeout(HEAD_S):
                request = await _request(protocol, reader)
        except h11.RemoteProtocolError as error:
            _send(protocol, writer, _Answer(error.error_status_hint, "no request\n"))
            return
        if request is not None:
            await self._answer(protocol, writer, request)

    async def _answer(
        self, protocol: h11.Connection, writer: asyncio.StreamWriter, request: h11.Request
    ) -> None:
        path, is_head = request.target.partition(b"?")[0], request.method == b"HEAD"
        if path not in (b"/metrics", b"/healthz"):
            _send(protocol, writer, _NOT_FOUND, is_head=is_head)
        elif not is_head and request.method != b"GET":
            _send(protocol, writer, _NOT_ALLOWED)
        elif path == b"/healthz":
            _send(protocol, writer, _HEALTHY, is_head=is_head)
        else:
            await self._tell(protocol, writer, request)

    async def _tell(
        self, protocol: h11.Connection, writer: asyncio.StreamWriter, request: h11.Request
    ) -> None:
        """Write the metrics piece by piece, with the loop's other work in between."""
        accept = b",".join(value for name, value in request.headers if name == b"accept")
        format_ = negotiate(accept.decode("latin-1"), self._open_metrics)
        head = h11.Response(
            status_code=200, headers=[("content-type", format_.content_type), _CLOSE]
        )
        writer.write(protocol.send(head) or b"")
        if request.method == b"GET":
            async for data in _texts(self._metrics, format_):
                writer.write(protocol.send(h11.Data(data)) or b"")
                await writer.drain()
        writer.write(protocol.send(h11.EndOfMessage()) or b"")
        await writer.drain()


async def _texts(metrics: Metrics, format_: Exposition) -> AsyncIterator[bytes]:
    for families in metrics.pieces():
        if families:
            yield format_.write(families).encode()
        await asyncio.sleep(0)
    if format_.end:
        yield format_.end.encode()


async def _request(protocol: h11.Connection, reader: asyncio.StreamReader) -> h11.Request | None:
    """The head of a request, whose body is never read; None where there comes none."""
    while (event := protocol.next_event()) is h11.NEED_DATA:
        protocol.receive_data(await reader.read(_BLOCK_BYTES))
    return event if isinstance(event, h11.Request) else None


def _send(
    protocol: h11.Connection,
    writer: asyncio.StreamWriter,
    answer: _Answer,
    *,
    is_head: bool = False,
) -> None:
    body = answer.text.encode()
    length = ("content-length", str(len(body)))
    head = h11.Response(status_code=answer.status, headers=[_TEXT, length, _CLOSE, *answer.headers])
    for event in (head, h11.Data(data=b"" if is_head else body), h11.EndOfMessage()):
        writer.write(protocol.send(event) or b"")


def _remove(address: str) -> None:
    if address.startswith(UNIX):
        Path(address.removeprefix(UNIX)).unlink(missing_ok=True)


_Accept = Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]


async def _listen(accept: _Accept, address: str, tls: ServerTls | None) -> asyncio.Server:
    secured: dict[str, Any] = {}
    if tls is not None:
        secured = {"ssl": tls.context(("http/1.1",)), "ssl_handshake_timeout": HEAD_S}
    if address.startswith(UNIX):
        return await asyncio.start_unix_server(accept, address.removeprefix(UNIX), **secured)
    host, _, port = address.rpartition(":")
    return await asyncio.start_server(accept, host.strip("[]"), int(port), **secured)


def _bound(server: asyncio.Server, address: str) -> str:
    if address.startswith(UNIX):
        return address
    return f"{address.rpartition(':')[0]}:{server.sockets[0].getsockname()[1]}"
