"""One rule, compiled."""

import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from mixer.cel import Activation, BudgetError, EvaluationError, Program
from mixer.engine.decision import HeaderOperation, Operation
from mixer.engine.selection.ordered import where_true
from mixer.engine.token_bucket import TokenBucket

_log = logging.getLogger(__name__)

MAX_VALUE_BYTES = 65_536
"""Of a value that an expression gives."""

_FORBIDDEN = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
"""What no value of a header may hold (RFC 9110, section 5.5): a line break would make two of it."""

_LOGS_PER_SECOND = 0.2
_LOG_BURST = 5


@dataclass(frozen=True, slots=True)
class Template:
    """An operation whose value is computed for each request.

    Attributes:
        name: Lower-case header name.
        value: Gives text; None with REMOVE.
        operation: What to do with it.
    """

    name: bytes
    value: Program | None
    operation: Operation


class Rule:
    """What to do with the headers of the requests that it is for.

    What cannot be evaluated, most often since it names an absent attribute, is not applied: a rule
    whose match has no value, an operation whose value has none. Neither is an operation with an
    empty value, so that an expression can say "nothing". All this is as a Mixer does it.

    Args:
        name: For logs.
        match: Gives whether it is for a request; None for all requests.
        request: Operations on the request's headers.
        response: Operations on the response's headers.

    Attributes:
        condition: Whether it is for a request.
    """

    __slots__ = ("_logs", "_request", "_response", "condition", "name")

    def __init__(
        self,
        name: str,
        match: Program | None,
        request: Iterable[Template],
        response: Iterable[Template],
    ) -> None:
        self.name = name
        self.condition = where_true(match)
        self._request = tuple(request)
        self._response = tuple(response)
        self._logs = TokenBucket(_LOGS_PER_SECOND, _LOG_BURST)

    def __str__(self) -> str:
        sides = {"request": self._request, "response": self._response}
        said = [f"{side} {_listed(templates)}" for side, templates in sides.items() if templates]
        return f"{self.name}: {'; '.join(said)}"

    def request_operations(self, activation: Activation) -> Iterator[HeaderOperation]:
        """What it says of a request's headers."""
        return self._operations(self._request, activation)

    def response_operations(self, activation: Activation) -> Iterator[HeaderOperation]:
        """What it says of the headers of the response to a request."""
        return self._operations(self._response, activation)

    def _operations(
        self, templates: Iterable[Template], activation: Activation
    ) -> Iterator[HeaderOperation]:
        for template in templates:
            if template.value is None:
                yield HeaderOperation(template.name, b"", template.operation)
            elif value := self._bytes(template, activation):
                yield HeaderOperation(template.name, value, template.operation)

    def _bytes(self, template: Template, activation: Activation) -> bytes | None:
        """The value as it is sent; None where there is none, or where it cannot be sent."""
        assert template.value is not None
        value = _value(template.value, activation)
        if value is None:
            return None
        encoded = value.encode(errors="surrogateescape") if isinstance(value, str) else None
        unfit = _unfit(encoded)
        if unfit and self._logs.take():
            name = template.name.decode()
            _log.warning("rule %s: a value of %s %s; left out", self.name, name, unfit)
        return None if unfit else encoded


def _listed(templates: Iterable[Template]) -> str:
    named = dict.fromkeys(f"{one.operation} {one.name.decode()}" for one in templates)
    return ", ".join(named)


def _unfit(value: bytes | None) -> str:
    """Why this is no value of a header; empty where it is one."""
    if value is None:
        return "is no text"
    if len(value) > MAX_VALUE_BYTES:
        return f"has more than {MAX_VALUE_BYTES} bytes"
    return "has a character that no header may have" if _FORBIDDEN.search(value) else ""


def _value(program: Program, activation: Activation) -> Any:
    """None where there is no value, as with null."""
    try:
        return program.evaluate(activation)
    except (EvaluationError, BudgetError):
        return None
