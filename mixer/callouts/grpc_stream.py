"""A gRPC call or stream that is under way."""

import asyncio
from collections.abc import Callable

from mixer.callouts.dialing import DialError
from mixer.callouts.grpc_channel import FullError, GrpcChannel, GrpcConnection
from mixer.callouts.grpc_exchange import Exchange
from mixer.callouts.grpc_messages import framed
from mixer.callouts.grpc_status import (
    TIMED_OUT,
    Failure,
    LocalAnswer,
    before_headers,
    not_connected,
)
from mixer.callouts.ports import GrpcEvents, NotSentError, Pairs

MAX_UNSENT = 16 << 20
"""Bytes of one stream that may wait for the server, with what its connection has to write."""


class OpenStream:
    """One call or stream: what is sent before there is a connection waits here.

    Args:
        channel: Gives a connection.
        headers: Of the request.
        events: Whom to tell, in turns of the event loop of their own.
        timeout: Seconds until the end must be there, or None; 0 leaves that to the server, which
            is told, as in Envoy.
    """

    def __init__(
        self, channel: GrpcChannel, headers: Pairs, events: GrpcEvents, timeout: float | None
    ) -> None:
        self._channel = channel
        self._headers = headers
        self._events = events
        self._loop = asyncio.get_running_loop()
        self._exchange = Exchange(self, channel.cluster.limits.max_response_bytes)
        self._early: list[tuple[bytes, bool]] = []
        self._early_bytes = 0
        self._connection: GrpcConnection | None = None
        self._number = 0
        self._over = False
        self._timer: asyncio.TimerHandle | None = None
        channel.open_calls += 1
        if timeout:
            self._timer = self._loop.call_later(timeout, self._give_up, TIMED_OUT)
        self._task = self._loop.create_task(self._start())

    def send(self, message: bytes, *, end_of_stream: bool) -> None:
        """See `GrpcStream`."""
        waits = self._early_bytes
        if self._connection is not None:
            waits = self._connection.unsent(self._number)
        if waits + len(message) > MAX_UNSENT:
            raise NotSentError(
                f"cluster {self._channel.cluster.name}: a gRPC stream waits to send more than the "
                f"bound of {MAX_UNSENT} bytes, with those of its connection"
            )
        self._send(framed(message), end=end_of_stream)

    def close(self) -> None:
        """See `GrpcStream`."""
        self._send(b"", end=True)

    def reset(self) -> None:
        """See `GrpcStream`."""
        if not self._over:
            self._end()
            self._abandon()

    def on_initial_metadata(self, metadata: Pairs) -> None:
        """The exchange tells it; passed on in a turn of its own."""
        self._loop.call_soon(self._tell, lambda: self._events.on_initial_metadata(metadata))

    def on_message(self, message: bytes) -> None:
        """The exchange tells it; passed on in a turn of its own."""
        self._loop.call_soon(self._tell, lambda: self._events.on_message(message))

    def on_trailing_metadata(self, metadata: Pairs) -> None:
        """The exchange tells it; passed on in a turn of its own."""
        self._loop.call_soon(self._tell, lambda: self._events.on_trailing_metadata(metadata))

    def on_close(self, status: int, message: str) -> None:
        """The exchange tells it; passed on in a turn of its own."""
        self._loop.call_soon(self._close, status, message)

    def _tell(self, event: Callable[[], None]) -> None:
        if not self._over:
            event()

    def _close(self, status: int, message: str) -> None:
        if not self._over:
            self._end()
            self._events.on_close(status, message)

    def _end(self) -> None:
        self._over = True
        self._channel.open_calls -= 1
        if self._timer is not None:
            self._timer.cancel()

    def _send(self, data: bytes, *, end: bool) -> None:
        if self._over:
            return
        if self._connection is not None:
            self._connection.send(self._number, data, end=end)
        else:
            self._early.append((data, end))
            self._early_bytes += len(data)

    async def _start(self) -> None:
        try:
            connection = await self._channel.connection()
        except FullError:
            self._exchange.answer(before_headers(Failure("overflow")))
        except (DialError, OSError) as error:
            self._exchange.answer(not_connected(error))
        else:
            self._number = connection.open(self._headers, self._exchange)
            self._connection = connection
            for data, end in self._early:
                connection.send(self._number, data, end=end)
            self._early.clear()

    def _give_up(self, answer: LocalAnswer) -> None:
        self._exchange.answer(answer)
        self._abandon()

    def _abandon(self) -> None:
        self._task.cancel()
        if self._connection is not None:
            self._connection.reset(self._number)
