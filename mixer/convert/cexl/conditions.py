"""Matches: conditions that do not hold where Mixer's evaluation fails.

They ask for each attribute before they read it, so that they never fail themselves: what a
failing match means is for whoever evaluates it.
"""

from dataclasses import replace

from mixer.convert.cexl.cel import Cel, both, choose, either, has_attribute
from mixer.convert.cexl.nodes import Call, Node
from mixer.convert.cexl.translating import TRUE, translate

_NONE: frozenset[str] = frozenset()


def condition(node: Node, known: frozenset[str] = _NONE) -> Cel:
    """A BOOL in CEL, false where Mixer's fails.

    Args:
        node: Checked.
        known: Attributes that are there wherever this is evaluated.

    Returns:
        With the attributes that are there if it is true in ``needs``.

    Raises:
        CexlError: CEL has nothing for it.
    """
    if isinstance(node, Call) and node.name in _LOGIC:
        return _LOGIC[node.name](node, known)
    piece = translate(node)
    return _guarded(piece, piece, known)


def _and(call: Call, known: frozenset[str]) -> Cel:
    left = condition(call.arguments[0], known)
    right = condition(call.arguments[1], known | left.needs)
    return replace(both(left, right), needs=left.needs | right.needs)


def _or(call: Call, known: frozenset[str]) -> Cel:
    """Where what is on the left fails, what is on the right does not count."""
    left = translate(call.arguments[0])
    right = condition(call.arguments[1], known | left.needs)
    safe = left.risks <= left.needs | known
    return _guarded(left, either(left, right) if safe else choose(left, TRUE, right), known)


def _conditional(call: Call, known: frozenset[str]) -> Cel:
    first = translate(call.arguments[0])
    then, otherwise = (condition(one, known | first.needs) for one in call.arguments[1:])
    return _guarded(first, choose(first, then, otherwise), known)


def _guarded(first: Cel, piece: Cel, known: frozenset[str]) -> Cel:
    """A piece behind the question whether what its first part needs is there."""
    for name in sorted(first.needs - known, reverse=True):
        piece = both(has_attribute(name), piece)
    return replace(piece, needs=first.needs)


_LOGIC = {"&&": _and, "||": _or, "conditional": _conditional}
