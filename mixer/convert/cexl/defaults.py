"""``a | b``: what is taken where something is absent, for which CEL has no operator."""

from dataclasses import dataclass, replace

from mixer.convert.cexl.cel import (
    ANYTHING,
    Cel,
    at_key,
    attribute,
    both,
    choose,
    compared,
    either,
    has_attribute,
)  # fmt: skip
from mixer.convert.cexl.comparing import Translate
from mixer.convert.cexl.errors import at
from mixer.convert.cexl.nodes import Call, Node, Variable


@dataclass(frozen=True, slots=True)
class _Settled:
    """An operand of ``|``: whether it is there, and what it is then.

    Attributes:
        present: None where it always is.
        value: For where it is there.
    """

    present: Cel | None
    value: Cel


_UNHEEDED = frozenset({"==", "!=", "<", "<=", ">", ">=", "&&", "||", "+", "size"})
_UNHEEDED_MESSAGE = (
    "{!r} before a '|' always has a value, but Mixer takes what is behind: write the one you mean"
)


def _settle(node: Node, translate: Translate) -> _Settled:
    if isinstance(node, Call) and node.name in _UNHEEDED:
        raise at(node.position, _UNHEEDED_MESSAGE.format(node.name))
    if isinstance(node, Variable):
        return _Settled(has_attribute(node.name), attribute(node.name).safe())
    if isinstance(node, Call) and node.name == "[]":
        return _settle_lookup(node, translate)
    if isinstance(node, Call) and node.name == "|":
        return _settle_default(node, translate)
    return _Settled(None, translate(node))


def _settle_lookup(call: Call, translate: Translate) -> _Settled:
    entries, key = (_settle(one, translate) for one in call.arguments)
    if key.present is not None and entries.value.risks:
        # Mixer evaluates the map first, and `&&` would pass over its failure.
        raise at(call.position, "a key that may be absent, of a map that may fail: give the key a "
                                "default")  # fmt: skip
    present = compared(key.value, "in", entries.value)
    for before in (key.present, entries.present):
        if before is not None:
            present = both(before, present.safe())
    return _Settled(present, at_key(entries.value, key.value).safe())


def _settle_default(call: Call, translate: Translate) -> _Settled:
    first, second = (_settle(one, translate) for one in call.arguments)
    if first.present is None:
        return first
    value = choose(first.present, first.value, second.value)
    if second.present is None:
        return _Settled(None, value)
    return _Settled(either(first.present, second.present), value)


def default(call: Call, translate: Translate) -> Cel:
    """``a | b | c``: the first that is there."""
    *before, last = _operands(call)
    right = call.arguments[1]
    nested = isinstance(right, Call) and right.name == "|"
    value = _there(last, translate) if nested else translate(last)
    for operand in reversed(before):
        first = _settle(operand, translate)
        present = first.present
        value = first.value if present is None else choose(present, first.value, value)
    return value


def _there(node: Node, translate: Translate) -> Cel:
    """The last of ``a | (b | c[key])``, where Mixer has no empty text for an absent key."""
    if isinstance(node, Call) and node.name == "[]":
        piece = at_key(*map(translate, node.arguments))
        return replace(piece, risks=piece.risks | {ANYTHING})
    return translate(node)


def _operands(node: Node) -> list[Node]:
    if isinstance(node, Call) and node.name == "|":
        return [operand for one in node.arguments for operand in _operands(one)]
    return [node]
