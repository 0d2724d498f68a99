"""One listener that speaks gRPC: a server of its own, since each has its own callers."""

import logging
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from mixer.config import Listener, ServiceLimits
from mixer.transport import wait_probe
from mixer.transport.access import Security
from mixer.transport.allow_list import AllowList
from mixer.transport.endless import EndlessHandler
from mixer.transport.front_ends import FrontEnd
from mixer.transport.grpc_options import server_options
from mixer.transport.guard import Guarded
from mixer.transport.health import health_service
from mixer.transport.listening import UNIX, ListenError
from mixer.transport.measured import Measured
from mixer.transport.watch import Watch

_log = logging.getLogger(__name__)

Served = tuple[FrontEnd, "grpc.GenericRpcHandler[bytes, bytes]"]
"""A front end, and what serves it on every listener."""


class GrpcListener:
    """A listener that listens; belongs to the event loop.

    Args:
        listener: Its settings.
        limits: Of its connections and calls.
        served: The front ends; those that are not services for proxies, such as health and
            reflection, are there for all callers.
        health: Serves ``grpc.health.v1.Health``.
        security: Who can reach it.
        watch: Counts the calls of the front ends; None has them counted for nobody.

    Attributes:
        address: With the port that it has.
        probed: Where the service can ask itself, after `listen_for_itself`; None where it cannot.

    Raises:
        ListenError: The address is in use, or not allowed.
    """

    def __init__(
        self,
        listener: Listener,
        limits: ServiceLimits,
        served: Sequence[Served],
        health: Any,
        security: Security,
        watch: Watch | None = None,
    ) -> None:
        self._listener = listener
        self._tls = security.tls
        self._private: Path | None = None
        self._server = grpc.aio.server(
            maximum_concurrent_rpcs=limits.max_concurrent_rpcs, options=server_options(limits)
        )
        handlers = [_handler(one, security.callers, watch or Watch()) for one in served]
        self._server.add_generic_rpc_handlers((*handlers, wait_probe.handler()))
        health_pb2_grpc.add_HealthServicer_to_server(health, self._server)
        services = [front_end.service for front_end, _ in served]
        names = (*services, health_service(), reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)
        self.address = self._listen(listener.address)
        self.probed = self.address if self._tls is None else None

    def _listen(self, address: str) -> str:
        try:
            port = self._bind(address)
        except RuntimeError as error:
            raise ListenError(f"listener {self._listener.name}: {address}: {error}") from error
        if not address.startswith(UNIX):
            return f"{address.rpartition(':')[0]}:{port}"
        if self._listener.mode is not None:
            Path(address.removeprefix(UNIX)).chmod(self._listener.mode)
        return address

    def _bind(self, address: str) -> int:
        if self._tls is None:
            return self._server.add_insecure_port(address)
        return self._server.add_secure_port(address, self._tls.credentials())

    def listen_for_itself(self) -> None:
        """Let the service ask itself; to be called before the start.

        It has no certificate to show: with TLS it gets a socket that only its own user can reach.
        Where there can be none, a warning says so.
        """
        if self.probed is not None:
            return
        try:
            self._private = Path(tempfile.mkdtemp(prefix="mixer-"))
            address = f"{UNIX}{self._private}/probe.sock"
            self._server.add_insecure_port(address)
        except (OSError, RuntimeError) as error:
            _log.warning(
                "listener %s: the latency cannot be measured, and nothing is shed for it: %s",
                self._listener.name, error,
            )  # fmt: skip
        else:
            self.probed = address

    async def start(self) -> None:
        """Answer from now on."""
        await self._server.start()

    async def stop(self, grace: float | None) -> None:
        """Take nothing more on, and cut what outlasts the grace period; None cuts all at once."""
        await self._server.stop(grace)

    def remove_sockets(self) -> None:
        """Remove what is left of it in the file system."""
        if self.address.startswith(UNIX):
            Path(self.address.removeprefix(UNIX)).unlink(missing_ok=True)
        if self._private is not None:
            with suppress(OSError):
                shutil.rmtree(self._private)


def _handler(
    served: Served, callers: AllowList | None, watch: Watch
) -> "grpc.GenericRpcHandler[bytes, bytes]":
    front_end, handler = served
    is_endless = isinstance(handler, EndlessHandler)
    if callers is not None:
        handler = Guarded(handler, callers, front_end.denials)
    return Measured(handler, watch.calls, watch.tracer, is_endless=is_endless)
