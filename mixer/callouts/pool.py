"""The connections to one address, and the callouts that wait for one."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from mixer.callouts.addresses import Address
from mixer.callouts.callout import HttpCallout
from mixer.callouts.clusters import ClusterLimits, HttpProtocol
from mixer.callouts.connections import (
    GiveUp,
    Http1Connection,
    Http2Connection,
    HttpConnection,
    as_transport,
)
from mixer.callouts.dialing import Dialer, DialError, DialTimeoutError, alpn_of
from mixer.callouts.http_failures import Outcome, Reset
from mixer.callouts.ports import NotSentError

IDLE_S = 60.0
"""How long a connection without an exchange is kept; Envoy keeps it for an hour."""

ALPN = {
    HttpProtocol.HTTP1: ("http/1.1",),
    HttpProtocol.HTTP2: ("h2",),
    HttpProtocol.AUTO: ("h2", "http/1.1"),
}
_STREAMS_OF_HTTP2 = 100


@dataclass
class Budget:
    """What a cluster's pools use together of its limits.

    Attributes:
        limits: The bounds.
        connections: Open, or being opened.
        pending: Callouts that wait for a connection.
        requests: Callouts that have one.
    """

    limits: ClusterLimits
    connections: int = 0
    pending: int = 0
    requests: int = 0

    def take_pending(self) -> None:
        """Count a callout that waits.

        Raises:
            NotSentError: There are too many.
        """
        if self.pending >= self.limits.max_pending_requests:
            raise NotSentError(f"{self.pending} requests wait for a connection: overflow")
        self.pending += 1


class Pool:
    """Connections to one address of a cluster.

    Args:
        dialer: Opens them.
        address: Where to.
        protocol: What they speak.
        budget: Of the cluster.
        changed: Told when a connection is gone: another pool may open one then.
    """

    def __init__(
        self,
        dialer: Dialer,
        address: Address,
        protocol: HttpProtocol,
        budget: Budget,
        changed: Callable[[], None],
    ) -> None:
        self._dialer, self._address, self._protocol = dialer, address, protocol
        self._budget, self._changed = budget, changed
        self._pending: dict[HttpCallout, None] = {}
        # Each with what closes it when it has been idle for long enough; None while it is busy.
        self._connections: dict[HttpConnection, asyncio.TimerHandle | None] = {}
        self._roomy: dict[HttpConnection, None] = {}
        self._dialing: set[asyncio.Task[None]] = set()
        # Not as many as there are tasks: one ends only after its connection was made and is in use.
        self._coming = 0
        self._closed = False
        self._streams = 1 if protocol is HttpProtocol.HTTP1 else _STREAMS_OF_HTTP2

    @property
    def empty(self) -> bool:
        """Whether it has neither connections nor callouts."""
        return not (self._connections or self._dialing or self._pending)

    def submit(self, callout: HttpCallout) -> None:
        """Send a callout, or have it wait for a connection.

        Raises:
            NotSentError: A limit of the cluster is reached.
        """
        connection = self._with_room()
        if connection is None:
            self._budget.take_pending()
            self._pending[callout] = None
            callout.give_up = partial(self._leave, callout)
            self.dial_if_needed()
        elif self._budget.requests >= self._budget.limits.max_requests:
            raise NotSentError(f"{self._budget.requests} requests are under way: overflow")
        else:
            self._attach(callout, connection)

    def dial_if_needed(self) -> None:
        """Open connections for the callouts that wait, as far as the limits let it."""
        coming = self._coming * self._streams
        while len(self._pending) > coming and self._may_dial():
            self._budget.connections += 1
            self._coming += 1
            task = asyncio.create_task(self._dial())
            self._dialing.add(task)
            task.add_done_callback(self._dialing.discard)
            coming += self._streams

    async def close(self) -> None:
        """Close all connections; callouts get no answer."""
        self._closed = True
        for callout in list(self._pending):
            self._leave(callout)
            callout.end(None)
        dialing = list(self._dialing)
        for task in dialing:
            task.cancel()
        await asyncio.gather(*dialing, return_exceptions=True)
        for connection in list(self._connections):
            connection.close()

    def ready(self, connection: HttpConnection) -> None:
        """See `mixer.callouts.connections.Owner`."""
        if connection in self._connections:
            self._roomy[connection] = None
            self._serve(connection)

    def gone(self, connection: HttpConnection) -> None:
        """See `mixer.callouts.connections.Owner`."""
        self._roomy.pop(connection, None)
        timer = self._connections.pop(connection, None)
        if timer is not None:
            timer.cancel()
        self._budget.connections -= 1
        self.dial_if_needed()
        self._changed()

    def _with_room(self) -> HttpConnection | None:
        """Find the connection that was used last among those that take one more."""
        while self._roomy:
            connection = next(reversed(self._roomy))
            if connection.capacity:
                return connection
            del self._roomy[connection]
        return None

    def _may_dial(self) -> bool:
        # One connection is always allowed, as in Envoy: else a pool could starve for ever.
        below = self._budget.connections < self._budget.limits.max_connections
        return below or not (self._connections or self._dialing)

    async def _dial(self) -> None:
        opening = _Opening(self, self._protocol)
        try:
            await self._dialer.dial(lambda: opening, self._address)
        except BaseException as error:
            opening.give_up()
            if not isinstance(error, DialError):
                raise
            self._fail(error)

    def opened(self, connection: HttpConnection) -> None:
        """Take a new connection."""
        self._coming -= 1
        self._connections[connection] = self._roomy[connection] = None
        self._streams = _STREAMS_OF_HTTP2 if isinstance(connection, Http2Connection) else 1
        self._serve(connection)

    def not_opened(self) -> None:
        """Count one connection less."""
        self._coming -= 1
        self._budget.connections -= 1

    def _fail(self, error: DialError) -> None:
        # All that wait, as in Envoy: what is wrong with one connection is with the next one too.
        timed_out = isinstance(error, DialTimeoutError)
        for callout in list(self._pending):
            self._leave(callout)
            callout.end(Reset.CONNECTION_TIMEOUT if timed_out else Reset.CONNECTION_FAILURE)
        self._changed()

    def _serve(self, connection: HttpConnection) -> None:
        while self._pending and connection.capacity:
            callout = next(iter(self._pending))
            self._leave(callout)
            if self._budget.requests >= self._budget.limits.max_requests:
                callout.end(Reset.OVERFLOW)
            else:
                self._attach(callout, connection)
        self.dial_if_needed()
        if not connection.busy and self._connections[connection] is None:
            loop = asyncio.get_running_loop()
            self._connections[connection] = loop.call_later(IDLE_S, connection.close)

    def _attach(self, callout: HttpCallout, connection: HttpConnection) -> None:
        timer = self._connections[connection]
        if timer is not None:
            timer.cancel()
            self._connections[connection] = None
        self._budget.requests += 1
        give_up = connection.start(callout.request, partial(self._ended, callout))
        callout.give_up = partial(self._give_up, give_up)
        if not connection.capacity:
            self._roomy.pop(connection, None)

    def _ended(self, callout: HttpCallout, outcome: Outcome) -> None:
        self._budget.requests -= 1
        callout.end(None if self._closed else outcome)

    def _give_up(self, give_up: GiveUp) -> bool:
        self._budget.requests -= 1
        return give_up()

    def _leave(self, callout: HttpCallout) -> bool:
        del self._pending[callout]
        self._budget.pending -= 1
        return False


class _Opening(asyncio.Protocol):
    """A new connection, until it is known what it speaks."""

    def __init__(self, pool: Pool, protocol: HttpProtocol) -> None:
        self._pool, self._protocol = pool, protocol
        self._connection: HttpConnection | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        made = as_transport(transport)
        protocol = self._protocol
        if protocol is HttpProtocol.AUTO:
            protocol = HttpProtocol.HTTP2 if alpn_of(made) == "h2" else HttpProtocol.HTTP1
        speaks = Http2Connection if protocol is HttpProtocol.HTTP2 else Http1Connection
        connection = self._connection = speaks(self._pool)
        made.set_protocol(connection)
        connection.connection_made(made)
        self._pool.opened(connection)

    def give_up(self) -> None:
        """Close what there is; a connection tells the pool itself that it is gone."""
        if self._connection is None:
            self._pool.not_opened()
        else:
            self._connection.close()
