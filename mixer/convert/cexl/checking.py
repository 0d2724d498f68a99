"""The types of an expression, by the rules of Mixer's language.

Each attribute has the type that it is declared with, and nothing is converted by itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Final

from mixer.attributes import ValueType
from mixer.convert.cexl.errors import CexlError, at
from mixer.convert.cexl.nodes import Call, Constant, Node, Variable

STRING, BOOL, INT64, DOUBLE = (
    ValueType.STRING, ValueType.BOOL, ValueType.INT64, ValueType.DOUBLE,
)  # fmt: skip
_ALIKE: Final = None
"""In a signature: any type, the same wherever it stands."""


@dataclass(frozen=True, slots=True)
class _Signature:
    parameters: tuple[ValueType | None, ...]
    result: ValueType | None
    target: ValueType | None = None
    only: frozenset[ValueType] = frozenset(ValueType)


_NUMBERS_AND_TEXT = frozenset({STRING, INT64, DOUBLE})
_ORDERED = _NUMBERS_AND_TEXT | {ValueType.TIMESTAMP, ValueType.DURATION}
_EQUAL = _Signature(
    (_ALIKE, _ALIKE), BOOL, only=frozenset(ValueType) - {ValueType.STRING_MAP}
)  # fmt: skip
_ORDER = _Signature((_ALIKE, _ALIKE), BOOL, only=_ORDERED)
_LOGIC = _Signature((BOOL, BOOL), BOOL)
_METHOD = _Signature((STRING,), BOOL, target=STRING)

_SIGNATURES = {
    "==": _EQUAL,
    "!=": _EQUAL,
    **dict.fromkeys(("<", "<=", ">", ">="), _ORDER),
    "||": _LOGIC,
    "&&": _LOGIC,
    "!": _Signature((BOOL,), BOOL),
    "|": _Signature((_ALIKE, _ALIKE), _ALIKE),
    "+": _Signature((_ALIKE, _ALIKE), _ALIKE, only=_NUMBERS_AND_TEXT),
    "[]": _Signature((ValueType.STRING_MAP, STRING), STRING),
    "conditional": _Signature((BOOL, _ALIKE, _ALIKE), _ALIKE),
    "conditionalString": _Signature((BOOL, STRING, STRING), STRING),
    "size": _Signature((STRING,), INT64),
    "ip": _Signature((STRING,), ValueType.IP_ADDRESS),
    "timestamp": _Signature((STRING,), ValueType.TIMESTAMP),
    "dnsName": _Signature((STRING,), ValueType.DNS_NAME),
    "email": _Signature((STRING,), ValueType.EMAIL_ADDRESS),
    "uri": _Signature((STRING,), ValueType.URI),
    "match": _Signature((STRING, STRING), BOOL),
    "toLower": _Signature((STRING,), STRING),
    "emptyStringMap": _Signature((), ValueType.STRING_MAP),
    "matches": _METHOD,
    "startsWith": _METHOD,
    "endsWith": _METHOD,
}


def check(node: Node, vocabulary: Mapping[str, ValueType]) -> Node:
    """The expression with its types.

    Args:
        node: As it was parsed.
        vocabulary: The attributes that there are.

    Raises:
        CexlError: Types do not fit, or something is unknown.
    """
    if isinstance(node, Constant):
        return node
    if isinstance(node, Variable):
        return _variable(node, vocabulary)
    target = None if node.target is None else check(node.target, vocabulary)
    arguments = tuple(check(argument, vocabulary) for argument in node.arguments)
    call = replace(node, target=target, arguments=arguments)
    return replace(call, type=_result(call))


def _variable(node: Variable, vocabulary: Mapping[str, ValueType]) -> Variable:
    found = vocabulary.get(node.name)
    if found is None:
        near = get_close_matches(node.name, vocabulary, n=1, cutoff=0.8)
        hint = f"; did you mean {near[0]!r}?" if near else ", in no attributemanifest either"
        raise at(node.position, f"unknown attribute {node.name[:120]!r}{hint}")
    return replace(node, type=found)


def _result(call: Call) -> ValueType:
    signature = _SIGNATURES.get(call.name)
    if signature is None:
        raise at(call.position, f"unknown function {call.name[:40]!r}")
    if (call.target is None) != (signature.target is None):
        wanted = "is called on a string" if signature.target else "is no method"
        raise at(call.position, f"{call.name}() {wanted}")
    if len(call.arguments) != len(signature.parameters):
        raise at(call.position, f"{call.name}() takes {len(signature.parameters)} arguments, "
                                f"not {len(call.arguments)}")  # fmt: skip
    alike = _check_operands(call, signature)
    if alike is not None and alike not in signature.only:
        raise at(call.position, f"{call.name!r} is not defined for {alike}")
    result = signature.result or alike
    if result is None:
        raise CexlError(f"{call.name!r} has no type")
    return result


def _check_operands(call: Call, signature: _Signature) -> ValueType | None:
    """The type that stands for all operands that are to be alike."""
    alike: ValueType | None = None
    wanted = (*((signature.target,) if call.target else ()), *signature.parameters)
    operands = (*((call.target,) if call.target else ()), *call.arguments)
    for operand, type_ in zip(operands, wanted, strict=True):
        expected = type_ or alike
        if expected is not None and operand.type is not expected:
            raise at(operand.position, f"{call.name!r} wants {expected} here, "
                                       f"not {operand.type}")  # fmt: skip
        alike = alike or (operand.type if type_ is None else None)
    return alike
