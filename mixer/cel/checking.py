"""What is wrong with an expression, as far as that can be told before it runs."""

from enum import Enum
from typing import Any

from cel_expr_python import cel

from mixer.cel.declarations import PACKAGE, environment
from mixer.cel.errors import BoundError, ExpressionError
from mixer.cel.messages import message
from mixer.cel.parsing import MAX_EXPRESSION_BYTES
from mixer.cel.program import Program


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
        raise ExpressionError(message(_in_our_words(str(error)))) from error
    if found not in (_TYPES[result], cel.Type.DYN):
        given = found.name().lower().removeprefix(f"{PACKAGE}.")
        raise ExpressionError(f"gives {given}, and must give {result.value}")
    return Program(encoded)


def _in_our_words(told: str) -> str:
    """Without what we have declared only for the checker's sake."""
    return told.replace(" (in container '')", "").replace(f"struct '{PACKAGE}.", "'")
