"""What an expression is made of."""

from dataclasses import dataclass

from mixer.attributes import ValueType


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal.

    Attributes:
        value: A duration is its nanoseconds.
        type: Of the value.
        position: Where it begins in the expression, from 0.
    """

    value: str | int | float | bool
    type: ValueType
    position: int


@dataclass(frozen=True, slots=True)
class Variable:
    """An attribute, by its whole name; ``type`` is None until it is checked."""

    name: str
    position: int
    type: ValueType | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A function, a method, or an operator under its sign; ``[]`` looks up a key.

    Attributes:
        name: Of the function.
        arguments: Operands of an operator are arguments.
        position: Where the name or the sign is in the expression, from 0.
        target: Whose method it is.
        type: Of the result; None until it is checked.
    """

    name: str
    arguments: "tuple[Node, ...]"
    position: int
    target: "Node | None" = None
    type: ValueType | None = None


Node = Constant | Variable | Call
