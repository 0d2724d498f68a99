"""The gRPC servers: one for each listener, health, and a graceful stop."""

import asyncio
import logging
from contextlib import AsyncExitStack, suppress
from types import TracebackType

from mixer.config import Listener, MixerSpec, Protocol
from mixer.engine import Engine
from mixer.shedding import Shedder
from mixer.transport import wait_probe
from mixer.transport.access import Access
from mixer.transport.endless import EndlessHandler
from mixer.transport.farewell import until_no_calls
from mixer.transport.front_ends import FRONT_ENDS
from mixer.transport.grpc_listener import GrpcListener, Served
from mixer.transport.health import Health
from mixer.transport.listening import ListenError
from mixer.transport.watch import Watch

_log = logging.getLogger(__name__)

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
        access: Who can reach which listener.
        watch: Counts the calls; None has them counted for nobody.

    Attributes:
        addresses: Of the listeners, with the ports that they have.

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
        self._engine = engine
        self._shedder = shedder
        self._probing = AsyncExitStack()
        self._spec = spec
        self._health = health
        self._access = access
        self._watch = watch or Watch()
        self._served: list[Served] = [(one, one.handler(engine, shedder)) for one in FRONT_ENDS]
        handlers = (handler for _, handler in self._served)
        self._endless = [one.streams for one in handlers if isinstance(one, EndlessHandler)]
        for streams in self._endless:
            streams.most = max(1, spec.limits.max_concurrent_rpcs // _ENDLESS)
        self._listeners = list[GrpcListener]()
        try:
            for listener in (one for one in spec.listeners if one.protocol is Protocol.GRPC):
                self._listeners.append(self._listen(listener))
        except ListenError:
            self._remove_sockets()
            raise
        self.addresses = tuple(one.address for one in self._listeners)

    def _listen(self, listener: Listener) -> GrpcListener:
        security = self._access.to(listener.name)
        health = self._health.servicer
        limits = self._spec.limits
        return GrpcListener(listener, limits, self._served, health, security, self._watch)

    async def __aenter__(self) -> "Server":
        shedder = self._shedder
        control = None if shedder is None else shedder.wait
        for listener in self._listeners:
            if control is not None:
                listener.listen_for_itself()
            await listener.start()
        await self._health.serving()
        asked = [one.probed for one in self._listeners if one.probed is not None]
        if shedder is not None and control is not None and asked:
            probe = wait_probe.WaitProbe(shedder, control, asked)
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
        left = max(0.0, end - clock())
        await self._end(left)
        for streams in self._endless:
            await streams.close()
        self._remove_sockets()

    async def _end(self, grace: float) -> None:
        """Finish the calls that there are, and wait for nobody who has none."""
        ending = asyncio.gather(*(one.stop(grace) for one in self._listeners))
        over = asyncio.ensure_future(until_no_calls(self._watch.calls))
        await asyncio.wait((ending, over), return_when=asyncio.FIRST_COMPLETED)
        over.cancel()
        if not ending.done():
            _log.info("stopping: connections without a call are cut")
            await asyncio.gather(*(one.stop(None) for one in self._listeners))
        await ending

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
        for listener in self._listeners:
            listener.remove_sockets()
