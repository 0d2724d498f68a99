"""The decision cache of one configuration: bounded, and only for what adapters allow."""

import time
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from mixer.config import DecisionCacheLimits
from mixer.engine.adapter import Adapter
from mixer.engine.cache.entry import Clock, Entry, size_of
from mixer.engine.cache.reads import Read
from mixer.engine.cache.trace import Trace
from mixer.engine.cache.tree import Node
from mixer.engine.cache.values import UnkeyableError
from mixer.engine.decision import Decision
from mixer.engine.request import Request
from mixer.engine.said import NOTHING

_Shape = tuple[bool, bool, bool, bool]
_Keys = list[tuple[Read, Hashable]]


@dataclass(slots=True)
class CacheStats:
    """Counts since the start of the service.

    Attributes:
        hits: Requests that were answered from the cache.
        misses: Those that were not, while it was in use.
        uncacheable: Decisions that were not kept though adapters gave them a validity: they follow
            from the time, randomness, shared data or callouts, or from too many things.
        expired: Entries that went since their time was over.
        evicted: Entries that went to make room.
    """

    hits: int = 0
    misses: int = 0
    uncacheable: int = 0
    expired: int = 0
    evicted: int = 0


class DecisionCache:
    """Keeps decisions, and finds those for requests alike.

    It comes into use where a configuration gives a validity, or with the first module that does:
    otherwise nothing is noted of what modules read.

    Args:
        limits: How much it may keep.
        adapters: By name.
        clock: Nanoseconds, monotonic.

    Attributes:
        in_use: Whether to ask it, and to have decisions traced for it.
        stats: What it did.
        bytes: What its entries take, roughly.
    """

    def __init__(
        self,
        limits: DecisionCacheLimits,
        adapters: Mapping[str, Adapter],
        clock: Clock = time.monotonic_ns,
    ) -> None:
        self._limits = limits
        self._adapters = adapters
        self._clock = clock
        self._roots: dict[_Shape, Node[Entry]] = {}
        self._entries: OrderedDict[Entry, None] = OrderedDict()
        self.in_use = any(a.says is not NOTHING for a in adapters.values())
        self.stats = CacheStats()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def note(self, decision: Decision) -> None:
        """Look at a decision that was made without trace, whether the next ones are to have one."""
        if decision.validity is not None:
            self.in_use = True

    def find(self, request: Request) -> Decision | None:
        """The decision for a request, or None; it counts as used."""
        entry = self._valid(request)
        if entry is None:
            self.stats.misses += 1
            return None
        self.stats.hits += 1
        decision = entry.use()
        if entry.uses == 0:
            self._drop(entry)
        else:
            self._entries.move_to_end(entry)
        return decision

    def _valid(self, request: Request) -> Entry | None:
        root = self._roots.get(_shape(request))
        if root is None:
            return None
        try:
            found = root.find(request)
        except UnkeyableError:
            return None
        if found is not None and found.expires <= self._clock():
            self.stats.expired += 1
            self._drop(found)
            return None
        return found

    def keep(self, request: Request, trace: Trace, decision: Decision) -> None:
        """Keep a decision that adapters gave a validity, if it follows from its reads alone.

        Args:
            request: The one that it was made for.
            trace: Noted while it was made.
            decision: As it was made.
        """
        if trace.volatile:
            self.stats.uncacheable += trace.is_valid
            return
        validity = decision.validity
        if validity is None or not validity.is_of_use or not self._limits.max_entries:
            return
        try:
            keys = _keys(request, trace)
        except UnkeyableError:
            self.stats.uncacheable += 1
            return
        self._put(request, keys, trace, decision)

    def _put(self, request: Request, keys: _Keys, trace: Trace, decision: Decision) -> None:
        size = size_of(decision, keys, trace.effects)
        root = self._roots.setdefault(_shape(request), Node())
        node = root.place(keys) if size <= self._limits.max_bytes else None
        if node is None:
            self.stats.uncacheable += 1
            return
        if node.leaf is not None:
            self._forget(node.leaf)
        adapters = [self._adapters[name] for name in decision.adapters]
        entry = Entry(node, decision, adapters, trace.effects, size, self._clock)
        node.leaf = entry
        self._entries[entry] = None
        self.bytes += size
        self._make_room()

    def _make_room(self) -> None:
        limits = self._limits
        while len(self._entries) > limits.max_entries or self.bytes > limits.max_bytes:
            self.stats.evicted += 1
            self._drop(next(iter(self._entries)))

    def _drop(self, entry: Entry) -> None:
        self._forget(entry)
        entry.node.leaf = None
        entry.node.prune()

    def _forget(self, entry: Entry) -> None:
        del self._entries[entry]
        self.bytes -= entry.size


def _shape(request: Request) -> _Shape:
    """What decides which callbacks are made."""
    return (
        request.body is None,
        request.has_body,
        request.body_complete,
        request.headers_are_complete,
    )


def _keys(request: Request, trace: Trace) -> _Keys:
    """What stands for each value that was read, in the request as it came in."""
    changed = request.headers.save()
    request.headers.reset()
    try:
        return [(read, read.of(request)) for read in trace.reads]
    finally:
        request.headers.restore(changed)
