"""From a decision to the bytes of a CheckResponse."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from envoy.config.core.v3 import base_pb2
from envoy.service.auth.v3 import external_auth_pb2
from google.rpc import code_pb2

from mixer.attributes import HeaderChange, Pair
from mixer.engine import Decision, Response, Verdict

_APPEND = base_pb2.HeaderValueOption.APPEND_IF_EXISTS_OR_ADD
_OVERWRITE = base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD

_CODES = {
    400: code_pb2.INVALID_ARGUMENT,
    401: code_pb2.UNAUTHENTICATED,
    404: code_pb2.NOT_FOUND,
    429: code_pb2.RESOURCE_EXHAUSTED,
    500: code_pb2.INTERNAL,
    503: code_pb2.UNAVAILABLE,
    504: code_pb2.DEADLINE_EXCEEDED,
}
_NO_HTTP = "the request has no HTTP attributes: network filters are not supported"
_BODY = "request_body_change_is_not_possible_through_ext_authz"
_MIN_STATUS, _MAX_STATUS = 200, 599
_UNUSABLE_STATUS = 500
_FAILED = 503
_REMEMBERED = 1024


@lru_cache(maxsize=_REMEMBERED)
def encode(decision: Decision) -> bytes:
    """Write a CheckResponse; equal decisions are equal bytes, and most decisions are equal."""
    if decision.verdict is Verdict.ALLOW and decision.body is not None:
        return _denied(decision, Verdict.ERROR, _BODY, Response(_FAILED))
    if decision.response is not None:
        return _denied(decision, decision.verdict, decision.reason, decision.response)
    return _allowed(decision)


def no_http() -> bytes:
    """The answer to a check of something that is no HTTP request: deny."""
    response = external_auth_pb2.CheckResponse()
    response.status.code = code_pb2.UNIMPLEMENTED
    response.status.message = _NO_HTTP
    response.denied_response.status.code = 400
    return bytes(response.SerializeToString())


def _allowed(decision: Decision) -> bytes:
    response = external_auth_pb2.CheckResponse()
    ok = response.ok_response
    ok.SetInParent()
    ok.headers.extend(_upstream_headers(decision.request_headers))
    ok.headers_to_remove.extend(
        change.name.decode() for change in decision.request_headers if not change.values
    )
    ok.response_headers_to_add.extend(_added(decision.response_headers))
    _describe(response, decision, decision.verdict, decision.reason)
    return bytes(response.SerializeToString())


def _denied(decision: Decision, verdict: Verdict, reason: str, answer: Response) -> bytes:
    status = answer.status if _MIN_STATUS <= answer.status <= _MAX_STATUS else _UNUSABLE_STATUS
    response = external_auth_pb2.CheckResponse()
    response.status.code = _CODES.get(status, code_pb2.PERMISSION_DENIED)
    response.status.message = reason
    denied = response.denied_response
    denied.status.code = status
    denied.body = answer.body.decode("utf-8", "replace")
    denied.headers.extend(_added(answer.headers))
    _describe(response, decision, verdict, reason)
    return bytes(response.SerializeToString())


def _upstream_headers(changes: Iterable[HeaderChange]) -> Iterator[Any]:
    for change in changes:
        kept = len(change.values) - change.appended
        if change.appended:
            yield from (_option(change.name, v, _APPEND) for v in change.values[kept:])
        elif change.values:
            yield _option(change.name, change.values[0], _OVERWRITE)
            yield from (_option(change.name, v, _APPEND) for v in change.values[1:])


def _added(pairs: Iterable[Pair]) -> Iterator[Any]:
    """The first value of a name replaces what the proxy would send; further ones are added."""
    seen = set()
    for name, value in pairs:
        yield _option(name, value, _APPEND if name.lower() in seen else _OVERWRITE)
        seen.add(name.lower())


def _option(name: bytes, value: bytes, action: Any) -> Any:
    header = base_pb2.HeaderValue(key=name.decode("utf-8", "replace"))
    header.value = value.decode("utf-8", "replace")
    return base_pb2.HeaderValueOption(header=header, append_action=action)


def _describe(response: Any, decision: Decision, verdict: Verdict, reason: str) -> None:
    """Say in the filter's dynamic metadata who decided and why."""
    response.dynamic_metadata.update(
        {
            "verdict": verdict.value,
            "adapter": decision.adapter,
            "reason": reason,
            "adapters": list(decision.adapters),
            **({"failed_open": list(decision.failed_open)} if decision.failed_open else {}),
        }
    )
