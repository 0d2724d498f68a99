"""Child processes that are always reaped and never outlive this process."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from mixer.study import tether

_TAIL_BYTES = 64 * 1024
_POLL_S = 0.01
_SLOWEST_POLL_S = 0.1


class ProcessError(RuntimeError):
    """A child process ended or did not become ready; the message has the end of its log."""


class ChildProcess:
    """A running program whose output goes to a log file.

    The kernel ends the program when the thread that started it ends: start it on a thread that
    lives as long as the program should, such as the one of the event loop.
    """

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.log = log
        self._process = process

    @classmethod
    async def start(
        cls,
        name: str,
        argv: Sequence[str],
        log: Path,
        *,
        death_signal: signal.Signals = signal.SIGKILL,
        environment: Mapping[str, str] | None = None,
    ) -> Self:
        """Starts a program.

        Args:
            name: What errors call the program.
            argv: The program and its arguments.
            log: The file that standard output and standard error are appended to.
            death_signal: What the program gets when this process dies without stopping it.
            environment: The program's whole environment; None is this process's.

        Raises:
            OSError: The log file cannot be written.
        """
        tied = [sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), str(+death_signal)]
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *tied,
                *argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=None if environment is None else dict(environment),
                # Ctrl-C in a terminal reaches this process only, which stops its children in order.
                start_new_session=True,
            )
        return cls(name, process, log)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """The exit status, negative for a signal; None while the program runs."""
        return self._process.returncode

    def log_text(self) -> str:
        """The last 64 KiB of what the program wrote."""
        with self.log.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
            return log.read().decode(errors="replace")

    def failure(self, what: str, lines: int = 15) -> ProcessError:
        """An error that says what happened and shows the last lines of the log."""
        tail = self.log_text().strip().splitlines()[-lines:]
        shown = "\n".join(f"  | {line}" for line in tail) or "  | (it wrote nothing)"
        return ProcessError(f"{self.name} {what}; the end of its log:\n{shown}")

    async def until(self, ready: Callable[[], Awaitable[bool]], timeout_s: float) -> None:
        """Waits until a condition holds.

        Args:
            ready: Asked again and again; only a true answer ends the wait.
            timeout_s: The longest wait, in seconds, the time of each ``ready`` included.

        Raises:
            ProcessError: The program ended, or the time is over.
        """
        deadline = time.monotonic() + timeout_s
        pause_s = _POLL_S
        while True:
            if self.exit_status is not None:
                raise self.failure(f"ended with status {self.exit_status} before it was ready")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(deadline - time.monotonic()):
                    if await ready():
                        return
                    await asyncio.sleep(pause_s)
            if time.monotonic() >= deadline:
                raise self.failure(f"was not ready within {timeout_s:g} s")
            pause_s = min(pause_s * 1.5, _SLOWEST_POLL_S)

    async def wait(self, timeout_s: float) -> int:
        """Waits for the program to end by itself.

        Returns:
            The exit status, negative for a signal.

        Raises:
            ProcessError: It still runs after ``timeout_s`` seconds.
        """
        try:
            async with asyncio.timeout(timeout_s):
                return await self._process.wait()
        except TimeoutError as error:
            raise self.failure(f"did not end within {timeout_s:g} s") from error

    async def stop(self, grace_s: float = 5.0) -> int:
        """Ends the program with SIGTERM, after ``grace_s`` seconds with SIGKILL, and reaps it.

        Returns:
            The exit status, negative for a signal.
        """
        try:
            self._signal(signal.SIGTERM)
            async with asyncio.timeout(grace_s):
                return await self._process.wait()
        except TimeoutError:
            self._signal(signal.SIGKILL)
            return await self._process.wait()
        except asyncio.CancelledError:
            # A second Ctrl-C: no more grace, but still no process left behind.
            self._signal(signal.SIGKILL)
            await self._process.wait()
            raise

    def _signal(self, number: signal.Signals) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)
