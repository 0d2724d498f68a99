"""From a text to the expression that it spells."""

from typing import Any

from cel.expr.syntax_pb2 import ParsedExpr
from cel_expr_python import cel
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError

from mixer.cel.errors import BoundError, ExpressionError
from mixer.cel.messages import message

MAX_EXPRESSION_BYTES = 4096
"""Of the text; parsing so much takes up to 10 ms."""

_PARSER = cel.NewEnv()


def parse(text: bytes) -> Any:
    """Parse a text into a ``cel.expr.Expr``, macros expanded.

    Raises:
        ExpressionError: It is no expression.
        BoundError: It is too long, or nested too deeply.
    """
    if len(text) > MAX_EXPRESSION_BYTES:
        raise BoundError(f"an expression has over {MAX_EXPRESSION_BYTES} bytes")
    try:
        serialized = _PARSER.compile(text.decode(), disable_check=True).serialize()
    except (RuntimeError, UnicodeDecodeError) as error:
        raise ExpressionError(message(str(error))) from error
    try:
        # Two steps, so that the depth counts once.
        return ParsedExpr.FromString(AnyMessage.FromString(serialized).value).expr
    except DecodeError as error:
        raise BoundError("an expression is nested too deeply") from error
