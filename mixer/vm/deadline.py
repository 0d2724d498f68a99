"""CPU limits over wasmtime's epochs.

An epoch is wall-clock time, and a worker that the kernel kept off the processor must not be blamed
for it. A guest is therefore measured by the CPU time of its thread, from the first epoch on that
comes while it runs: those that run for less, nearly all, are spared to look at a clock.

A guest keeps the interpreter's lock, see `mixer.vm.ticker`. At each epoch it comes by here, and the
interpreter lets other threads that wait for the lock have a turn.
"""

import math
import time

from mixer.vm.ticker import TICK

_NS = 1_000_000_000


class CpuBudget:
    """The CPU limit of one outermost call after another; belongs to one instance.

    Args:
        seconds: CPU for each call.
    """

    __slots__ = ("_rest_ns", "_since", "seconds")

    def __init__(self, seconds: float) -> None:
        self._since: int | None = None
        self.limit(seconds)

    def limit(self, seconds: float) -> None:
        """Change the CPU that each later call has."""
        self.seconds = seconds
        self._rest_ns = int(max(seconds - TICK, seconds / 2) * _NS)

    def start(self) -> None:
        """Forget what an earlier call used."""
        self._since = None

    def goes_on(self) -> bool:
        """Called at each epoch: whether the guest may go on to the next one."""
        now = time.thread_time_ns()
        if self._since is None:
            self._since = now
        return now - self._since < self._rest_ns

    def message(self) -> str:
        """Say which bound was overrun."""
        return f"the call used more than its CPU limit of {self.seconds * 1000:g} ms"


def ticks(seconds: float) -> int:
    """How many epochs make up this time, at least one."""
    return max(1, math.ceil(seconds / TICK))
