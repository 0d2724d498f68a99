"""One decision that is kept, and what each use of it does."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mixer.engine.adapter import Adapter
from mixer.engine.cache.reads import Read
from mixer.engine.cache.trace import Effect
from mixer.engine.decision import Decision, Verdict
from mixer.engine.validity import Validity

if TYPE_CHECKING:
    from mixer.engine.cache.tree import Node

Clock = Callable[[], int]
"""Nanoseconds, monotonic."""

_ENTRY_BYTES = 2048
"""Roughly what an entry takes without its contents."""
_READ_BYTES = 400
"""Roughly what one read takes in the tree."""
_EFFECT_BYTES = 200
"""Roughly what one metric or message takes."""


class _Rest(Validity):
    """What is left of the validity of an entry."""

    __slots__ = ("_clock", "_entry")

    def __init__(self, entry: "Entry", clock: Clock) -> None:
        self._entry = entry
        self._clock = clock

    @property
    def duration(self) -> int:
        """See `Validity.duration`."""
        return max(0, self._entry.expires - self._clock())

    @property
    def use_count(self) -> int:
        """See `Validity.use_count`."""
        return self._entry.uses


class Entry:
    """A decision with its validity.

    Args:
        node: Where it is in the tree.
        decision: Of which the validity is given.
        adapters: That ran; each use counts as a request of theirs.
        effects: What they counted and logged.
        size: Bytes that it takes, roughly.
        clock: Tells the time of its end.

    Attributes:
        decision: The same; its validity is what is left.
        expires: The time from which on it is not used.
        uses: How often it may still be used; negative is any number of times.
    """

    __slots__ = (
        "_adapters", "_denied_by", "_effects", "decision", "expires", "node", "size", "uses"
    )  # fmt: skip

    def __init__(
        self,
        node: "Node[Entry]",
        decision: Decision,
        adapters: Sequence[Adapter],
        effects: Sequence[Effect],
        size: int,
        clock: Clock,
    ) -> None:
        assert decision.validity is not None
        self.node = node
        self.expires = clock() + decision.validity.duration
        self.uses = decision.validity.use_count
        self.decision = replace(decision, validity=_Rest(self, clock))
        self.size = size
        self._adapters = adapters
        denied = decision.verdict is Verdict.DENY
        self._denied_by = (
            next(a for a in adapters if a.name == decision.adapter) if denied else None
        )
        self._effects = tuple(effects)

    def use(self) -> Decision:
        """The decision for one more request: it is counted and logged as if it had been made."""
        if self.uses > 0:
            self.uses -= 1
        for adapter in self._adapters:
            adapter.stats.requests += 1
        if self._denied_by is not None:
            self._denied_by.stats.denied += 1
        for effect, arguments in self._effects:
            effect(*arguments)
        return self.decision


def size_of(
    decision: Decision, keys: Iterable[tuple[Read, Hashable]], effects: Sequence[Effect]
) -> int:
    """Bytes that an entry takes, roughly: what comes from outside is counted as it is."""
    response = decision.response
    texts = [decision.reason, decision.body or b"", response.body if response else b""]
    for name, value in response.headers if response else ():
        texts += (name, value)
    for one in (*decision.request_operations, *decision.response_operations):
        texts += (one.name, one.value)
    for change in decision.request_headers:
        texts += (change.name, *change.values)
    for _, arguments in effects:
        texts += (a for a in arguments if isinstance(a, str))
    reads = sum(_READ_BYTES + read.size + _length(key) for read, key in keys)
    return _ENTRY_BYTES + reads + _EFFECT_BYTES * len(effects) + sum(map(len, texts))


def _length(key: Hashable) -> int:
    if isinstance(key, str | bytes):
        return len(key)
    return sum(map(_length, key)) if isinstance(key, tuple) else 0
