"""What has become of an adapter, and how often what happened."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from mixer.vm import TrapKind


class AdapterState(StrEnum):
    """The life of an adapter.

    ``BROKEN`` is final for a configuration: the module or its configuration was refused. ``FAILED``
    is left by the next start.
    """

    READY = "ready"
    FAILED = "failed"
    BROKEN = "broken"


@dataclass(slots=True)
class AdapterStats:
    """Counts since the start of the service.

    Attributes:
        requests: Streams that were opened in it.
        reports: Records that it was told of.
        denied: Requests that it answered.
        failures: Traps, and other ways to let a request down.
        starts: Of its VM, failed ones included.
        failed_starts: Those that failed.
        traps: Of its callbacks, by kind.
    """

    requests: int = 0
    reports: int = 0
    denied: int = 0
    failures: int = 0
    starts: int = 0
    failed_starts: int = 0
    traps: Counter[TrapKind] = field(default_factory=Counter)

    def __str__(self) -> str:
        return (
            f"{self.requests} requests, {self.denied} denied, {self.reports} reports, "
            f"{self.failures} failures, VM started {self.starts} times"
        )
