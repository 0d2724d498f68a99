"""From tokens to an expression, by the precedence of Go's operators.

Source: the Go specification, and how Mixer restricts it.
"""

from mixer.attributes import ValueType
from mixer.convert.cexl.errors import CexlError, at
from mixer.convert.cexl.literals import parse_duration, parse_float, parse_int, unquote
from mixer.convert.cexl.nodes import Call, Constant, Node, Variable
from mixer.convert.cexl.tokens import Token, tokenize

MAX_CHARACTERS = 8192
MAX_DEPTH = 64
MAX_TOKENS = 2048

_PRECEDENCE = {
    "||": 1, "&&": 2,
    "==": 3, "!=": 3, "<": 3, "<=": 3, ">": 3, ">=": 3,
    "+": 4, "|": 4, "-": 4, "^": 4,
    "*": 5, "/": 5, "%": 5, "<<": 5, ">>": 5, "&": 5, "&^": 5,
}  # fmt: skip
_TOO_DEEP = f"nested, or chained, more than {MAX_DEPTH} levels deep"
_FOREIGN = frozenset({"-", "^", "*", "/", "%", "<<", ">>", "&", "&^"})


def parse(text: str) -> Node:
    """Parse an expression.

    Raises:
        CexlError: It is none, or too large.
    """
    if len(text) > MAX_CHARACTERS:
        raise CexlError(f"the expression has over {MAX_CHARACTERS} characters")
    return _Parser(text).whole()


class _Parser:
    """Recursive descent; binary operators by climbing their precedence."""

    def __init__(self, text: str) -> None:
        self._tokens: list[Token] = []
        for token in tokenize(text):
            self._tokens.append(token)
            if len(self._tokens) > MAX_TOKENS:
                raise CexlError(f"the expression has over {MAX_TOKENS} parts")
        self._next = 0
        self._depth = 0

    def whole(self) -> Node:
        node = self._binary(1)
        if self._here.kind != "end":
            raise self._unexpected("the end of the expression")
        _check_depth(node)
        return node

    @property
    def _here(self) -> Token:
        return self._tokens[self._next]

    def _take(self) -> Token:
        token = self._here
        self._next += 1
        return token

    def _accept(self, sign: str) -> Token | None:
        here = self._here
        return self._take() if here.kind == "operator" and here.text == sign else None

    def _expect(self, sign: str) -> None:
        if self._accept(sign) is None:
            raise self._unexpected(repr(sign))

    def _unexpected(self, wanted: str) -> CexlError:
        here = self._here
        if here.kind == "newline":
            return at(here.position, "a line ends here, and with it the expression: Mixer wants "
                                     "operators at the end of a line")  # fmt: skip
        found = "the expression ends" if here.kind == "end" else f"{here.text[:40]!r} stands"
        return at(here.position, f"{found} where {wanted} is expected")

    def _deeper(self, position: int) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise at(position, _TOO_DEEP)

    def _binary(self, lowest: int) -> Node:
        left = self._unary()
        while self._here.kind == "operator" and _PRECEDENCE.get(self._here.text, 0) >= lowest:
            sign = self._take()
            if sign.text in _FOREIGN:
                raise at(sign.position, f"{sign.text!r} is no operator of Mixer's expressions")
            right = self._binary(_PRECEDENCE[sign.text] + 1)
            left = Call(sign.text, (left, right), sign.position)
        return left

    def _unary(self) -> Node:
        here = self._here
        if sign := self._accept("!"):
            self._deeper(sign.position)
            node = Call("!", (self._unary(),), sign.position)
            self._depth -= 1
            return node
        if here.kind == "operator" and here.text in {"-", "+", "*", "&", "^"}:
            raise at(here.position, f"{here.text!r} is no sign of Mixer's expressions")
        return self._postfix()

    def _postfix(self) -> Node:
        node = self._primary()
        while True:
            here = self._here
            if self._accept("."):
                node = self._selected(node, here.position)
            elif self._accept("["):
                node = self._indexed(node, here.position)
            else:
                return node

    def _primary(self) -> Node:
        token = self._here
        if token.kind == "name":
            return self._named(self._take())
        if token.kind in {"int", "float", "string"}:
            return _constant(self._take())
        if self._accept("("):
            self._deeper(token.position)
            node = self._binary(1)
            self._expect(")")
            self._depth -= 1
            return node
        raise self._unexpected("a value")

    def _named(self, token: Token) -> Node:
        if token.text.lower() in {"true", "false"}:
            return Constant(token.text.lower() == "true", ValueType.BOOL, token.position)
        if self._accept("("):
            return Call(token.text, self._arguments(), token.position)
        return Variable(token.text, token.position)

    def _selected(self, node: Node, position: int) -> Node:
        if self._here.kind != "name":
            raise self._unexpected("a name")
        name = self._take()
        if self._accept("("):
            return Call(name.text, self._arguments(), name.position, node)
        if isinstance(node, Variable):
            return Variable(f"{node.name}.{name.text}", node.position)
        raise at(position, "only attributes have names with dots")

    def _indexed(self, node: Node, position: int) -> Node:
        self._deeper(position)
        key = self._binary(1)
        self._depth -= 1
        self._expect("]")
        return Call("[]", (node, key), position)

    def _arguments(self) -> tuple[Node, ...]:
        self._deeper(self._here.position)
        arguments: list[Node] = []
        while not self._accept(")"):
            arguments.append(self._binary(1))
            if not self._accept(",") and (self._here.kind, self._here.text) != ("operator", ")"):
                raise self._unexpected("',' or ')'")
        self._depth -= 1
        return tuple(arguments)


def _check_depth(root: Node) -> None:
    """Without recursion: chains of operators lean to the left, as deep as they are long."""
    level: list[Node] = [root]
    for _ in range(MAX_DEPTH):
        calls = [node for node in level if isinstance(node, Call)]
        level = [inner for call in calls for inner in (*call.arguments, call.target) if inner]
        if not level:
            return
    raise at(level[0].position, _TOO_DEEP)


def _constant(token: Token) -> Constant:
    try:
        return _read(token)
    except ValueError as error:
        raise at(token.position, str(error)) from None


def _read(token: Token) -> Constant:
    if token.kind == "int":
        return Constant(parse_int(token.text), ValueType.INT64, token.position)
    if token.kind == "float":
        return Constant(parse_float(token.text), ValueType.DOUBLE, token.position)
    text = unquote(token.text)
    span = parse_duration(text)
    if span is not None:  # any string that is a duration is one, "0" too
        return Constant(span, ValueType.DURATION, token.position)
    return Constant(text, ValueType.STRING, token.position)
