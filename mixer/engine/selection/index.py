"""Which of many conditions may hold for a request: a tree of texts that they demand."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Protocol

from mixer.cel import Demand, Find, Way, Ways
from mixer.engine.selection.ladder import Ladder

_FEW = 3
"""Conditions up to this number are all tried: to look for them would cost as much."""

_DEEPEST = 8
"""Values that are looked at, at the most, where conditions have none in common."""

Filed = Sequence[tuple[int, Way]]
"""Conditions by number, with what is left to be demanded."""


class Look(Protocol):
    """What a condition demands a text of; equal to another one that finds the same."""

    def read(self, find: Find) -> Any:
        """The value, or None where there is none."""


class Index:
    """Finds the conditions that may hold; made once, never changed.

    A condition that is left out does not hold: each way in which it could demands a text that the
    request has not. Whether one of the others holds is for its own expression to say.

    Args:
        conditions: In which ways each may hold, in order.
    """

    __slots__ = ("_all", "_root")

    def __init__(self, conditions: Sequence[Ways]) -> None:
        self._all = tuple(range(len(conditions)))
        filed = [(number, way) for number, ways in enumerate(conditions) for way in ways]
        self._root = None if len(conditions) <= _FEW else _node(filed)

    def candidates(self, find: Find) -> Sequence[int]:
        """The numbers of those that may hold, in order.

        Args:
            find: Finds an attribute; asked only for what the tree needs.
        """
        if self._root is None:
            return self._all
        found = [numbers for numbers in self._root.find(find) if numbers]
        return found[0] if len(found) == 1 else sorted(set(chain.from_iterable(found)))


class _Node(Protocol):
    def find(self, find: Find) -> Iterable[tuple[int, ...]]:
        """The conditions at and below this node."""


@dataclass(frozen=True, slots=True)
class _Leaf:
    """Conditions of which nothing more is demanded here."""

    numbers: tuple[int, ...]

    def find(self, find: Find) -> Iterable[tuple[int, ...]]:
        del find
        return (self.numbers,)


@dataclass(frozen=True, slots=True)
class _Branch:
    """Conditions by what they demand of one value, and those that demand nothing of it."""

    look: Look
    exact: dict[str, _Node]
    prefixes: Ladder[_Node]
    suffixes: Ladder[_Node]
    others: _Node | None

    def find(self, find: Find) -> Iterator[tuple[int, ...]]:
        value = self.look.read(find)
        if type(value) is str:
            node = self.exact.get(value)
            if node is not None:
                yield from node.find(find)
            if self.prefixes:
                for node in self.prefixes.of(value):
                    yield from node.find(find)
            if self.suffixes:
                for node in self.suffixes.of(value[::-1]):
                    yield from node.find(find)
        if self.others is not None:
            yield from self.others.find(find)


def _node(filed: Filed, depth: int = _DEEPEST) -> _Node:
    look = _most_demanded(filed) if depth else None
    if look is None:
        return _Leaf(tuple(sorted({number for number, _ in filed})))
    demanding = [(number, way[look], _without(way, look)) for number, way in filed if look in way]
    others = [one for one in filed if look not in one[1]]
    made = _Made()
    return _Branch(
        look,
        made.grouped((n, rest, demand.exact) for n, demand, rest in demanding),
        Ladder(made.grouped((n, rest, demand.prefixes) for n, demand, rest in demanding)),
        Ladder(
            made.grouped(
                (n, rest, {s[::-1] for s in demand.suffixes}) for n, demand, rest in demanding
            )
        ),
        _node(others, depth - 1) if others else None,
    )


def _most_demanded(filed: Filed) -> Look | None:
    """What most conditions demand something of; of several, what they differ most in."""
    texts: dict[Look, set[str]] = {}
    counts: dict[Look, int] = {}
    for _, way in filed:
        for look, demand in way.items():
            counts[look] = counts.get(look, 0) + 1
            texts.setdefault(look, set()).update(*_all_of(demand))
    most = max(counts, key=lambda look: (counts[look], len(texts[look])), default=None)
    return most if most is not None and counts[most] > _FEW else None


def _all_of(demand: Demand) -> Iterable[Iterable[str]]:
    return demand.exact, demand.prefixes, demand.suffixes


def _without(way: Way, look: Look) -> Way:
    return {other: demand for other, demand in way.items() if other != look}


class _Made:
    """The nodes below a branch: texts that lead to the same conditions share one.

    Each text of a list with a node of its own, and so at each level, would be the product of the
    lengths of all lists.
    """

    def __init__(self) -> None:
        self._nodes: dict[tuple[tuple[int, int], ...], _Node] = {}

    def grouped(self, demanding: Iterable[tuple[int, Way, Iterable[str]]]) -> dict[str, _Node]:
        groups: dict[str, list[tuple[int, Way]]] = {}
        for number, rest, texts in demanding:
            for text in texts:
                groups.setdefault(text, []).append((number, rest))
        return {text: self._node(filed) for text, filed in groups.items()}

    def _node(self, filed: Filed) -> _Node:
        # What is left of a way is one object for all of its texts, and lives as long as this.
        same = tuple((number, id(rest)) for number, rest in filed)
        if same not in self._nodes:
            self._nodes[same] = _node(filed)
        return self._nodes[same]
