"""Things that are for requests under a condition, in order."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from mixer.attributes import AttributeBag
from mixer.cel import (
    ANYHOW,
    AttributeActivation,
    BudgetError,
    EvaluationError,
    Program,
    Ways,
)
from mixer.engine.selection.index import Index

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Condition:
    """When something is for a request.

    Attributes:
        holds: Tells of a request's attributes.
        ways: At least one of them holds wherever that is true.
    """

    holds: Callable[[AttributeBag], bool]
    ways: Ways = ANYHOW


ALWAYS = Condition(lambda _attributes: True)
"""It is for every request."""


def where_true(program: Program | None) -> Condition:
    """That an expression is true; one without a value is not. None is for every request."""
    if program is None:
        return ALWAYS

    def holds(attributes: AttributeBag) -> bool:
        try:
            return program.evaluate(AttributeActivation(attributes.get)) is True
        except (EvaluationError, BudgetError):
            return False

    return Condition(holds, program.ways())


class Ordered(Generic[_T]):
    """Things with their conditions.

    What is found is what trying every condition in order would find: see `Index`.

    Args:
        things: In order.
    """

    __slots__ = ("_holds", "_index", "_things")

    def __init__(self, things: Sequence[tuple[Condition, _T]]) -> None:
        self._index = Index([condition.ways for condition, _ in things])
        self._holds = tuple(condition.holds for condition, _ in things)
        self._things = tuple(thing for _, thing in things)

    def __len__(self) -> int:
        return len(self._things)

    def __iter__(self) -> Iterator[_T]:
        return iter(self._things)

    def matching(self, attributes: AttributeBag) -> Iterator[_T]:
        """All whose condition holds, in order."""
        for number in self._index.candidates(attributes.get):
            if self._holds[number](attributes):
                yield self._things[number]
