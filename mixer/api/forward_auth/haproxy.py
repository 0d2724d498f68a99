"""HAProxy, whose Lua action does all that it is told: ``deploy/haproxy/mixer.lua``.

A request passes only where the answer says so in a header that no other server has, and what is to
be done to the headers is a list of operations, one in each header line.
"""

from collections.abc import Iterator

from mixer.api.forward_auth.changes import changes
from mixer.api.forward_auth.denial import VERDICT, denied
from mixer.api.forward_auth.errors import InexpressibleError
from mixer.api.forward_auth.forward import CARRIERS
from mixer.api.forward_auth.safety import FRAMING, checked
from mixer.api.http import HttpAnswer, HttpCall
from mixer.attributes import Pair
from mixer.engine import Decision, HeaderOperation, Operation, Request

PATH = "/haproxy"

_REQUEST = b"x-mixer-request-operation"
_RESPONSE = b"x-mixer-response-operation"

__all__ = ["CARRIERS", "PATH", "encode"]


def encode(_call: HttpCall, _request: Request, decision: Decision) -> HttpAnswer:
    """The answer to HAProxy.

    Raises:
        InexpressibleError: The decision cannot be said to it.
    """
    verdict = (VERDICT, decision.verdict.encode())
    if decision.response is not None:
        return denied(decision.response, verdict)
    return HttpAnswer(200, (verdict, *_on_request(decision), *_on_response(decision)))


def _on_request(decision: Decision) -> Iterator[Pair]:
    for name, value in changes(decision):
        kind = Operation.REMOVE if value is None else Operation.REPLACE
        yield _operation(_REQUEST, HeaderOperation(name, value or b"", kind))


def _on_response(decision: Decision) -> Iterator[Pair]:
    for one in decision.response_operations:
        if one.name in FRAMING:
            shown = one.name.decode()
            raise InexpressibleError(f"changing_{shown}_is_not_possible_with_forward_auth")
        yield _operation(_RESPONSE, one)


def _operation(header: bytes, one: HeaderOperation) -> Pair:
    name, value = checked(one.name, one.value)
    return header, b" ".join((one.operation.encode(), name, value)).rstrip()
