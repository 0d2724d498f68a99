"""grpc.health.v1.Health: of the service, and of each adapter."""

import asyncio
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2

from mixer.engine import Adapter, AdapterState
from mixer.transport.front_ends import SERVICES

_STATUS = health_pb2.HealthCheckResponse
SERVING, NOT_SERVING = _STATUS.SERVING, _STATUS.NOT_SERVING


MAX_WATCHES = 512


def adapter_service(name: str) -> str:
    """The service name under which the health of an adapter is asked for."""
    return f"mixer.adapter.{name}"


class _Servicer(health.aio.HealthServicer):  # type: ignore[misc, name-defined]  # not in stubs
    def __init__(self, max_watches: int) -> None:
        super().__init__()
        self._free = max_watches

    async def Watch(self, request: object, context: Any) -> None:  # noqa: N802 - of the protocol
        if not self._free:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many watches")
        self._free -= 1
        try:
            await super().Watch(request, context)
        finally:
            self._free += 1


class Health:
    """Keeps the standard health servicer up to date; belongs to one event loop.

    Args:
        max_watches: Streams of ``Watch`` at one time, which would take the place of other calls.
    """

    def __init__(self, max_watches: int = MAX_WATCHES) -> None:
        self.servicer = _Servicer(max_watches)
        self._updates: set[asyncio.Task[None]] = set()

    async def serving(self) -> None:
        """The service has started."""
        for name in ("", *SERVICES):
            await self.servicer.set(name, SERVING)

    def adapter_changed(self, adapter: Adapter) -> None:
        """Take over the state of an adapter, a moment later."""
        status = SERVING if adapter.state is AdapterState.READY else NOT_SERVING
        update = asyncio.ensure_future(self.servicer.set(adapter_service(adapter.name), status))
        self._updates.add(update)
        update.add_done_callback(self._updates.discard)

    async def stopping(self) -> None:
        """The service stops: everything is NOT_SERVING from now on."""
        await self.servicer.enter_graceful_shutdown()


def health_service() -> str:
    """The name of the standard health service."""
    return str(health.SERVICE_NAME)
