"""All gates of a service, and the bounds that they keep."""

import logging
import random
import time
from collections.abc import Callable

from mixer.shedding.bounds import Bounds
from mixer.shedding.debt_bucket import DebtBucket
from mixer.shedding.gate import Gate, Kind, Lane, Reason
from mixer.shedding.notices import Notices
from mixer.shedding.wait_control import WaitControl

_log = logging.getLogger(__name__)

RETRY_S = 1.0
"""Seconds after which to try again, where the bound does not say it better."""

LONGEST_RETRY_S = 60.0


class Shedder:
    """Belongs to one thread.

    Args:
        bounds: What is refused.
        clock: Seconds, monotonic.
        chance: A random number from 0 to 1, without 1.

    Attributes:
        enforced: Whether anything is refused.
        gates: In the order in which they were made.
        lanes: What is in progress, by kind.
        wait: Which share is refused for the wait of callers; None where that is not bounded.
    """

    def __init__(
        self,
        bounds: Bounds,
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        now = clock()
        self.enforced = bounds.enforced
        self.gates: list[Gate] = []
        self.lanes = {
            kind: Lane(DebtBucket(bounds.rate, now) if bounds.rate else None) for kind in Kind
        }
        self.wait = WaitControl(bounds.wait, now) if bounds.wait else None
        self._bounds = bounds
        self._clock = clock
        self._chance = chance
        self._notices = Notices(enforced=bounds.enforced)

    def gate(self, front_end: str, kind: Kind) -> Gate:
        """Make a gate; one for each front end and kind."""
        gate = Gate(front_end, kind, self)
        self.gates.append(gate)
        return gate

    @property
    def asked(self) -> int:
        """How often the gates were asked."""
        refused = sum(sum(gate.refused.values()) for gate in self.gates) if self.enforced else 0
        return refused + sum(gate.admitted for gate in self.gates)

    def exceeded(self, lane: Lane, cost: int) -> Reason | None:
        """Judge a request, and take its units from the rate unless a bound is exceeded.

        What is there decides, not what would be there with it: a report of any length is taken on
        as soon as a request of one would be.
        """
        most = self._bounds.max_concurrent
        if most is not None and lane.in_progress >= most:
            return Reason.CONCURRENCY
        if self.wait is not None and self.wait.share and self._is_shed(self.wait):
            return Reason.LATENCY
        if lane.bucket is not None and not self._take(lane.bucket, cost):
            return Reason.RATE
        return None

    def _is_shed(self, wait: WaitControl) -> bool:
        wait.forget_if_stale(self._clock())
        return self._chance() < wait.share

    def _take(self, bucket: DebtBucket, cost: int) -> bool:
        bucket.refill(self._clock())
        if not bucket.has_some:
            return False
        bucket.take(cost)
        return True

    def retry_after(self, lane: Lane, reason: Reason) -> float:
        """Seconds, up to twice as many as needed: not all are to come back at once."""
        seconds = RETRY_S
        if reason is Reason.RATE and lane.bucket is not None:
            seconds = min(lane.bucket.wait, LONGEST_RETRY_S)
        return seconds * (1 + self._chance())

    def note(self, gate: Gate, reason: Reason) -> None:
        """Have it logged, unless that was just done."""
        seen = self._notices.due(gate, reason, self._clock())
        if seen is not None:
            _log.warning("%s; %s", self._measured(self.lanes[gate.kind], reason), seen)

    def _measured(self, lane: Lane, reason: Reason) -> str:
        bounds = self._bounds
        if reason is Reason.CONCURRENCY:
            return f"{lane.in_progress} in progress, maxConcurrent is {bounds.max_concurrent}"
        if reason is Reason.LATENCY and self.wait is not None:
            return (
                f"callers wait {self.wait.wait * 1000:.0f} ms, latency.threshold is "
                f"{self.wait.threshold * 1000:.0f} ms, the share is {self.wait.share:.0%}"
            )
        assert bounds.rate is not None
        assert lane.bucket is not None
        return (
            f"{max(0.0, -lane.bucket.tokens):.0f} owed, rate.requestsPerSecond is "
            f"{bounds.rate.per_second:g} and its burst {bounds.rate.burst}"
        )
