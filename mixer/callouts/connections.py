"""Connections to an upstream: the codecs on the transports of asyncio."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Protocol

from mixer.callouts.flood import is_flooded
from mixer.callouts.http1 import Http1Codec
from mixer.callouts.http2 import Http2Codec
from mixer.callouts.http_failures import Outcome, Reset, ResetError
from mixer.callouts.http_request import Request
from mixer.callouts.http_response import ResponseTooLargeError

Ended = Callable[[Outcome], None]
GiveUp = Callable[[], bool]
"""Ends an exchange from this side; whether the headers of its response had come."""


class HttpConnection(Protocol):
    """An open connection, whatever the version of HTTP."""

    @property
    def capacity(self) -> int:
        """How many exchanges may begin now."""

    @property
    def busy(self) -> bool:
        """Whether an exchange is under way."""

    def start(self, request: Request, ended: Ended) -> GiveUp:
        """Begin an exchange; ``ended`` is told once how it ended, unless it is given up."""

    def close(self) -> None:
        """Close the connection; exchanges under way are reset."""


class Owner(Protocol):
    """Told about its connections."""

    def ready(self, connection: HttpConnection) -> None:
        """It has room again, or is idle."""

    def gone(self, connection: HttpConnection) -> None:
        """It is closed."""


class Http1Connection(asyncio.Protocol):
    """One exchange at a time.

    Args:
        owner: Told about it.
    """

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._codec = Http1Codec()
        self._ended: Ended | None = None

    @property
    def capacity(self) -> int:
        """See `HttpConnection`."""
        free = self._ended is None and self._codec.reusable and not self._transport.is_closing()
        return 1 if free else 0

    @property
    def busy(self) -> bool:
        """See `HttpConnection`."""
        return self._ended is not None

    def start(self, request: Request, ended: Ended) -> GiveUp:
        """See `HttpConnection`."""
        self._transport.write(self._codec.send(request))
        self._ended = ended
        return self._give_up

    def close(self) -> None:
        """See `HttpConnection`."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = as_transport(transport)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._ended is None:  # bytes that nobody asked for must not become an answer
            self.close()
        else:
            self._receive(data)

    def eof_received(self) -> None:
        """See `asyncio.Protocol`."""
        if self._ended is not None:
            self._receive(b"")

    def connection_lost(self, error: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        del error
        if self._ended is not None:
            self._end(None if self._codec.has_headers else Reset.CONNECTION_TERMINATION)
        self._owner.gone(self)

    def _give_up(self) -> bool:
        self._ended = None
        self.close()
        return self._codec.has_headers

    def _receive(self, data: bytes) -> None:
        try:
            reply = self._codec.receive(data)
        except ResetError as error:
            self._end(None if self._codec.has_headers else error.reset)
        except ResponseTooLargeError:
            self._end(None)
        else:
            if reply is not None:
                self._end(reply)

    def _end(self, outcome: Outcome) -> None:
        assert self._ended is not None
        ended, self._ended = self._ended, None
        if not self._codec.reusable:
            self.close()
        ended(outcome)
        if self.capacity:
            self._owner.ready(self)


class Http2Connection(asyncio.Protocol):
    """Many exchanges at a time.

    Args:
        owner: Told about it.
    """

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._codec = Http2Codec()
        self._ended: dict[int, Ended] = {}

    @property
    def capacity(self) -> int:
        """See `HttpConnection`."""
        return 0 if self._transport.is_closing() else max(self._codec.capacity, 0)

    @property
    def busy(self) -> bool:
        """See `HttpConnection`."""
        return bool(self._ended)

    def start(self, request: Request, ended: Ended) -> GiveUp:
        """See `HttpConnection`."""
        stream = self._codec.send(request)
        self._ended[stream] = ended
        self._flush()
        return partial(self._give_up, stream)

    def close(self) -> None:
        """See `HttpConnection`."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = as_transport(transport)
        self._flush()

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        try:
            outcomes = self._codec.receive(data)
        except ResetError as error:
            outcomes = self._codec.abandon(error.reset)
            self.close()
        self._flush()
        if is_flooded(self._codec, self._transport):
            self.close()
        self._tell(outcomes)
        if self.capacity or not self.busy:
            self._settle()

    def connection_lost(self, error: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        del error
        self._tell(self._codec.abandon(Reset.CONNECTION_TERMINATION))
        self._owner.gone(self)

    def _settle(self) -> None:
        if self._codec.closing and not self.busy:
            self.close()
        elif self.capacity:
            self._owner.ready(self)

    def _tell(self, outcomes: list[tuple[int, Outcome]]) -> None:
        for stream, outcome in outcomes:
            self._ended.pop(stream)(outcome)

    def _give_up(self, stream: int) -> bool:
        self._ended.pop(stream, None)
        had_headers = self._codec.cancel(stream)
        self._flush()
        self._settle()
        return had_headers

    def _flush(self) -> None:
        if data := self._codec.to_send():
            self._transport.write(data)


def as_transport(transport: asyncio.BaseTransport) -> asyncio.Transport:
    """Tell the type checker what asyncio's own stubs do not; uvloop's are no subclass."""
    return transport  # type: ignore[return-value]
