"""The service itself, ``mixer serve``, as a child process."""

import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from mixer.study.process import ChildProcess

SERVE = (sys.executable, "-m", "mixer", "serve", "-c")

_CHECK_TIMEOUT_S = 1.0
# A shared subchannel would make a new channel wait out the back-off of the one before it.
_CHANNEL_OPTIONS = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0))


async def is_serving(address: str) -> bool:
    """Whether a gRPC server answers the standard health check with SERVING.

    Args:
        address: ``host:port`` or ``unix:path``.
    """
    async with grpc.aio.insecure_channel(address, options=_CHANNEL_OPTIONS) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        try:
            answer = await health.Check(
                health_pb2.HealthCheckRequest(service=""), timeout=_CHECK_TIMEOUT_S
            )
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


class ServiceProcess:
    """Runs ``mixer serve``; answers requests once entered, gone once left.

    Args:
        config: The configuration file.
        address: Where the configuration lets it listen for gRPC, as ``host:port`` or
            ``unix:path``; the health check goes there.
        log: The file for its output.
        command: What starts it; the configuration file is added at the end.
        start_timeout_s: The longest wait for SERVING, in seconds. Compiling the modules takes
            most of it.

    Raises:
        ProcessError: On entering, if the service ends or does not become SERVING in time.
    """

    def __init__(
        self,
        config: Path,
        address: str,
        log: Path,
        *,
        command: Sequence[str] = SERVE,
        start_timeout_s: float = 30.0,
    ) -> None:
        self.address = address
        self.log = log
        self._argv = [*command, str(config)]
        self._start_timeout_s = start_timeout_s

    async def __aenter__(self) -> Self:
        # SIGTERM, so that a service that loses its parent can still stop its own children.
        self._process = await ChildProcess.start(
            "the Mixer service", self._argv, self.log, death_signal=signal.SIGTERM
        )
        try:
            await self._process.until(self._is_serving, self._start_timeout_s)
        except BaseException:
            await self._process.stop()
            raise
        return self

    async def _is_serving(self) -> bool:
        return await is_serving(self.address)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._process.stop()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        return self._process.exit_status

    def log_text(self) -> str:
        """The last 64 KiB of its output."""
        return self._process.log_text()

    async def stop(self, grace_s: float = 5.0) -> int:
        """Ends the service before the context does, with SIGTERM and then SIGKILL.

        Args:
            grace_s: Seconds between the two signals.

        Returns:
            The exit status, negative for a signal.
        """
        return await self._process.stop(grace_s)
