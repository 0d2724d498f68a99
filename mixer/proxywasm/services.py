"""What a VM needs from the world around it."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from mixer.callouts.ports import Callouts, NoCallouts
from mixer.proxywasm.abi import LogLevel
from mixer.proxywasm.metrics import MetricStore
from mixer.proxywasm.scheduling import ManualScheduler, Scheduler
from mixer.state import MemorySharedData, MemorySharedQueues, SharedData, SharedQueues
from mixer.state.ledger import GroupCommit
from mixer.state.quota import MemoryQuotas, Quotas
from mixer.vm import TrapError

LogSink = Callable[[LogLevel, str], None]
"""Takes a message of a module."""


def _discard(_level: LogLevel, _message: str) -> None:
    """Drop a message."""


def _ignore(_trap: TrapError) -> None:
    """The VM is closed: that is enough."""


@dataclass(frozen=True, slots=True)
class Services:
    """Clocks, randomness, the log and what is shared; tests replace them.

    Attributes:
        log: Where the module's messages go, those below ``log_level`` left out.
        log_level: The lowest level that is logged; the module can ask for it.
        wall_clock: Nanoseconds since the Unix epoch.
        monotonic_clock: Nanoseconds since some moment.
        random: So many random bytes.
        scheduler: What calls back later; unless it is given, only a test's own clock.
        shared_data: Of all VMs that share these services, by their ``vm_id``; as the next ones.
        shared_queues: Likewise.
        quotas: Likewise.
        metrics: Likewise, under their names alone.
        callouts: Opens callouts.
        commits: Stores what is enqueued for the ledger; None where there is none.
        failed: Told of a trap in a callback that nobody waits for; the VM is closed already.
    """

    log: LogSink = _discard
    log_level: LogLevel = LogLevel.INFO
    wall_clock: Callable[[], int] = time.time_ns
    monotonic_clock: Callable[[], int] = time.monotonic_ns
    random: Callable[[int], bytes] = os.urandom
    scheduler: Scheduler = field(default_factory=ManualScheduler)
    shared_data: SharedData = field(default_factory=MemorySharedData)
    shared_queues: SharedQueues = field(default_factory=MemorySharedQueues)
    quotas: Quotas = field(default_factory=MemoryQuotas)
    metrics: MetricStore = field(default_factory=MetricStore)
    callouts: Callouts = field(default_factory=NoCallouts)
    commits: GroupCommit | None = None
    failed: Callable[[TrapError], None] = _ignore
