"""The state of one evaluation."""

from collections.abc import Callable
from typing import Any

from mixer.cel.activation import ABSENT, Activation
from mixer.cel.errors import BudgetError, EvaluationError


class Frame:
    """What the nodes of an expression are given.

    Args:
        activation: The names at the top.
        cost: What is left of what the evaluation may take.
    """

    __slots__ = ("_activation", "_left", "variables")

    def __init__(self, activation: Activation, cost: int) -> None:
        self._activation = activation
        self._left = cost
        self.variables: dict[str, Any] = {}

    def charge(self, cost: int) -> None:
        """Count what a step takes. Raises BudgetError."""
        self._left -= cost
        if self._left < 0:
            raise BudgetError("an expression takes too long")

    def find(self, name: str) -> Any:
        """A variable of a loop, or a name at the top, or `ABSENT`. Raises EvaluationError."""
        value = self.variables.get(name, ABSENT)
        if isinstance(value, EvaluationError):
            raise value
        return self._activation.find(name) if value is ABSENT else value


Node = Callable[[Frame], Any]
"""A part of an expression, as a function of its evaluation."""
