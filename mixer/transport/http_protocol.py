"""uvicorn's HTTP/1.1 on one connection, with bounds.

uvicorn bounds neither how long a request may take to arrive, nor its headers, nor the connections,
nor how long an answer may take to leave; and of a target it forgets what cannot be of a path.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from mixer.transport.caller import caller_of_transport
from mixer.transport.identity import identity_at

REQUEST_S = 30.0
"""From the first byte of a request to the last one of its body."""

TARGET, CALLER, IDENTITY = "target", "caller", "identity"
"""What the state of a scope tells: the target as it was sent, a `FindCaller`, and an `Identity`."""

_LINE_BYTES = 4


@dataclass(frozen=True, slots=True)
class HttpBounds:
    """Of the connections of one listener.

    Attributes:
        connections: At one time; more are closed without an answer.
        header_bytes: Of a request's target and headers.
        idle_s: Seconds that a connection without a request is kept, or one that reads no answer.
        request_s: Seconds that a request may take to arrive.
    """

    connections: int
    header_bytes: int
    idle_s: float
    request_s: float = REQUEST_S


class BoundedProtocol(HttpToolsProtocol):
    """One connection; what exceeds a bound gets 400, or is cut off.

    Args:
        config: Of uvicorn.
        state: What all connections of a listener share.
        bounds: Of this listener.
    """

    def __init__(self, config: Config, state: ServerState, bounds: HttpBounds) -> None:
        super().__init__(config, state, {}, asyncio.get_running_loop())
        self._bounds = bounds
        self._in_head = True
        self._head_bytes = 0
        self._arriving: asyncio.TimerHandle | None = None
        self._leaving: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection on, or close it if there are too many."""
        super().connection_made(transport)  # type: ignore[arg-type]
        identity = identity_at(transport)
        self.app_state[IDENTITY] = identity
        self.app_state[CALLER] = caller_of_transport(transport, identity)
        if len(self.connections) > self._bounds.connections:
            self.transport.abort()
        else:
            self._await_within(self._bounds.idle_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what was waited for."""
        self._stop_waiting()
        self._stop_leaving()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The peer does not read; a further request would wait for it without an end."""
        super().pause_writing()
        self._leaving = self.loop.call_later(self._bounds.idle_s, self._cut_off)

    def resume_writing(self) -> None:
        """It reads again."""
        self._stop_leaving()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Feed the parser; it keeps a header that has no end in memory."""
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes - len(data) > self._bounds.header_bytes:
                self.send_400_response("the headers are too long")
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        """A request begins; it must arrive in time."""
        super().on_message_begin()
        self._in_head = True
        self._size = 0
        self._await_within(self._bounds.request_s)

    def on_url(self, url: bytes) -> None:
        """Count a piece of the target."""
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header."""
        super().on_header(name, value)
        self._count(len(name) + len(value) + _LINE_BYTES)

    def _count(self, size: int) -> None:
        self._size += size
        if self._size > self._bounds.header_bytes:
            raise ValueError("the headers are too long")

    def on_headers_complete(self) -> None:
        """Begin with a request; an absolute target, which names a second host, is refused.

        What else proxies could read in two ways, such as a length beside an encoding, the parser
        refuses.
        """
        self._in_head, self._head_bytes = False, 0
        if not self.url.startswith(b"/"):
            raise ValueError("the target is no path")
        state: dict[str, Any] = self.scope["state"]
        state[TARGET] = self.url
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._stop_waiting()
        self._in_head = True
        super().on_message_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Cut off a connection that is not used, and a peer that does not read its answer."""
        self.transport.abort()

    def _await_within(self, seconds: float) -> None:
        self._stop_waiting()
        self._arriving = self.loop.call_later(seconds, self._cut_off)

    def _cut_off(self) -> None:
        self.transport.abort()

    def _stop_waiting(self) -> None:
        if self._arriving is not None:
            self._arriving.cancel()
            self._arriving = None

    def _stop_leaving(self) -> None:
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None
