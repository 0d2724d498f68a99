"""What is wrong with an expression, as far as that can be told before it runs."""

import re
from enum import Enum
from typing import Any

from cel_expr_python import cel

from mixer.cel.declarations import PACKAGE, environment
from mixer.cel.errors import BoundError, ExpressionError
from mixer.cel.parsing import MAX_EXPRESSION_BYTES
from mixer.cel.program import Program

_LONGEST_MESSAGE = 200
_FOUND = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")


class Result(Enum):
    """What an expression is to give; the value is its name in a message."""

    BOOL = "a bool"
    TEXT = "a string"


_TYPES: dict[Result, Any] = {Result.BOOL: cel.Type.BOOL, Result.TEXT: cel.Type.STRING}


def checked_program(text: str, result: Result) -> Program:
    """Make an expression of a configuration ready: names and types are checked.

    What an attribute of no declared type gives is only known when it is evaluated.

    Args:
        text: CEL over the attributes.
        result: What it is to give.

    Raises:
        ExpressionError: It is no expression, names what is no attribute, or gives something else.
        FunctionError: It calls what is not there.
        BoundError: It is too long or nested too deeply.
    """
    try:
        encoded = text.encode()
    except UnicodeEncodeError as error:
        raise ExpressionError("not Unicode text") from error
    if len(encoded) > MAX_EXPRESSION_BYTES:
        raise BoundError(f"an expression has over {MAX_EXPRESSION_BYTES} bytes")
    try:
        found = environment().compile(text).return_type()
    except RuntimeError as error:
        raise ExpressionError(_message(str(error))) from error
    if found not in (_TYPES[result], cel.Type.DYN):
        given = found.name().lower().removeprefix(f"{PACKAGE}.")
        raise ExpressionError(f"gives {given}, and must give {result.value}")
    return Program(encoded)


def _message(told: str) -> str:
    """The first of the checker's errors, without the text that it repeats."""
    found = _FOUND.search(told)
    if found is None:
        return _short(told)
    line, column, what = found.groups()
    place = f"column {column}" if line == "1" else f"line {line}, column {column}"
    return f"{place}: {_short(_in_our_words(what))}"


def _in_our_words(what: str) -> str:
    """Without what we have declared only for the checker's sake."""
    return what.replace(" (in container '')", "").replace(f"struct '{PACKAGE}.", "'")


def _short(text: str) -> str:
    shown = repr(text)[1:-1] if not text.isprintable() else text
    return shown if len(shown) <= _LONGEST_MESSAGE else f"{shown[:_LONGEST_MESSAGE]}..."
