"""grpc.health.v1.Health: of the service, and of each adapter."""

import asyncio

from grpc_health.v1 import health, health_pb2

from mixer.engine import Adapter, AdapterState
from mixer.transport.front_ends import SERVICES

_STATUS = health_pb2.HealthCheckResponse
SERVING, NOT_SERVING = _STATUS.SERVING, _STATUS.NOT_SERVING


def adapter_service(name: str) -> str:
    """The service name under which the health of an adapter is asked for."""
    return f"mixer.adapter.{name}"


class Health:
    """Keeps the standard health servicer up to date; belongs to one event loop."""

    def __init__(self) -> None:
        self.servicer = health.aio.HealthServicer()  # type: ignore[attr-defined]  # not in stubs
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
