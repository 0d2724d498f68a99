"""An expression that can be evaluated."""

from collections.abc import Callable
from typing import Any

from mixer.attributes import Message, Uint
from mixer.cel.activation import ABSENT, Activation
from mixer.cel.comprehension import Comprehension
from mixer.cel.errors import EvaluationError, FunctionError
from mixer.cel.frame import Frame, Node
from mixer.cel.functions import FUNCTIONS
from mixer.cel.necessary import Ways, ways_of
from mixer.cel.parsing import parse
from mixer.cel.values import TYPES, CelMap, fields, weigh

MAX_COST = 50_000
"""What one evaluation may take: operations, iterations, and each 16 bytes of text.

It is a bound of some 50 ms.
"""


class Program:
    """An expression, made ready to be evaluated again and again.

    Args:
        text: UTF-8.

    Raises:
        ExpressionError: It is no expression.
        FunctionError: It calls what is not there.
        BoundError: It is too long or nested too deeply.

    Attributes:
        size: Bytes of its text.
    """

    __slots__ = ("_root", "_text", "size")

    def __init__(self, text: bytes) -> None:
        self.size = len(text)
        self._text = text
        self._root = _build(parse(text))

    def ways(self) -> Ways:
        """In which ways it may be true: at least one of them holds wherever it is."""
        return ways_of(parse(self._text))

    def evaluate(self, activation: Activation, max_cost: int = MAX_COST) -> Any:
        """The value.

        Raises:
            EvaluationError: There is none.
            BudgetError: It took more than ``max_cost``.
        """
        frame = Frame(activation, max_cost)
        value = self._root(frame)
        weigh(frame.charge, value)
        return value


def _build(expression: Any) -> Node:
    kind = expression.WhichOneof("expr_kind")
    return _BUILDERS[kind](getattr(expression, kind))


def _constant(constant: Any) -> Node:
    kind = constant.WhichOneof("constant_kind")
    value = getattr(constant, kind)
    if kind == "null_value":
        value = None
    elif kind == "uint64_value":
        value = Uint(value)
    return lambda _frame: value


def _ident(ident: Any) -> Node:
    name = ident.name.removeprefix(".")
    known = TYPES.get(name, ABSENT)

    def read(frame: Frame) -> Any:
        frame.charge(1)
        value = frame.find(name)
        if value is ABSENT:
            value = known
        if value is ABSENT:
            raise EvaluationError(f"no value with the name {name}")
        return value

    return read


def _select(select: Any) -> Node:
    operand, field = _build(select.operand), select.field
    return _has(operand, field) if select.test_only else _field(operand, field)


def _field(operand: Node, field: str) -> Node:
    def read(frame: Frame) -> Any:
        frame.charge(1)
        entries = fields(operand(frame))
        if entries is None:
            raise EvaluationError(f"nothing can be selected here: {field}")
        try:
            return entries[field]
        except KeyError as error:
            raise EvaluationError(f"no such key: {field}") from error

    return read


def _has(operand: Node, field: str) -> Node:
    def test(frame: Frame) -> bool:
        frame.charge(1)
        value = operand(frame)
        entries = fields(value)
        if entries is None:
            raise EvaluationError(f"nothing can be selected here: {field}")
        if not isinstance(value, Message):
            return field in entries
        if field not in entries:
            raise EvaluationError(f"no such field: {field}")
        return bool(entries[field])  # one that has its default value is not there

    return test


def _call(call: Any) -> Node:
    special = _SPECIAL.get(call.function)
    if special is not None:
        return special(*map(_build, call.args))
    method = call.HasField("target")
    operands = [*([call.target] if method else ()), *call.args]
    function = FUNCTIONS.get((call.function, method, len(operands)))
    if function is None:
        raise FunctionError(f"there is no function {call.function} of {len(operands)} arguments")
    return _apply(function, [_build(operand) for operand in operands])


def _apply(function: Callable[..., Any], nodes: list[Node]) -> Node:
    if len(nodes) == 2:
        left, right = nodes

        def apply_two(frame: Frame) -> Any:
            frame.charge(1)
            return function(frame.charge, left(frame), right(frame))

        return apply_two

    def apply(frame: Frame) -> Any:
        frame.charge(1)
        return function(frame.charge, *[node(frame) for node in nodes])

    return apply


def _logic(*, decisive: bool) -> Callable[[Node, Node], Node]:
    """``||`` (decided by true) and ``&&`` (by false): an error yields to a decision."""

    def build(left: Node, right: Node) -> Node:
        def decide(frame: Frame) -> bool:
            frame.charge(1)
            failure: EvaluationError | None = None
            for node in (left, right):
                try:
                    value = node(frame)
                except EvaluationError as error:
                    failure = failure or error
                    continue
                if value is decisive:
                    return bool(value)
                if value is not True and value is not False:
                    failure = failure or EvaluationError("no such overload: not a bool")
            if failure is not None:
                raise failure
            return not decisive

        return decide

    return build


def _conditional(condition: Node, then: Node, otherwise: Node) -> Node:
    def choose(frame: Frame) -> Any:
        frame.charge(1)
        value = condition(frame)
        if value is True:
            return then(frame)
        if value is False:
            return otherwise(frame)
        raise EvaluationError("no such overload: not a bool")

    return choose


def _not_strictly_false(operand: Node) -> Node:
    """What a loop goes on with: an error is no reason to stop it."""

    def test(frame: Frame) -> bool:
        try:
            return operand(frame) is not False
        except EvaluationError:
            return True

    return test


_SPECIAL: dict[str, Callable[..., Node]] = {
    "_||_": _logic(decisive=True),
    "_&&_": _logic(decisive=False),
    "_?_:_": _conditional,
    "@not_strictly_false": _not_strictly_false,
}


def _list(listed: Any) -> Node:
    elements = [_build(element) for element in listed.elements]

    def make(frame: Frame) -> list[Any]:
        frame.charge(1 + len(elements))
        return [element(frame) for element in elements]

    return make


def _struct(struct: Any) -> Node:
    if struct.message_name:
        raise FunctionError(f"messages cannot be made here: {struct.message_name}")
    entries = [(_build(entry.map_key), _build(entry.value)) for entry in struct.entries]

    def make(frame: Frame) -> CelMap:
        frame.charge(1 + len(entries))
        return CelMap((key(frame), value(frame)) for key, value in entries)

    return make


def _comprehension(loop: Any) -> Node:
    return Comprehension(
        (loop.iter_var, loop.accu_var),
        _build(loop.iter_range),
        _build(loop.accu_init),
        _build(loop.loop_condition),
        _build(loop.loop_step),
        _build(loop.result),
    )


_BUILDERS: dict[str, Callable[[Any], Node]] = {
    "const_expr": _constant,
    "ident_expr": _ident,
    "select_expr": _select,
    "call_expr": _call,
    "list_expr": _list,
    "struct_expr": _struct,
    "comprehension_expr": _comprehension,
}
