"""What a caller is to do to a request and its response.

Istio's proxies make the operations in order: REPLACE removes a header before it is added, APPEND
adds one more. A ``direct_response_code`` has them answer with the body and the operations on the
response's headers, whatever the status is.
"""

from collections.abc import Iterable, Iterator

from mixer.api.mixer_v1.errors import InexpressibleError
from mixer.api.safe_headers import is_safe
from mixer.attributes import HeaderChange, HeaderMap, Pair
from mixer.engine import Decision, HeaderOperation, Operation, Response
from mixer.wire import mixer_v1_pb2 as pb

_Operations = Iterator[pb.HeaderOperation]
_Values = tuple[bytes, ...]
_REPLACE, _REMOVE, _APPEND = (
    pb.HeaderOperation.REPLACE, pb.HeaderOperation.REMOVE, pb.HeaderOperation.APPEND
)  # fmt: skip
_SAID = {Operation.REPLACE: _REPLACE, Operation.REMOVE: _REMOVE, Operation.APPEND: _APPEND}
_MIN_STATUS, _MAX_STATUS = 200, 599
_UNUSABLE_STATUS = 500


def write_directive(directive: pb.RouteDirective, decision: Decision, headers: HeaderMap) -> None:
    """Write what follows from a decision; nothing where nothing is to be done.

    Args:
        directive: Where to.
        decision: What was decided.
        headers: Of the request; they are as the caller told them afterwards.

    Raises:
        InexpressibleError: It holds what a proxy cannot be told.
    """
    if decision.response is not None:
        _answer(directive, decision.response)
        return
    if decision.body is not None:
        raise InexpressibleError("request_body_change_is_not_possible_with_mixer_v1")
    headers.reset()
    directive.request_header_operations.extend(_of_request(decision, headers))
    directive.response_header_operations.extend(map(_as_said, decision.response_operations))


def _of_request(decision: Decision, headers: HeaderMap) -> _Operations:
    """What rules said, as they said it; all else, and what adapters had a part in, as it is now.

    An operation as it was said does not follow from the values that the header had.
    """
    changed = {change.name: change.values for change in decision.request_headers}
    said: dict[bytes, list[HeaderOperation]] = {}
    for one in decision.request_operations:
        said.setdefault(one.name, []).append(one)
    for name, operations in said.items():
        told = headers.all(name)
        if _applied(told, operations) == changed.get(name, told):
            changed.pop(name, None)
            yield from map(_as_said, operations)
    for name, values in changed.items():
        yield from _change(HeaderChange(name, values))


def _applied(values: _Values, operations: Iterable[HeaderOperation]) -> _Values:
    """What a header is after operations."""
    for one in operations:
        kept = values if one.operation is Operation.APPEND else ()
        values = kept if one.operation is Operation.REMOVE else (*kept, one.value)
    return values


def _answer(directive: pb.RouteDirective, response: Response) -> None:
    usable = _MIN_STATUS <= response.status <= _MAX_STATUS
    directive.direct_response_code = response.status if usable else _UNUSABLE_STATUS
    directive.direct_response_body = response.body.decode("utf-8", "replace")
    directive.response_header_operations.extend(_headers(response.headers))


def _headers(pairs: Iterable[Pair]) -> _Operations:
    """Every value of a name, in order; the first one takes the place of what a proxy puts there."""
    seen = set()
    for name, value in pairs:
        yield _operation(name, value, _APPEND if name in seen else _REPLACE)
        seen.add(name)


def _as_said(one: HeaderOperation) -> pb.HeaderOperation:
    return _operation(one.name, one.value, _SAID[one.operation])


def _change(change: HeaderChange) -> _Operations:
    if not change.values:
        yield _operation(change.name, b"", _REMOVE)
    for number, value in enumerate(change.values):
        yield _operation(change.name, value, _APPEND if number else _REPLACE)


def _operation(
    name: bytes, value: bytes, operation: pb.HeaderOperation.Operation
) -> pb.HeaderOperation:
    if operation == _REMOVE and name.startswith(b":"):
        raise InexpressibleError("removing_a_pseudo_header_is_not_possible_with_mixer_v1")
    if not is_safe(name, value):
        raise InexpressibleError("an_adapter_set_a_header_with_forbidden_characters")
    try:
        return pb.HeaderOperation(name=name.decode(), value=value.decode(), operation=operation)
    except UnicodeDecodeError:
        raise InexpressibleError(
            "a_header_that_is_not_UTF-8_is_not_possible_with_mixer_v1"
        ) from None
