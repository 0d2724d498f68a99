"""A process that has imported the service already, and starts it as often as it is told, by fork.

A start costs a tenth of that of ``mixer serve``, most of which is imports, and is the same service.
"""

import asyncio
import ctypes
import os
import signal
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from mixer.study import tether

_PR_SET_PDEATHSIG = 1


class Nursery:
    """Starts services while it is entered; those that still run then are killed."""

    async def __aenter__(self) -> Self:
        own = (sys.executable, "-m", "tests.support.nursery")
        tied = (sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), str(+signal.SIGKILL))
        self._process = await asyncio.create_subprocess_exec(
            *tied, *own, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        self._turn = asyncio.Lock()
        return self

    async def start(self, config: Path, log: Path) -> int:
        """Start a service; its process id.

        Args:
            config: As of ``mixer serve -c``; without spaces.
            log: For its output; likewise.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        async with self._turn:
            self._process.stdin.write(f"{config} {log}\n".encode())
            return int(await self._process.stdout.readline())

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()


def _serve(config: str, log: str) -> None:
    """Become a service; does not return."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    output = os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, file in enumerate((nothing, output, output)):
        os.dup2(file, number)
    from mixer.cli import app

    try:
        app(["serve", "-c", config])
    finally:
        os._exit(1)


def _import() -> None:
    """Import what a service does; there must be no thread yet when it forks."""
    import uvloop  # noqa: F401

    import mixer.cli.configuration
    import mixer.state.ledger.sqlite
    import mixer.transport  # noqa: F401


def _main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps them
    _import()
    for line in sys.stdin:
        if (pid := os.fork()) == 0:
            _serve(*line.split())
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _main()
