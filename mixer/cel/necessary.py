"""What an expression demands of single texts: without it, the expression cannot be true.

An index over many expressions needs no more than this. Found are comparisons of an attribute, or of
an entry of one, with constant texts, as far as ``&&`` and ``||`` join them at the top; everything
else is taken for something that may be true.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mixer.cel.activation import GROUPS, Find
from mixer.cel.values import fields, is_list

MAX_WAYS = 16
"""Alternatives of one expression; one with more is not looked into."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """Where an expression finds a value.

    Attributes:
        name: Of the attribute.
        keys: What is looked up in it, one in the other.
    """

    name: str
    keys: tuple[str, ...] = ()

    def read(self, find: Find) -> Any:
        """The value, or None where an expression finds none."""
        value: Any = find(self.name)
        for key in self.keys:
            entries = None if is_list(value) else fields(value)
            if entries is None:
                return None
            try:
                value = entries[key]
            except KeyError:
                return None
        return value


@dataclass(frozen=True, slots=True)
class Demand:
    """What a text must be: one of these, or begin or end with one of these.

    Attributes:
        exact: It is one of these.
        prefixes: Or it begins with one of these.
        suffixes: Or it ends with one of these.
    """

    exact: frozenset[str] = frozenset()
    prefixes: frozenset[str] = frozenset()
    suffixes: frozenset[str] = frozenset()

    def __or__(self, other: "Demand") -> "Demand":
        return Demand(
            self.exact | other.exact,
            self.prefixes | other.prefixes,
            self.suffixes | other.suffixes,
        )


Way = Mapping[Any, Demand]
"""One way in which an expression may be true: what it demands of each value; all of it."""

Ways = tuple[Way, ...]

ANYHOW: Ways = ({},)
"""Of an expression that may be true whatever the values are."""


def ways_of(expression: Any) -> Ways:
    """In which ways an expression may be true.

    Args:
        expression: A ``cel.expr.Expr``.

    Returns:
        At least one of them holds wherever the expression is true.
    """
    call = expression.call_expr
    if call.function == "_&&_":
        return _both(*map(ways_of, call.args))
    if call.function == "_||_":
        return _either(*map(ways_of, call.args))
    return _test(call) if call.function in _TESTS else ANYHOW


def _both(left: Ways, right: Ways) -> Ways:
    """Each of one with each of the other; where both demand something of one value, one counts."""
    if len(left) * len(right) > MAX_WAYS:
        return min(left, right, key=len)
    return tuple({**other, **one} for one in left for other in right)


def _either(left: Ways, right: Ways) -> Ways:
    if len(left) == len(right) == 1 and left[0].keys() == right[0].keys() and len(left[0]) == 1:
        [(lookup, demand)] = left[0].items()
        return ({lookup: demand | right[0][lookup]},)
    ways = (*left, *right)
    return ANYHOW if len(ways) > MAX_WAYS or {} in ways else ways


def _test(call: Any) -> Ways:
    """What a single comparison demands."""
    operands = [*([call.target] if call.HasField("target") else ()), *call.args]
    if call.function == "_==_" and operands[0].WhichOneof("expr_kind") == "const_expr":
        operands.reverse()
    lookup = _lookup(operands[0])
    kind, texts_of = _TESTS[call.function]
    texts = None if len(operands) != 2 else texts_of(operands[1])
    if lookup is None or texts is None:
        return ANYHOW
    return ({lookup: Demand(**{kind: texts})},)


def _one_text(expression: Any) -> frozenset[str] | None:
    """A constant text; None where it is anything else, such as a list to be equal to."""
    text = _text(expression)
    return None if text is None else frozenset((text,))


def _listed_texts(expression: Any) -> frozenset[str] | None:
    """The constant texts of a list; None where it is anything else."""
    if expression.WhichOneof("expr_kind") != "list_expr":
        return None
    found = [_text(element) for element in expression.list_expr.elements]
    return None if None in found else frozenset(text for text in found if text is not None)


def _text(expression: Any) -> str | None:
    constant = expression.const_expr
    return constant.string_value if constant.HasField("string_value") else None


_TESTS = {
    "_==_": ("exact", _one_text),
    "@in": ("exact", _listed_texts),
    "startsWith": ("prefixes", _one_text),
    "endsWith": ("suffixes", _one_text),
}


def _lookup(expression: Any) -> Lookup | None:
    """The attribute that an expression names, with the keys in it; None where it names none."""
    steps = [*_steps(expression)][::-1]
    if None in steps or not steps:
        return None
    name, *keys = steps
    if name in GROUPS:
        if not keys:
            return None
        name = f"{name}.{keys.pop(0)}"
    return Lookup(name, tuple(keys))


def _steps(expression: Any) -> Iterator[Any]:
    """The names on the way, the last one first; None for what is no name."""
    while True:
        kind = expression.WhichOneof("expr_kind")
        if kind == "ident_expr":
            yield expression.ident_expr.name.removeprefix(".")
            return
        if kind == "select_expr" and not expression.select_expr.test_only:
            yield expression.select_expr.field
            expression = expression.select_expr.operand
        elif kind == "call_expr" and expression.call_expr.function == "_[_]":
            yield _text(expression.call_expr.args[1])
            expression = expression.call_expr.args[0]
        else:
            yield None
            return
