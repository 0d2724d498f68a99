"""CPU limits over wasmtime's epochs.

An epoch is wall-clock time, and a worker that the kernel kept off the processor must not be blamed
for it. A guest that reaches its first deadline, after half its limit, is therefore measured from
there on by the CPU time of its thread, and interrupted once it has used the other half.
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

    __slots__ = ("_half_ns", "_since", "first_ticks", "seconds")

    def __init__(self, seconds: float) -> None:
        self._since: int | None = None
        self.limit(seconds)

    def limit(self, seconds: float) -> None:
        """Change the CPU that each later call has."""
        self.seconds = seconds
        self._half_ns = int(seconds * _NS / 2)
        self.first_ticks = ticks(seconds / 2)

    def start(self) -> None:
        """Forget what an earlier call used."""
        self._since = None

    def more_ticks(self) -> int | None:
        """Called at a deadline: how many epochs the guest may go on, or None to interrupt it."""
        now = time.thread_time_ns()
        if self._since is None:
            self._since = now
        left = self._half_ns - (now - self._since)
        return ticks(left / _NS) if left > 0 else None

    def message(self) -> str:
        """Say which bound was overrun."""
        return f"the call used more than its CPU limit of {self.seconds * 1000:g} ms"


def ticks(seconds: float) -> int:
    """How many epochs make up this time, at least one."""
    return max(1, math.ceil(seconds / TICK))
