"""From Mixer's expressions to CEL.

Mixer evaluates strictly: an absent attribute makes the whole expression fail unless ``|`` gives a
default, while CEL's ``&&`` and ``||`` go on where the other side decides. What is written here
fails where Mixer's fails.
"""

from collections.abc import Callable
from dataclasses import replace

from mixer.attributes import ValueType
from mixer.cel import EvaluationError, ExpressionError, Program
from mixer.convert.cexl import patterns
from mixer.convert.cexl.cel import (
    ANYTHING,
    MEMBER,
    Cel,
    added,
    at_key,
    attribute,
    both,
    choose,
    compared,
    either,
    function,
    join,
    method,
    octets,
    opposite,
    quote,
    string,
)  # fmt: skip
from mixer.convert.cexl.comparing import address, equal, inside, lowered
from mixer.convert.cexl.defaults import default
from mixer.convert.cexl.errors import at
from mixer.convert.cexl.nodes import Call, Constant, Node, Variable

TRUE, _FALSE, _NOTHING = Cel("true"), Cel("false"), Cel('""')


def translate(node: Node) -> Cel:
    """An expression with types, in CEL.

    Raises:
        CexlError: CEL has nothing for it.
    """
    if isinstance(node, Constant):
        return _constant(node)
    if isinstance(node, Variable):
        return attribute(node.name)
    return _CALLS[node.name](node)


def _constant(node: Constant) -> Cel:
    if node.type is ValueType.DURATION:
        return Cel(f'duration("{_span(int(node.value))}")')
    if node.type is ValueType.BOOL:
        return TRUE if node.value else _FALSE
    if node.type is ValueType.STRING:
        return string(str(node.value))
    return Cel(repr(node.value))


def _span(nanoseconds: int) -> str:
    for unit, name in ((10**9, "s"), (10**6, "ms"), (10**3, "us")):
        if nanoseconds % unit == 0:
            return f"{nanoseconds // unit}{name}"
    return f"{nanoseconds}ns"


def _and(call: Call) -> Cel:
    left, right = map(translate, call.arguments)
    return both(left, right) if left.risks <= right.needs else choose(left, right, _FALSE)


def _or(call: Call) -> Cel:
    left, right = map(translate, call.arguments)
    return either(left, right) if left.risks <= right.needs else choose(left, TRUE, right)


def _conditional_string(call: Call) -> Cel:
    """As ``conditional()``, but that Mixer evaluates both outcomes."""
    condition, *outcomes = map(translate, call.arguments)
    if not outcomes[0].risks | outcomes[1].risks:
        return choose(condition, *outcomes)
    both_of_them = ", ".join(one.text for one in outcomes)
    position = choose(condition, Cel("0"), Cel("1"))
    return join(f"[{both_of_them}][{position.text}]", MEMBER, condition, *outcomes)


def _lookup(call: Call) -> Cel:
    """``map[key]``: empty where the key is absent; the map itself has to be there."""
    entries, key = map(translate, call.arguments)
    return choose(compared(key, "in", entries), at_key(entries, key).safe(), _NOTHING)


def _compare(call: Call) -> Cel:
    left, right = map(translate, call.arguments)
    return compared(left, call.name, right)


def _match(call: Call) -> Cel:
    subject, pattern = call.arguments
    if not isinstance(pattern, Constant):
        raise at(pattern.position, "match() can be carried over with a constant pattern only")
    text = str(pattern.value)
    if text.endswith("*"):
        return _affix("startsWith", subject, text[:-1])
    if text.startswith("*"):
        return _affix("endsWith", subject, text[1:])
    return equal(replace(call, name="==", arguments=(subject, pattern)), translate)


def _affix(name: str, subject: Node, part: str) -> Cel:
    if not lowered(subject):
        return method(translate(subject), name, string(part))
    form = patterns.ignoring_case(part)
    anchored = f"^{form}" if name == "startsWith" else f"{form}$"
    return method(translate(inside(subject)), "matches", string(anchored))


def _starts_or_ends(call: Call) -> Cel:
    assert call.target is not None
    part = call.arguments[0]
    if isinstance(part, Constant):
        return _affix(call.name, call.target, str(part.value))
    return method(translate(call.target), call.name, translate(part))


def _matches(call: Call) -> Cel:
    """``pattern.matches(text)``, the other way round than in CEL."""
    pattern, subject = call.target, call.arguments[0]
    assert pattern is not None
    piece = method(translate(subject), "matches", translate(pattern))
    if not isinstance(pattern, Constant):
        return replace(piece, risks=piece.risks | {ANYTHING})
    _try(f'"".matches({quote(str(pattern.value))})', pattern, "this is no regular expression")
    return piece


def _timestamp(call: Call) -> Cel:
    argument = call.arguments[0]
    piece = function("timestamp", translate(argument))
    if not isinstance(argument, Constant):
        return replace(piece, risks=piece.risks | {ANYTHING})
    _try(piece.text, argument, "this is no time as in RFC 3339, such as 2017-01-01T00:00:00Z")
    return piece


def _try(text: str, node: Node, message: str) -> None:
    """Raise CexlError where something constant has no value."""
    try:
        Program(text.encode()).evaluate(_Nothing())
    except (EvaluationError, ExpressionError):
        raise at(node.position, message) from None


class _Nothing:
    """No names at all."""

    def find(self, name: str) -> None:
        """See `mixer.cel.Activation`."""
        raise EvaluationError(f"no value with the name {name}")


def _to_lower(call: Call) -> Cel:
    argument = call.arguments[0]
    if isinstance(argument, Constant) and str(argument.value).isascii():
        return string(str(argument.value).lower())
    raise at(call.position, "CEL has no lower case: toLower() can be compared with a constant only")


def _name(call: Call) -> Cel:
    """``dnsName()`` and the like, as a text that is not checked."""
    return translate(call.arguments[0])


_CALLS: dict[str, Callable[[Call], Cel]] = {
    "&&": _and,
    "||": _or,
    "conditional": lambda call: choose(*map(translate, call.arguments)),
    "conditionalString": _conditional_string,
    "==": lambda call: equal(call, translate),
    "!=": lambda call: opposite(equal(call, translate)),
    **dict.fromkeys(("<", "<=", ">", ">="), _compare),
    "!": lambda call: opposite(translate(call.arguments[0])),
    "|": lambda call: default(call, translate),
    "+": lambda call: added(*map(translate, call.arguments)),
    "[]": _lookup,
    "size": lambda call: function("size", function("bytes", translate(call.arguments[0]))),
    "ip": lambda call: octets(address(call)),
    "timestamp": _timestamp,
    "dnsName": _name,
    "email": _name,
    "uri": _name,
    "match": _match,
    "matches": _matches,
    "startsWith": _starts_or_ends,
    "endsWith": _starts_or_ends,
    "toLower": _to_lower,
    "emptyStringMap": lambda _call: Cel("{}"),
}
