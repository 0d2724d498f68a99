"""What a front end asks before it takes something on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

    from mixer.shedding.debt_bucket import DebtBucket
    from mixer.shedding.shedder import Shedder


class Kind(StrEnum):
    """What is counted together."""

    CHECK = "check"
    REPORT = "report"


class Reason(StrEnum):
    """Which bound is exceeded."""

    CONCURRENCY = "concurrency"
    LATENCY = "latency"
    RATE = "rate"


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer to what is not taken on: it may come again.

    Attributes:
        reason: Which bound.
        retry_after: Seconds after which to try again, different for each caller.
    """

    reason: Reason
    retry_after: float


class Lane:
    """What is in progress, and what may come, of one kind.

    Args:
        bucket: Bounds its rate.

    Attributes:
        in_progress: Units: requests, or records of reports.
    """

    __slots__ = ("bucket", "in_progress")

    def __init__(self, bucket: DebtBucket | None) -> None:
        self.bucket = bucket
        self.in_progress = 0


class Ticket:
    """What was taken on; leave it, or release it, at the end."""

    __slots__ = ("_cost", "_lane")

    def __init__(self, lane: Lane, cost: int) -> None:
        lane.in_progress += cost
        self._lane = lane
        self._cost = cost

    def release(self) -> None:
        """It is over; more than once is as good as once."""
        self._lane.in_progress -= self._cost
        self._cost = 0

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


class Gate:
    """Lets in what one front end got of one kind.

    Args:
        front_end: Its name, for metrics and logs.
        kind: Of what it lets in.
        shedder: Has the bounds.

    Attributes:
        front_end: As given.
        kind: As given.
        admitted: Requests that were let in; a report is one, whatever its length.
        refused: Requests that exceeded a bound, by bound; where bounds are not enforced, they were
            let in nevertheless.
    """

    __slots__ = ("_lane", "_shedder", "admitted", "front_end", "kind", "refused")

    def __init__(self, front_end: str, kind: Kind, shedder: Shedder) -> None:
        self.front_end = front_end
        self.kind = kind
        self.admitted = 0
        self.refused = dict.fromkeys(Reason, 0)
        self._shedder = shedder
        self._lane = shedder.lanes[kind]

    def admit(self, cost: int = 1) -> Ticket | Refusal:
        """Ask for a request.

        Args:
            cost: Units, at least 1: 1 for a check, the number of its records for a report.
        """
        shedder = self._shedder
        reason = shedder.exceeded(self._lane, cost)
        if reason is not None:
            self.refused[reason] += 1
            shedder.note(self, reason)
            if shedder.enforced:
                return Refusal(reason, shedder.retry_after(self._lane, reason))
        self.admitted += 1
        return Ticket(self._lane, cost)
