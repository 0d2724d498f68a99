"""``expr_create``, ``expr_evaluate`` and ``expr_delete``: CEL over what the stream has."""

from mixer.cel import (
    BoundError,
    BudgetError,
    EvaluationError,
    ExpressionError,
    FunctionError,
    Program,
)
from mixer.proxywasm.abi import LogLevel, Status
from mixer.proxywasm.contexts import Context
from mixer.proxywasm.foreign.function import ForeignFunction
from mixer.proxywasm.hostcalls.refusal import refuse
from mixer.proxywasm.property_codec import NotALeaf, encode

MAX_EXPRESSIONS = 1024
"""That one plugin has at a time."""

MAX_EXPRESSIONS_BYTES = 256 * 1024
"""Of their texts together: what is made of a text takes 300 times as much."""

MAX_FAULTS = 64
"""Texts that are no expression, of which one plugin's log has the reason."""

_LONGEST_REASON = 256
_TOKEN_BYTES = 4


def create(context: Context, text: bytes) -> bytes | Status:
    """Parse an expression; its token is a u32."""
    expressions = context.vm.current.root.expressions
    if len(expressions.programs) >= MAX_EXPRESSIONS:
        return refuse(context, "expr_create", f"there are {MAX_EXPRESSIONS} expressions")
    if expressions.size + len(text) > MAX_EXPRESSIONS_BYTES:
        return refuse(context, "expr_create", f"they have over {MAX_EXPRESSIONS_BYTES} bytes")
    try:
        program = Program(text)
    except BoundError as error:
        return refuse(context, "expr_create", str(error))
    except FunctionError as error:
        expressions.take_token()  # as in Envoy, which finds out later
        return _faulty(context, str(error))
    except ExpressionError as error:
        return _faulty(context, str(error))
    return expressions.add(program).to_bytes(_TOKEN_BYTES, "little")


def _faulty(context: Context, why: str) -> Status:
    """Answer BAD_ARGUMENT, of which the module cannot tell the reason, and log it."""
    expressions = context.vm.current.root.expressions
    if expressions.faults < MAX_FAULTS:
        expressions.faults += 1
        context.log(LogLevel.WARN, f"expr_create answers BAD_ARGUMENT: {why[:_LONGEST_REASON]}")
    return Status.BAD_ARGUMENT


def evaluate(context: Context, token: bytes) -> bytes | Status:
    """Evaluate an expression for the callback's own context; the value is encoded as a property."""
    if len(token) != _TOKEN_BYTES:
        return Status.BAD_ARGUMENT
    current = context.vm.current
    program = current.root.expressions.programs.get(int.from_bytes(token, "little"))
    if program is None:
        return Status.NOT_FOUND
    try:
        return encode(program.evaluate(current.activation()))
    except BudgetError as error:
        return refuse(context, "expr_evaluate", str(error))
    except EvaluationError:
        return Status.INTERNAL_FAILURE
    except NotALeaf:
        return Status.SERIALIZATION_FAILURE


def delete(context: Context, token: bytes) -> Status:
    """Forget an expression; one that is not there is fine."""
    if len(token) != _TOKEN_BYTES:
        return Status.BAD_ARGUMENT
    context.vm.current.root.expressions.programs.pop(int.from_bytes(token, "little"), None)
    return Status.OK


FUNCTIONS: dict[str, ForeignFunction] = {
    "expr_create": create,
    "expr_evaluate": evaluate,
    "expr_delete": delete,
}
