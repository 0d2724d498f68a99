"""All that a service listens on."""

import asyncio
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

from mixer.config import MixerSpec, Protocol
from mixer.engine import Engine
from mixer.shedding import Kind, Shedder
from mixer.transport.access import Access
from mixer.transport.health import Health
from mixer.transport.server import Server
from mixer.transport.watch import Watch

if TYPE_CHECKING:
    from mixer.transport.http_server import HttpServer


class Addresses(NamedTuple):
    """Where a service listens, as ``host:port`` or ``unix:path``.

    Attributes:
        grpc: For gRPC.
        http: For HTTP.
    """

    grpc: tuple[str, ...] = ()
    http: tuple[str, ...] = ()


class Servers:
    """Serves one engine on every listener of a configuration while it is entered.

    Args:
        engine: Decides.
        spec: Listeners and limits.
        health: What is reported of the service and its adapters.
        shedder: Refuses what is too much; None refuses nothing.
        access: Who can reach which listener.
        watch: Counts the calls; None has them counted for nobody.

    Attributes:
        addresses: Where it listens, once entered.

    Raises:
        ListenError: An address is in use, or not allowed.
    """

    def __init__(
        self,
        engine: Engine,
        spec: MixerSpec,
        health: Health,
        shedder: Shedder | None,
        access: Access,
        watch: Watch | None = None,
    ) -> None:
        watch = watch or Watch()
        self._grpc = None
        if any(one.protocol is Protocol.GRPC for one in spec.listeners):
            self._grpc = Server(engine, spec, health, shedder, access, watch)
        self._http = _http_servers(engine, spec, shedder, access, watch)
        self.addresses = Addresses()

    async def __aenter__(self) -> "Servers":
        async with AsyncExitStack() as entered:
            for server in self._all:
                await entered.enter_async_context(server)
            entered.pop_all()
        grpc = () if self._grpc is None else self._grpc.addresses
        self.addresses = Addresses(grpc, tuple(server.address for server in self._http))
        return self

    @property
    def _all(self) -> "tuple[Server | HttpServer, ...]":
        return (*self._http,) if self._grpc is None else (self._grpc, *self._http)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop all of them at once: they have one grace period."""
        await asyncio.gather(*(server.__aexit__(kind, error, trace) for server in self._all))


def _http_servers(
    engine: Engine, spec: MixerSpec, shedder: Shedder | None, access: Access, watch: Watch
) -> "tuple[HttpServer, ...]":
    listeners = [one for one in spec.listeners if one.protocol is Protocol.HTTP]
    if not listeners:
        return ()
    from mixer.transport.http_server import HttpServer

    gate = None if shedder is None else shedder.gate("http", Kind.CHECK)
    return tuple(
        HttpServer(engine, one, spec, gate, access.to(one.name), watch) for one in listeners
    )
