"""Quota that was granted in advance, and how much to ask for next.

The amounts follow Istio's prefetch: as much as in the last second, at least a few, once less than
half of that is left; and no further question for a while once the server granted less. What differs
is that nothing is used before it was granted.
"""

from collections import deque
from enum import Enum, auto
from typing import NamedTuple

from mixer.client.quota_window import RecentAmounts
from mixer.client.results import MOST_AMOUNT
from mixer.client.settings import QuotaCacheSettings

_NS = 1_000_000_000


class Grant(NamedTuple):
    """A part of what the server granted.

    Attributes:
        amount: How much.
        expires: When, in nanoseconds of the monotonic clock.
    """

    amount: int
    expires: int


class Source(Enum):
    """Where a request has its quota from."""

    POOL = auto()
    SERVER = auto()
    NOWHERE = auto()


class Plan(NamedTuple):
    """What to do for a request.

    Attributes:
        source: Where it has its quota from.
        fetch: What to ask the server for; 0 for nothing.
        in_advance: Whether that is for later requests as well, and less is welcome.
    """

    source: Source
    fetch: int
    in_advance: bool


class QuotaPool:
    """What is left of the grants of one quota, for requests alike. Not safe for threads.

    Times are nanoseconds of the monotonic clock.

    Args:
        settings: How much to ask for.
        now: The time.

    Attributes:
        used: When it was asked last.
    """

    __slots__ = (
        "_close_wait", "_failed", "_fetching", "_grants", "_last", "_least", "_open", "_poolable",
        "_recent", "used",
    )  # fmt: skip

    def __init__(self, settings: QuotaCacheSettings, now: int) -> None:
        self._least = settings.min_prefetch
        self._close_wait = int(settings.close_wait * _NS)
        self._grants: deque[Grant] = deque()
        self._recent = RecentAmounts(int(settings.predict_window * _NS), now)
        self._open = True
        self._failed = False
        self._poolable = True
        self._fetching = 0
        self._last = now
        self.used = now

    def plan(self, amount: int, best_effort: bool, now: int) -> Plan:
        """What to do for a request that wants an amount; it counts, but nothing is taken yet."""
        self.used = now
        self._recent.slide(now)
        desired = min(max(self._recent.total, self._least), MOST_AMOUNT)
        self._recent.add(amount)
        available = self.available(now)
        rests = self._fetching or now - self._last < self._close_wait
        if available >= amount:
            resting = self._fetching or ((self._failed or not self._open) and rests)
            wanted = self._poolable and 2 * available < desired and not resting
            return Plan(Source.POOL, desired if wanted else 0, in_advance=True)
        if not self._open and rests:
            some = best_effort and available
            return Plan(Source.POOL if some else Source.NOWHERE, 0, in_advance=False)
        if self._fetching or not self._poolable:
            return Plan(Source.SERVER, amount, in_advance=False)
        return Plan(Source.SERVER, max(amount, desired), in_advance=True)

    def available(self, now: int) -> int:
        """How much is left that has not expired."""
        while self._grants and now >= self._grants[0].expires:
            self._grants.popleft()
        return sum(grant.amount for grant in self._grants if now < grant.expires)

    def take(self, amount: int, now: int) -> list[Grant]:
        """Take an amount, or all there is: the oldest first."""
        taken = []
        while amount and self.available(now):
            grant = self._grants.popleft()
            part = min(amount, grant.amount)
            amount -= part
            taken.append(Grant(part, grant.expires))
            if part < grant.amount:
                self._grants.appendleft(Grant(grant.amount - part, grant.expires))
        return taken

    def put_back(self, taken: list[Grant]) -> None:
        """Give back what was taken and not used."""
        self._grants.extendleft(grant for grant in reversed(taken) if grant.amount)

    def fetch_begins(self, now: int) -> None:
        """The server is asked."""
        self._fetching += 1
        self._last = now

    def fetch_failed(self) -> None:
        """The server did not answer."""
        self._fetching -= 1
        self._failed = True

    def fetched(self, asked: int, granted: int, rest: Grant, poolable: bool) -> None:
        """The server answered.

        Args:
            asked: What was asked for.
            granted: What it granted.
            rest: What is left of that for other requests.
            poolable: Whether what it granted holds for a time.
        """
        self._fetching -= 1
        self._failed = False
        self._open = granted >= asked
        if granted:
            self._poolable = poolable
        if rest.amount:
            self._grants.append(rest)
