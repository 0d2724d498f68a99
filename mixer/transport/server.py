"""The gRPC server: listeners, limits, health, reflection, and a graceful stop."""

import asyncio
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from types import TracebackType

import grpc.aio
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from mixer.config import Listener, MixerSpec, Protocol
from mixer.engine import Engine
from mixer.shedding import Shedder
from mixer.transport import wait_probe
from mixer.transport.endless import EndlessHandler
from mixer.transport.front_ends import FRONT_ENDS, SERVICES
from mixer.transport.health import Health
from mixer.transport.listening import UNIX, ListenError

_MOMENT = 0.02
_ENDLESS = 2
"""Of each front end with streams that never end, they are this part of all RPCs at the most."""


class Server:
    """Serves one engine on the gRPC listeners of a configuration.

    Args:
        engine: Decides.
        spec: Listeners and limits.
        health: What is reported of the service and its adapters.
        shedder: Refuses what is too much; None refuses nothing.

    Raises:
        ListenError: An address is in use, or not allowed.
    """

    def __init__(
        self, engine: Engine, spec: MixerSpec, health: Health, shedder: Shedder | None = None
    ) -> None:
        self._engine = engine
        self._shedder = shedder
        self._probing = AsyncExitStack()
        self._spec = spec
        self._health = health
        self._server = grpc.aio.server(
            maximum_concurrent_rpcs=spec.limits.max_concurrent_rpcs,
            options=(
                ("grpc.max_receive_message_length", spec.limits.max_message_bytes),
                ("grpc.so_reuseport", 0),
            ),
        )
        handlers = [one.handler(engine, shedder) for one in FRONT_ENDS]
        self._endless = [one.streams for one in handlers if isinstance(one, EndlessHandler)]
        for streams in self._endless:
            streams.most = max(1, spec.limits.max_concurrent_rpcs // _ENDLESS)
        self._server.add_generic_rpc_handlers((*handlers, wait_probe.handler()))
        health_pb2_grpc.add_HealthServicer_to_server(health.servicer, self._server)
        names = (*SERVICES, health_service(), reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)
        self.addresses: tuple[str, ...] = ()
        try:
            for listener in (one for one in spec.listeners if one.protocol is Protocol.GRPC):
                self.addresses += (self._listen(listener),)
        except ListenError:
            self._remove_sockets()
            raise

    def _listen(self, listener: Listener) -> str:
        address = listener.address
        try:
            port = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise ListenError(f"listener {listener.name}: {address}: {error}") from error
        if not address.startswith(UNIX):
            return f"{address.rpartition(':')[0]}:{port}"
        if listener.mode is not None:
            Path(address.removeprefix(UNIX)).chmod(listener.mode)
        return address

    async def __aenter__(self) -> "Server":
        await self._server.start()
        await self._health.serving()
        if self._shedder is not None and self._shedder.wait is not None:
            probe = wait_probe.WaitProbe(self._shedder, self._shedder.wait, self.addresses[0])
            await self._probing.enter_async_context(probe)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Report NOT_SERVING, finish what is in flight, cut what outlasts the grace period."""
        await self._health.stopping()
        await self._probing.aclose()
        grace, clock = self._spec.shutdown.grace, asyncio.get_running_loop().time
        end = clock() + grace
        for streams in self._endless:
            streams.stop(grace / 2)
        with suppress(TimeoutError):
            async with asyncio.timeout(grace / 2):
                await self._quiet()
        await self._server.stop(max(0.0, end - clock()))
        for streams in self._endless:
            await streams.close()
        self._remove_sockets()

    async def _quiet(self) -> None:
        """Wait for a moment without a new request.

        When the stop begins, gRPC cancels requests that it has received and not yet handed over.
        """
        before = -1
        engine = self._engine
        while before != (now := engine.decisions + engine.reports + engine.connections):
            before = now
            await asyncio.sleep(_MOMENT)

    def _remove_sockets(self) -> None:
        for address in self.addresses:
            if address.startswith(UNIX):
                Path(address.removeprefix(UNIX)).unlink(missing_ok=True)


def health_service() -> str:
    """The name of the standard health service."""
    return str(health.SERVICE_NAME)
