"""Connections to a cluster for gRPC: its addresses in turn, each connection for many exchanges."""

import asyncio
from collections.abc import Callable

from mixer.callouts.addresses import Address, Addresses
from mixer.callouts.clusters import Cluster
from mixer.callouts.dialing import Connection, Dialer
from mixer.callouts.flood import is_flooded
from mixer.callouts.grpc_exchange import Exchange
from mixer.callouts.grpc_http2 import BrokenConnectionError, GrpcHttp2
from mixer.callouts.grpc_status import PROTOCOL_ERROR, TERMINATED, Failure
from mixer.callouts.ports import Pairs
from mixer.callouts.tls import TlsContexts

_READ_BYTES = 1 << 16
_IDLE_S = 60.0


class FullError(Exception):
    """The cluster has as many connections as it may have, and all are full."""


class GrpcConnection:
    """An open connection. Exchanges are told in its own task, never from within a call.

    Args:
        connection: Just opened.
        gone: Called once the connection is of no more use.
    """

    def __init__(self, connection: Connection, gone: Callable[["GrpcConnection"], None]) -> None:
        self._connection = connection
        self._codec = GrpcHttp2()
        self._gone = gone
        self._loop = asyncio.get_running_loop()
        self._flushing = False
        self._idle: asyncio.TimerHandle | None = None
        self._task = self._loop.create_task(self._read())

    @property
    def capacity(self) -> int:
        """How many exchanges may begin now."""
        return 0 if self._task.done() else self._codec.capacity

    def open(self, headers: Pairs, exchange: Exchange) -> int:
        """Begin an exchange; its number."""
        number = self._codec.open(headers, exchange)
        self._flush_soon()
        return number

    def send(self, number: int, data: bytes, *, end: bool) -> None:
        """Send a part of a body."""
        self._codec.send(number, data, end=end)
        self._flush_soon()

    def unsent(self, number: int) -> int:
        """Bytes that the server has no room for yet, and those of all exchanges on their way."""
        waiting = self._connection.writer.transport.get_write_buffer_size()
        return self._codec.unsent(number) + self._codec.unwritten() + waiting

    def reset(self, number: int) -> None:
        """Give an exchange up."""
        self._codec.reset(number)
        self._flush_soon()

    async def close(self) -> None:
        """End the connection."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if not self._connection.writer.is_closing():
            self._connection.writer.write(self._codec.to_send())
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if not self._codec.open_streams:
            self._idle = self._loop.call_later(_IDLE_S, self._task.cancel)

    async def _read(self) -> None:
        failure = TERMINATED
        try:
            self._flush_soon()
            failure = await self._read_all()
        finally:
            self._codec.lost(failure)
            if self._idle is not None:
                self._idle.cancel()
            self._connection.writer.transport.abort()
            self._gone(self)

    async def _read_all(self) -> Failure:
        reader = self._connection.reader
        try:
            while data := await reader.read(_READ_BYTES):
                self._codec.receive(data)
                self._flush_soon()
                if is_flooded(self._codec, self._connection.writer.transport):
                    return TERMINATED
        except BrokenConnectionError:
            return PROTOCOL_ERROR
        except OSError:
            return TERMINATED
        return TERMINATED


class GrpcChannel:
    """All connections to one cluster.

    Args:
        cluster: Whom to connect to.
        addresses: Knows DNS.
        contexts: For TLS.

    Raises:
        TlsFilesError: A file of the TLS settings cannot be used.
    """

    def __init__(self, cluster: Cluster, addresses: Addresses, contexts: TlsContexts) -> None:
        self.cluster = cluster
        self.open_calls = 0
        self._dialer = Dialer(cluster, addresses, context=contexts.of(cluster, ["h2"]))
        self._connections: dict[Address, list[GrpcConnection]] = {}
        self._dialing: dict[Address, asyncio.Task[None]] = {}

    @property
    def idle(self) -> bool:
        """Whether nothing would be lost without it."""
        return not self.open_calls and not self._connections and not self._dialing

    async def connection(self) -> GrpcConnection:
        """A connection to the next address, with room for an exchange.

        Raises:
            DialError: There is none.
            FullError: There are too many already.
        """
        address = await self._dialer.next_address()
        while True:
            for found in self._connections.get(address, ()):
                if found.capacity > 0:
                    return found
            if address not in self._dialing:
                self._dialing[address] = asyncio.create_task(self._dial(address))
            # A call that is given up must not end the attempt that others wait for.
            await asyncio.shield(self._dialing[address])

    async def close(self) -> None:
        """End all connections."""
        dialing = list(self._dialing.values())
        for task in dialing:
            task.cancel()
        await asyncio.gather(*dialing, return_exceptions=True)
        for connections in list(self._connections.values()):
            for one in list(connections):
                await one.close()

    async def _dial(self, address: Address) -> None:
        try:
            if sum(map(len, self._connections.values())) >= self.cluster.limits.max_connections:
                raise FullError
            connection = await self._dialer.connect(address)
            own = self._connections.setdefault(address, [])
            own.append(GrpcConnection(connection, lambda gone: self._remove(address, gone)))
        finally:
            del self._dialing[address]

    def _remove(self, address: Address, gone: GrpcConnection) -> None:
        own = self._connections[address]
        own.remove(gone)
        if not own:
            del self._connections[address]
