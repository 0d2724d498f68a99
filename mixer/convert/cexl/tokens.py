"""From the text of an expression to its tokens.

CEXL is written in the syntax of Go's expressions.
Source: the Go specification, lexical elements.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mixer.convert.cexl.errors import at

_SPACE = re.compile(r"(?:[ \t\r]+|//[^\n]*|/\*(?:[^*\n]|\*(?!/))*\*/)+")
_TOKEN = re.compile(
    r"""(?P<name>[^\W\d]\w*)
    |(?P<float>(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+)
    |(?P<int>0[xX][0-9a-fA-F]+|[0-9]+)
    |(?P<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`|'(?:[^'\\\n]|\\.)+')
    |(?P<operator>&&|\|\||==|!=|<=|>=|<<|>>|&\^|[-+*/%<>!|&^()\[\],.])
    |(?P<newline>\n\s*)
    |(?P<end>\Z)""",
    re.VERBOSE,
)
_CLOSING = frozenset(")]")


@dataclass(frozen=True, slots=True)
class Token:
    """One token.

    Attributes:
        kind: ``name``, ``int``, ``float``, ``string``, ``operator``, ``newline`` or ``end``.
        text: As it is written.
        position: Where it begins, from 0.
    """

    kind: str
    text: str
    position: int


def tokenize(text: str) -> Iterator[Token]:
    """The tokens, ``end`` last.

    As in Go a line break after an operand ends the expression, and is a token; elsewhere it is
    space.

    Raises:
        CexlError: Something is no token.
    """
    text = text.rstrip()
    position, after_operand = 0, False
    while position <= len(text):
        if space := _SPACE.match(text, position):
            position = space.end()
        found = _TOKEN.match(text, position)
        if found is None or found.lastgroup is None:
            raise at(position, _unreadable(text[position]))
        token = Token(found.lastgroup, found[0], position)
        if token.kind != "newline" or after_operand:
            yield token
        if token.kind == "end":
            return
        after_operand = token.text in _CLOSING if token.kind == "operator" else True
        position = found.end()


def _unreadable(character: str) -> str:
    if character in "\"'`":
        return "the string has no end"
    return f"{character!r} is not part of the language"
