"""A JWKS server and a collector of OTLP as processes of their own, which can hang and be killed.

``python -m tests.support.backend_process jwks|collector PORT FILE`` is such a process.
"""

import asyncio
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Protocol, Self

import grpc
import grpc.aio

from tests.support.identity_provider import IdentityProvider
from tests.support.redis_server import free_port

_START_TIMEOUT_S = 30.0
_ROOT = Path(__file__).parents[2]
_LOCAL = "127.0.0.1"
_CALL = "an export"


class Backend(Protocol):
    """A server that fails when it is told to."""

    def start(self) -> None:
        """Start it, and wait until it can be reached."""

    def kill(self) -> None:
        """End it as a crash does."""

    def freeze(self) -> None:
        """Let it answer nothing, while it keeps its connections."""

    def thaw(self) -> None:
        """Let it go on."""


class BackendProcess:
    """One that is made here, at a port that stays the same.

    Args:
        kind: ``jwks`` or ``collector``.
        folder: For its log.
        content: What the first one serves.
    """

    def __init__(self, kind: str, folder: Path, content: bytes = b"") -> None:
        self.address = f"{_LOCAL}:{free_port()}"
        self._log = folder / f"{kind}.log"
        served = folder / f"{kind}.content"
        served.write_bytes(content)
        port = self.address.rpartition(":")[2]
        self._command = (sys.executable, "-m", __name__, kind, port, str(served))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """See `Backend`."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, cwd=_ROOT)
        end = time.monotonic() + _START_TIMEOUT_S
        while not self._listens():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < end, "nobody listens"
            time.sleep(0.01)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            host, _, port = self.address.rpartition(":")
            return probe.connect_ex((host, int(port))) == 0

    def exports(self) -> int:
        """How many messages the collector took."""
        return self._log.read_text().count(_CALL)

    def kill(self) -> None:
        """See `Backend`."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def freeze(self) -> None:
        """See `Backend`."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """See `Backend`."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.kill()


async def _jwks(port: int, content: bytes) -> None:
    provider = IdentityProvider((200, content))
    provider.port = port
    async with provider:
        await asyncio.Event().wait()


class _TakesAll(grpc.GenericRpcHandler):
    def service(self, details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler | None":
        async def export(_message: bytes, _context: object) -> bytes:
            print(_CALL, details.method, flush=True)  # noqa: T201
            return b""

        return grpc.unary_unary_rpc_method_handler(export)


async def _collector(port: int, _content: bytes) -> None:
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((_TakesAll(),))
    server.add_insecure_port(f"{_LOCAL}:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    _kind, _port, _file = sys.argv[1:]
    _serve = {"jwks": _jwks, "collector": _collector}[_kind]
    asyncio.run(_serve(int(_port), Path(_file).read_bytes()))
