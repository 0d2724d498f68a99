"""From a decision to the bytes of a CheckResponse.

What Envoy makes of such a response differs from what the fields promise. Of the headers for the
upstream it ignores ``append_action`` and ``raw_value``, and the last value of a name wins. So every
changed header goes out once, with its values joined, which means the same (RFC 9110, section 5.3);
and what cannot be said at all, a value that is not UTF-8 or a new body, is an error, not a guess.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from envoy.config.core.v3 import base_pb2
from envoy.service.auth.v3 import external_auth_pb2
from google.rpc import code_pb2

from mixer.api.ext_authz.errors import InexpressibleError
from mixer.api.ext_authz.response_operations import net_operations
from mixer.api.safe_headers import is_safe
from mixer.attributes import HeaderChange, Pair
from mixer.engine import Decision, Operation, Response, Verdict

_OVERWRITE = base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
_ACTIONS = {
    Operation.REPLACE: _OVERWRITE,
    Operation.APPEND: base_pb2.HeaderValueOption.APPEND_IF_EXISTS_OR_ADD,
}

_CODES = {
    400: code_pb2.INVALID_ARGUMENT,
    401: code_pb2.UNAUTHENTICATED,
    404: code_pb2.NOT_FOUND,
    429: code_pb2.RESOURCE_EXHAUSTED,
    500: code_pb2.INTERNAL,
    503: code_pb2.UNAVAILABLE,
    504: code_pb2.DEADLINE_EXCEEDED,
}

_MIN_STATUS, _MAX_STATUS = 200, 599
_UNUSABLE_STATUS = 500
_FAILED = 503
_REMEMBERED = 1024
_REMEMBERED_BYTES = 1024


def encode(decision: Decision) -> bytes:
    """Write a CheckResponse."""
    return _encode_again(decision) if _is_small(decision) else _encode(decision)


def as_sent(decision: Decision) -> Decision:
    """What `encode` sends: an ERROR in place of a decision that ext_authz cannot express."""
    try:
        _write(decision)
    except InexpressibleError as error:
        return _failed(decision, error)
    return decision


def _encode(decision: Decision) -> bytes:
    try:
        return _write(decision)
    except InexpressibleError as error:
        return _write(_failed(decision, error))


def _failed(decision: Decision, error: InexpressibleError) -> Decision:
    return Decision(
        Verdict.ERROR,
        adapters=decision.adapters,
        adapter=decision.adapter,
        reason=str(error),
        response=Response(_FAILED),
        failed_open=decision.failed_open,
    )


def _write(decision: Decision) -> bytes:
    return _allowed(decision) if decision.response is None else _denied(decision, decision.response)


_encode_again = lru_cache(maxsize=_REMEMBERED)(_encode)
"""Most decisions are equal to one before, and small: their bytes are worth remembering."""


def _is_small(decision: Decision) -> bool:
    if decision.body is not None:
        return False
    response = decision.response
    size = len(decision.reason) + (len(response.body) if response else 0)
    size += sum(len(name) + len(value) for name, value in (response.headers if response else ()))
    operations = decision.request_operations + decision.response_operations
    size += sum(len(one.name) + len(one.value) for one in operations)
    size += sum(len(c.name) + sum(map(len, c.values)) for c in decision.request_headers)
    return size <= _REMEMBERED_BYTES


def refuse(reason: str, *, status: int = 400, headers: tuple[Pair, ...] = ()) -> bytes:
    """The answer to a check that no adapter was asked about: deny.

    Args:
        reason: Why, for the log of whoever asked.
        status: HTTP status for the downstream.
        headers: Of the response for the downstream.
    """
    answer = Response(status, headers)
    return _denied(Decision(Verdict.ERROR, reason=reason, response=answer), answer)


def _allowed(decision: Decision) -> bytes:
    if decision.body is not None:
        raise InexpressibleError("request_body_change_is_not_possible_with_ext_authz")
    response = external_auth_pb2.CheckResponse()
    ok = response.ok_response
    ok.SetInParent()
    ok.headers.extend(_upstream_headers(decision.request_headers))
    ok.headers_to_remove.extend(_removed(decision.request_headers))
    ok.response_headers_to_add.extend(
        base_pb2.HeaderValueOption(
            header=_header(one.name, one.value), append_action=_ACTIONS[one.operation]
        )
        for one in net_operations(decision.response_operations)
    )
    _describe(response, decision)
    return bytes(response.SerializeToString())


def _denied(decision: Decision, answer: Response) -> bytes:
    status = answer.status if _MIN_STATUS <= answer.status <= _MAX_STATUS else _UNUSABLE_STATUS
    response = external_auth_pb2.CheckResponse()
    # Never 0: Envoy takes that for "allowed", whatever else the response says.
    response.status.code = _CODES.get(status, code_pb2.PERMISSION_DENIED)
    response.status.message = decision.reason
    denied = response.denied_response
    denied.status.code = status
    denied.body = answer.body.decode("utf-8", "replace")
    denied.headers.extend(_downstream_headers(answer.headers))
    _describe(response, decision)
    return bytes(response.SerializeToString())


def _upstream_headers(changes: Iterable[HeaderChange]) -> Iterator[Any]:
    for change in changes:
        if change.values:
            separator = b"; " if change.name == b"cookie" else b","
            header = _header(change.name, separator.join(change.values))
            yield base_pb2.HeaderValueOption(header=header, append_action=_OVERWRITE)


def _removed(changes: Iterable[HeaderChange]) -> Iterator[str]:
    for change in changes:
        if not change.values:
            if change.name.startswith(b":"):
                raise InexpressibleError("removing_a_pseudo_header_is_not_possible_with_ext_authz")
            yield str(_header(change.name, b"").key)


def _downstream_headers(pairs: Iterable[Pair]) -> Iterator[Any]:
    """Without an action: Envoy then keeps every value of a name, in order."""
    return (base_pb2.HeaderValueOption(header=_header(*pair)) for pair in pairs)


def _header(name: bytes, value: bytes) -> Any:
    """A header that is safe to hand over: Envoy writes a denied response's as they are."""
    if not is_safe(name, value):
        raise InexpressibleError("an_adapter_set_a_header_with_forbidden_characters")
    try:
        return base_pb2.HeaderValue(key=name.decode(), value=value.decode())
    except UnicodeDecodeError:
        raise InexpressibleError(
            "a_header_that_is_not_UTF-8_is_not_possible_with_ext_authz"
        ) from None


def _describe(response: Any, decision: Decision) -> None:
    """Say in the filter's dynamic metadata who decided and why."""
    response.dynamic_metadata.update(
        {
            "verdict": decision.verdict.value,
            "adapter": decision.adapter,
            "reason": decision.reason,
            "adapters": list(decision.adapters),
            **({"failed_open": list(decision.failed_open)} if decision.failed_open else {}),
        }
    )
