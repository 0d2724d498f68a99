"""Mixer's expressions, evaluated as Mixer does: what the translation is compared with."""

import ipaddress
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from mixer.attributes import Duration, Timestamp, ValueType
from mixer.convert.cexl.nodes import Call, Constant, Node, Variable

_PREFIX = bytes(10) + b"\xff\xff"


class FailedError(Exception):
    """An expression has no value."""


class _AbsentError(Exception):
    """An operand of `|` is not there."""


def evaluate(node: Node, attributes: Mapping[str, Any]) -> Any:
    """The value.

    Raises:
        FailedError: There is none.
    """
    if isinstance(node, Constant):
        return Duration(node.value) if node.type is ValueType.DURATION else node.value
    if isinstance(node, Variable):
        if node.name not in attributes:
            raise FailedError
        return attributes[node.name]
    return _Evaluation(attributes).call(node)


class _Evaluation:
    def __init__(self, attributes: Mapping[str, Any]) -> None:
        self._attributes = attributes

    def _of(self, node: Node) -> Any:
        return evaluate(node, self._attributes)

    def call(self, call: Call) -> Any:
        match call.name:
            case "&&":
                return self._of(call.arguments[0]) and self._of(call.arguments[1])
            case "||":
                return self._of(call.arguments[0]) or self._of(call.arguments[1])
            case "|":
                return self._default(call)
            case "conditional":
                condition, then, otherwise = call.arguments
                return self._of(then if self._of(condition) else otherwise)
        target = () if call.target is None else (self._of(call.target),)
        return _FUNCTIONS[call.name](*target, *map(self._of, call.arguments))

    def _default(self, call: Call) -> Any:
        first, second = call.arguments
        try:
            return self._present(first)
        except _AbsentError:
            pass
        if not (isinstance(second, Call) and second.name == "|"):
            return self._of(second)
        try:
            return self._present(second)
        except _AbsentError:
            raise FailedError from None

    def _present(self, node: Node) -> Any:
        """The value of what may be absent; only attributes, keys and `|` of them may."""
        if isinstance(node, Variable) and node.name not in self._attributes:
            raise _AbsentError
        if isinstance(node, Call) and node.name == "|":
            try:
                return self._present(node.arguments[0])
            except _AbsentError:
                return self._present(node.arguments[1])
        if isinstance(node, Call) and node.name == "[]":
            entries, key = map(self._present, node.arguments)
            if key not in entries:
                raise _AbsentError
            return entries[key]
        return self._of(node)


def canonical(value: Any) -> Any:
    """One form for the two of an IPv4 address."""
    if isinstance(value, bytes) and len(value) == 4:
        return _PREFIX + value
    return value


def _match(text: str, pattern: str) -> bool:
    if pattern.endswith("*"):
        return text.startswith(pattern[:-1])
    if pattern.startswith("*"):
        return text.endswith(pattern[1:])
    return text == pattern


def _timestamp(text: str) -> Timestamp:
    moment = datetime.fromisoformat(text)
    return Timestamp(int(moment.timestamp()) * 1_000_000_000)


_FUNCTIONS = {
    "==": lambda a, b: canonical(a) == canonical(b),
    "!=": lambda a, b: canonical(a) != canonical(b),
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "!": lambda a: not a,
    "+": lambda a, b: a + b,
    "[]": lambda entries, key: entries.get(key, ""),
    "size": lambda text: len(text.encode()),
    "ip": lambda text: ipaddress.ip_address(text).packed,
    "timestamp": _timestamp,
    "match": _match,
    "toLower": str.lower,
    "conditionalString": lambda condition, a, b: a if condition else b,
    "matches": lambda pattern, text: re.search(pattern, text) is not None,
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "emptyStringMap": dict,
}
