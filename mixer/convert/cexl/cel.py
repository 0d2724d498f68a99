"""Pieces of CEL, with what one has to know to put them together."""

from dataclasses import dataclass, replace

from mixer.cel import MAX_EXPRESSION_BYTES
from mixer.convert.cexl.errors import CexlError

CHOICE, OR, AND, RELATION, SUM, UNARY, MEMBER = range(7)
"""Strengths of binding, the weakest first."""

MAX_BYTES = MAX_EXPRESSION_BYTES - 512
"""Of a whole expression: modules write something around it, such as what tells its type."""

ATTRIBUTES = "mixer.attribute"
"""The map of attributes under Istio's names."""

ANYTHING = ""
"""In `Cel.risks`: it can fail for another reason than an absent attribute."""


@dataclass(frozen=True, slots=True)
class Cel:
    """A piece of an expression.

    Attributes:
        text: Of the piece.
        strength: Of what binds its parts.
        needs: Attributes without any of which its evaluation fails.
        risks: Attributes without which it may fail; `ANYTHING` for other reasons.
    """

    text: str
    strength: int = MEMBER
    needs: frozenset[str] = frozenset()
    risks: frozenset[str] = frozenset()

    def within(self, strength: int) -> str:
        """The text, in parentheses where it binds more weakly."""
        return self.text if self.strength >= strength else f"({self.text})"

    def safe(self) -> "Cel":
        """The same where something before it has made sure that it cannot fail."""
        return replace(self, risks=frozenset())


def join(text: str, strength: int, *parts: Cel) -> Cel:
    """A piece that evaluates all its parts.

    Raises:
        CexlError: It has become too long.
    """
    if len(text.encode()) > MAX_BYTES:
        raise CexlError(f"it would have over {MAX_BYTES} bytes in CEL")
    needs = frozenset[str]().union(*(part.needs for part in parts))
    risks = frozenset[str]().union(*(part.risks for part in parts))
    return Cel(text, strength, needs, risks)


def choose(condition: Cel, then: Cel, otherwise: Cel) -> Cel:
    """``condition ? then : otherwise``."""
    text = f"{condition.within(OR)} ? {then.within(OR)} : {otherwise.text}"
    piece = join(text, CHOICE, condition, then, otherwise)
    return replace(piece, needs=condition.needs | (then.needs & otherwise.needs))


def both(left: Cel, right: Cel) -> Cel:
    """``left && right``."""
    piece = join(f"{left.within(AND)} && {right.within(AND)}", AND, left, right)
    return replace(piece, needs=left.needs)


def either(left: Cel, right: Cel) -> Cel:
    """``left || right``."""
    piece = join(f"{left.within(OR)} || {right.within(OR)}", OR, left, right)
    return replace(piece, needs=left.needs)


def compared(left: Cel, sign: str, right: Cel) -> Cel:
    """Two operands of a comparison, or of ``in``."""
    text = f"{left.within(RELATION)} {sign} {right.within(SUM)}"
    return join(text, RELATION, left, right)


def added(left: Cel, right: Cel) -> Cel:
    """``left + right``."""
    return join(f"{left.within(SUM)} + {right.within(UNARY)}", SUM, left, right)


def opposite(piece: Cel) -> Cel:
    """``!piece``."""
    return join(f"!{piece.within(UNARY)}", UNARY, piece)


def method(target: Cel, name: str, *arguments: Cel) -> Cel:
    """``target.name(arguments)``."""
    inner = ", ".join(argument.text for argument in arguments)
    return join(f"{target.within(MEMBER)}.{name}({inner})", MEMBER, target, *arguments)


def function(name: str, *arguments: Cel) -> Cel:
    """``name(arguments)``."""
    inner = ", ".join(argument.text for argument in arguments)
    return join(f"{name}({inner})", MEMBER, *arguments)


def at_key(collection: Cel, key: Cel) -> Cel:
    """``collection[key]``."""
    return join(f"{collection.within(MEMBER)}[{key.text}]", MEMBER, collection, key)


def attribute(name: str) -> Cel:
    """An attribute; evaluation fails where it is absent."""
    alone = frozenset({name})
    return Cel(f"{ATTRIBUTES}[{quote(name)}]", MEMBER, alone, alone)


def has_attribute(name: str) -> Cel:
    """Whether an attribute is there."""
    return Cel(f"{quote(name)} in {ATTRIBUTES}", RELATION)


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_BEYOND_BMP = 0x10000


def quote(text: str) -> str:
    """A string literal."""
    return f'"{"".join(map(_character, text))}"'


def string(text: str) -> Cel:
    """A string."""
    return Cel(quote(text))


def octets(content: bytes) -> Cel:
    """A value of type bytes."""
    return Cel('b"' + "".join(f"\\x{byte:02x}" for byte in content) + '"')


def _character(one: str) -> str:
    if one in _ESCAPES:
        return _ESCAPES[one]
    if one.isprintable():
        return one
    return f"\\u{ord(one):04x}" if ord(one) < _BEYOND_BMP else f"\\U{ord(one):08x}"
