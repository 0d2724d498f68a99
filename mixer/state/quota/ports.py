"""What takes of several limits at once, wherever their counters are.

The values are those of ``proto/mixer/quota/v1/quota.proto``. One conformance suite
(``tests/state/quota``) holds every implementation to one model.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, Protocol


class Algorithm(IntEnum):
    """How a limit counts."""

    FIXED_WINDOW = 0
    SLIDING_WINDOW = 1
    TOKEN_BUCKET = 2


class Charge(NamedTuple):
    """What is to be taken of one counter; see `mixer.state.quota.check` for the bounds.

    Attributes:
        key: Names the counter, for a fixed window another one than for the other algorithms.
        algorithm: How it counts.
        limit: How much there is in each window.
        window_ns: Nanoseconds.
        burst: How much there is at once; 0 is as ``limit``. Of no meaning for a fixed window.
        cost: How much is to be taken; 0 looks, and a negative amount is put back.
        shadow: Counts, and never refuses.
    """

    key: bytes
    algorithm: Algorithm
    limit: int
    window_ns: int
    burst: int = 0
    cost: int = 1
    shadow: bool = False


@dataclass(frozen=True, slots=True)
class Take:
    """What is to be taken at once, all or nothing.

    Attributes:
        charges: Of different keys. Nothing is taken of any where one that is no shadow refuses;
            else each shadow gives what it has.
        best_effort: Takes what there is, of a single charge.
        dedup_id: Where it is not empty: the same id, for as many charges, gets the same answer,
            with what is left of its times.
        dedup_window_ns: For so many nanoseconds.
    """

    charges: tuple[Charge, ...]
    best_effort: bool = False
    dedup_id: bytes = b""
    dedup_window_ns: int = 0


class Standing(NamedTuple):
    """How a counter stands after a take.

    Attributes:
        granted: What was taken.
        refused: Whether it had less than was asked for.
        remaining: What could still be taken at once.
        reset_ns: Nanoseconds until all of it is there again; the end of a fixed window.
        retry_after_ns: Nanoseconds after which the same charge could pass; 0 where it passed, or
            never would.
    """

    granted: int
    refused: bool
    remaining: int
    reset_ns: int
    retry_after_ns: int


class Answer(NamedTuple):
    """What came of a take.

    Attributes:
        standings: One for each charge, in their order; none where there is nothing to tell.
        local: The counters could not be reached, and these are not theirs.
    """

    standings: tuple[Standing, ...]
    local: bool = False

    def again(self, elapsed_ns: int) -> "Answer":
        """The same answer so much later: with what is left of its times."""
        gone = max(0, elapsed_ns)
        return self._replace(
            standings=tuple(
                [
                    one._replace(
                        reset_ns=max(0, one.reset_ns - gone),
                        retry_after_ns=max(0, one.retry_after_ns - gone),
                    )
                    for one in self.standings
                ]
            )
        )


class Later(Protocol):
    """An answer that comes later, in the thread that asked."""

    def wait(self, done: Callable[[Answer], None]) -> None:
        """Have `done` called once with the answer, never from within this call."""

    def cancel(self) -> None:
        """Have nobody told. What was asked for is taken nevertheless, as it would be at once."""


@dataclass(slots=True)
class QuotaCounts:
    """What became of takes, since the start.

    Attributes:
        takes: Takes that were asked for.
        refused: Takes of which nothing was taken, or less than asked.
        shadow_refused: Shadow charges that would have refused.
        local: Takes that were answered without the store, since it could not be reached.
        store_errors: Calls of the store that failed.
        waits: Takes that were answered later.
        evicted: Counters that were given up although they were not full again.
    """

    takes: int = 0
    refused: int = 0
    shadow_refused: int = 0
    local: int = 0
    store_errors: int = 0
    waits: int = 0
    evicted: int = 0

    def note(self, take: Take, answer: Answer) -> None:
        """Count one answer."""
        if not answer.standings:
            return
        for charge, standing in zip(take.charges, answer.standings, strict=True):
            if standing.refused:
                if charge.shadow:
                    self.shadow_refused += 1
                else:
                    self.refused += 1
                    return


class Quotas(Protocol):
    """Counters, apart for each ``vm_id``.

    Attributes:
        counts: What became of takes here.
    """

    counts: QuotaCounts

    def take(self, vm_id: str, take: Take) -> Answer | Later:
        """Take what is asked for, or tell later; raises nothing that a store is the cause of."""

    def __len__(self) -> int:
        """How many counters this process holds, those that nobody cleared away yet included."""

    def close(self) -> None:
        """Give back what is held; nothing is asked after it."""
