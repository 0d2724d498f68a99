"""The loops that ``exists``, ``all``, ``map``, ``filter`` and ``exists_one`` stand for."""

from collections.abc import Iterable
from typing import Any

from mixer.cel.errors import EvaluationError
from mixer.cel.frame import Frame, Node
from mixer.cel.values import is_list, is_map


class Comprehension:
    """A loop over the items of a list or the keys of a map.

    Args:
        variables: The names of the item and of the result so far.
        items: What to loop over.
        start: The first result.
        goes_on: Whether the loop goes on.
        step: The next result.
        result: What the loop gives.
    """

    __slots__ = ("_goes_on", "_item", "_items", "_result", "_so_far", "_start", "_step")

    def __init__(
        self,
        variables: tuple[str, str],
        items: Node,
        start: Node,
        goes_on: Node,
        step: Node,
        result: Node,
    ) -> None:
        self._item, self._so_far = variables
        self._items, self._start = items, start
        self._goes_on, self._step, self._result = goes_on, step, result

    def __call__(self, frame: Frame) -> Any:
        """Run it. Raises EvaluationError and BudgetError."""
        items = _iterable(self._items(frame))
        first = self._start(frame)
        outer = frame.variables
        frame.variables = {**outer, self._so_far: first}
        try:
            self._loop(frame, items)
            frame.variables.pop(self._item, None)
            if self._item in outer:
                frame.variables[self._item] = outer[self._item]
            return self._result(frame)
        finally:
            frame.variables = outer

    def _loop(self, frame: Frame, items: Iterable[Any]) -> None:
        variables = frame.variables
        for item in items:
            frame.charge(1)
            variables[self._item] = item
            if self._goes_on(frame) is not True:
                return
            try:
                variables[self._so_far] = self._step(frame)
            except EvaluationError as error:
                variables[self._so_far] = error  # a later item may decide without it


def _iterable(items: Any) -> Iterable[Any]:
    if is_list(items) or is_map(items):
        return list(items)
    raise EvaluationError("a loop needs a list or a map")
