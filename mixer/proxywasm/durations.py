"""How long callbacks of a plugin took: counted where they are made, in plain lists.

An instrument of OpenTelemetry would cost many times what most callbacks take. What is counted is
the time of the thread's clock, host calls included. A callback never waits, so that it is processor
time wherever the kernel did not take the processor away.
"""

from time import perf_counter_ns

from mixer.vm import GuestFunction, Instance

_BINS = 65


class Durations:
    """A histogram of nanoseconds, by powers of two.

    Attributes:
        counts: At index n, how many took more than 2**(n-1) and at most 2**n nanoseconds; what
            took nothing at all is at index 1.
        total: Nanoseconds of all of them.
    """

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * _BINS
        self.total = 0

    def add(self, nanoseconds: int) -> None:
        """Count one."""
        self.counts[(nanoseconds - 1).bit_length()] += 1
        self.total += nanoseconds


class CallbackDurations(dict[str, Durations]):
    """By the name of the callback, such as ``on_request_headers``; made when one is first made."""

    def __missing__(self, name: str) -> Durations:
        made = self[name] = Durations()
        return made


def timed(callback: GuestFunction, name: str, instance: Instance) -> GuestFunction:
    """The same callback, counted for the plugin in whose context it is made.

    Args:
        callback: Of the instance.
        name: Of the callback.
        instance: Its data is the `Context` while the callback runs.
    """

    def call(*args: int) -> int:
        began = perf_counter_ns()
        try:
            return callback(*args)
        finally:
            spent = perf_counter_ns() - began
            durations = instance.data.root.durations[name]
            durations.counts[(spent - 1).bit_length()] += 1  # not `add`: a call would be a third
            durations.total += spent

    return call
