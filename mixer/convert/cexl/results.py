"""Expressions as they are asked for: a condition, a text, a number."""

from collections.abc import Mapping, Set
from dataclasses import dataclass

from mixer.attributes import ISTIO_VOCABULARY, ValueType
from mixer.cel import ExpressionError, Program
from mixer.convert.cexl.cel import Cel, function
from mixer.convert.cexl.checking import check
from mixer.convert.cexl.conditions import condition
from mixer.convert.cexl.errors import CexlError
from mixer.convert.cexl.nodes import Call, Constant, Node
from mixer.convert.cexl.parser import parse
from mixer.convert.cexl.translating import translate

_AS_IT_IS = frozenset(
    {
        ValueType.STRING, ValueType.DNS_NAME, ValueType.EMAIL_ADDRESS, ValueType.URI,
        ValueType.IP_ADDRESS,
    }
)  # fmt: skip
_SCOPE = (
    'conditional((context.reporter.kind | "inbound") == "inbound", destination.namespace | "",'
    ' conditional(context.reporter.kind == "outbound", source.namespace | "", ""))'
)
_VALUES = frozenset(ValueType) - {ValueType.STRING_MAP}


@dataclass(frozen=True, slots=True)
class Translator:
    """Translates the expressions of one configuration.

    Every text that it gives is CEL that the host takes.

    Args:
        vocabulary: The attributes that there are, with their types.
    """

    vocabulary: Mapping[str, ValueType]

    def match(self, text: str, namespace: str = "") -> str | None:
        """What a rule is for; it does not hold where Mixer's fails.

        Args:
            text: A BOOL; empty for every request.
            namespace: Whose traffic: where it goes to, or where it comes from as seen by the
                proxy of the source. Empty for all.

        Returns:
            None if it is for every request.

        Raises:
            CexlError: It cannot be carried over, or is no BOOL.
        """
        parts = [self._typed(text, ValueType.BOOL)] if text.strip() else []
        if namespace:
            scope = parse(_SCOPE)
            own = Constant(namespace, ValueType.STRING, 0)
            parts.insert(0, check(Call("==", (scope, own), 0), ISTIO_VOCABULARY))
        if not parts or (isinstance(parts[0], Constant) and parts[0].value is True):
            return None
        whole = parts[0] if len(parts) == 1 else Call("&&", tuple(parts), 0, type=ValueType.BOOL)
        return _finished(condition(whole))

    def string(self, text: str) -> str:
        """A STRING. Raises CexlError."""
        return _finished(translate(self._typed(text, ValueType.STRING)))

    def value(self, text: str, allowed: Set[ValueType] = _VALUES) -> tuple[str, ValueType]:
        """A value, and its type. Raises CexlError."""
        node = self._typed(text)
        if node.type is None or node.type not in allowed:
            raise CexlError(f"must be a {' or '.join(sorted(allowed))}, not {node.type}")
        return _finished(translate(node)), node.type

    def text(self, text: str) -> tuple[str, ValueType]:
        """A value written as text, but for an IP_ADDRESS, which stays bytes; and its type.

        Raises:
            CexlError: It cannot be carried over.
        """
        node = self._typed(text)
        piece, kind = translate(node), node.type
        if kind is None or kind is ValueType.STRING_MAP:
            raise CexlError("a STRING_MAP cannot be written as text in CEL")
        return _finished(piece if kind in _AS_IT_IS else function("string", piece)), kind

    def constant(self, text: str) -> str:
        """A STRING that is known now. Raises CexlError."""
        node = self._typed(text, ValueType.STRING)
        if not isinstance(node, Constant):
            raise CexlError("must be a constant: it is not looked at for each entry here")
        return str(node.value)

    def _typed(self, text: str, wanted: ValueType | None = None) -> Node:
        node = check(parse(text), self.vocabulary)
        if wanted is not None and node.type is not wanted:
            raise CexlError(f"must be a {wanted}, not {node.type}")
        return node


def _finished(piece: Cel) -> str:
    try:
        Program(piece.text.encode())
    except ExpressionError as error:
        raise CexlError(f"its CEL is refused: {error}") from None
    return piece.text
