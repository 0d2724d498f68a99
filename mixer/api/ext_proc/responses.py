"""ProcessingResponses as bytes.

Most responses are equal to one before, and small: their bytes are remembered. What Envoy makes of
the fields differs in places from what they promise:

- only ``raw_value`` of a header counts;
- ``append_action`` is looked at where it is not 0, so that a further value of a name needs the
  deprecated ``append``; removals are made before everything is set;
- the route is selected anew only where there is a header mutation, be it empty.
"""

from functools import lru_cache
from typing import Any, NamedTuple

from envoy.config.core.v3 import base_pb2
from envoy.service.ext_proc.v3 import external_processor_pb2

from mixer.api.ext_proc.errors import InexpressibleError
from mixer.api.ext_proc.lifecycle import Phase
from mixer.api.safe_headers import is_safe
from mixer.attributes import HeaderChange, Pair
from mixer.engine import Decision, Response, Verdict

METADATA_NAMESPACE = "envoy.filters.http.ext_proc"
"""Where the dynamic metadata of an answer is, if the filter receives that."""

UNSAFE_HEADER = "an_adapter_set_a_header_with_forbidden_characters"

_OVERWRITE = base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
_MIN_STATUS, _MAX_STATUS = 200, 599
_UNUSABLE_STATUS = 500
_FAILED = 503
_REMEMBERED = 1024
_REMEMBERED_BYTES = 1024


class Reply(NamedTuple):
    """The answer to one message.

    Attributes:
        phase: What the message was about.
        changes: Of headers or trailers.
        clear_route_cache: Whether the proxy is to select the route anew.
        body: What takes the place of a body or a piece of it; None leaves that as it is.
    """

    phase: Phase
    changes: tuple[HeaderChange, ...] = ()
    clear_route_cache: bool = False
    body: bytes | None = None


def encode(reply: Reply) -> bytes:
    """The answer to one message.

    What is said beside it, such as `encode_told`, goes behind these bytes: the fields of a protobuf
    message may come from anywhere.

    Raises:
        InexpressibleError: It would change a header to what is none.
    """
    return _encode_again(reply) if _is_small(reply) else _encode(reply)


def _is_small(reply: Reply) -> bool:
    size = sum([len(c.name) + sum(map(len, c.values)) for c in reply.changes])
    return size + len(reply.body or b"") <= _REMEMBERED_BYTES


def _encode(reply: Reply) -> bytes:
    response = external_processor_pb2.ProcessingResponse()
    answer = getattr(response, reply.phase)
    answer.SetInParent()
    if reply.phase in (Phase.REQUEST_TRAILERS, Phase.RESPONSE_TRAILERS):
        _mutate(answer, reply.changes)
    else:
        _fill_common(answer.response, reply)
    return bytes(response.SerializeToString())


_encode_again = lru_cache(maxsize=_REMEMBERED)(_encode)


def _fill_common(common: Any, reply: Reply) -> None:
    _mutate(common, reply.changes)
    if reply.clear_route_cache:
        common.header_mutation.SetInParent()
        common.clear_route_cache = True
    if reply.body:
        common.body_mutation.body = reply.body
    elif reply.body is not None:
        common.body_mutation.clear_body = True


def _mutate(parent: Any, changes: tuple[HeaderChange, ...]) -> None:
    for change in changes:
        if not all(is_safe(change.name, value) for value in change.values or (b"",)):
            raise InexpressibleError(UNSAFE_HEADER)
        _set_all(parent.header_mutation, change)


def _set_all(mutation: Any, change: HeaderChange) -> None:
    name = change.name.decode()
    if not change.values:
        mutation.remove_headers.append(name)
    for number, value in enumerate(change.values):
        option = mutation.set_headers.add()
        option.header.key, option.header.raw_value = name, value
        if number:
            option.append.value = True
        else:
            option.append_action = _OVERWRITE


def encode_streamed(phase: Phase, body: bytes, *, end_of_stream: bool) -> bytes:
    """A piece of a body that goes on, in full duplex."""
    response = external_processor_pb2.ProcessingResponse()
    streamed = getattr(response, phase).response.body_mutation.streamed_response
    streamed.body, streamed.end_of_stream = body, end_of_stream
    return bytes(response.SerializeToString())


def encode_more_time(seconds: float) -> bytes:
    """Ask the proxy to wait longer for its answer than for others."""
    response = external_processor_pb2.ProcessingResponse()
    response.override_message_timeout.FromMilliseconds(round(seconds * 1000))
    return bytes(response.SerializeToString())


def encode_immediate(decision: Decision) -> bytes:
    """What the client gets instead of the upstream's response; once that went on, a reset."""
    return _immediate(decision) if _is_long(decision) else _immediate_again(decision)


def _is_long(decision: Decision) -> bool:
    answer = decision.response or Response(_UNUSABLE_STATUS)
    size = len(decision.reason) + len(answer.body)
    return size + sum(len(n) + len(v) for n, v in answer.headers) > _REMEMBERED_BYTES


def _immediate(decision: Decision) -> bytes:
    answer = decision.response or Response(_UNUSABLE_STATUS)
    response = external_processor_pb2.ProcessingResponse()
    immediate = response.immediate_response
    # Envoy takes every other status for 200.
    usable = _MIN_STATUS <= answer.status <= _MAX_STATUS
    immediate.status.code = answer.status if usable else _UNUSABLE_STATUS
    immediate.body, immediate.details = answer.body, decision.reason
    for name, values in _by_name(answer).items():
        _set_all(immediate.headers, HeaderChange(name, tuple(values)))
    if answer.grpc_status is not None:
        immediate.grpc_status.status = answer.grpc_status
    return bytes(response.SerializeToString()) + encode_told(decision)


_immediate_again = lru_cache(maxsize=_REMEMBERED)(_immediate)


def _by_name(answer: Response) -> dict[bytes, list[bytes]]:
    """The headers, without those that are none: Envoy drops them as well."""
    found: dict[bytes, list[bytes]] = {}
    for name, value in answer.headers:
        if is_safe(name, value) and not name.startswith(b":"):
            found.setdefault(name.lower(), []).append(value)
    return found


def refuse(reason: str, status: int = _FAILED, headers: tuple[Pair, ...] = ()) -> bytes:
    """The answer to a stream that no adapter is asked about: the client gets this."""
    answer = Response(status, headers)
    return encode_immediate(Decision(Verdict.ERROR, reason=reason, response=answer))


def encode_told(decision: Decision) -> bytes:
    """The filter's dynamic metadata, which says who decided and why."""
    one = decision
    return _told(one.verdict.value, one.adapter, one.reason, one.adapters, one.failed_open)


@lru_cache(maxsize=_REMEMBERED)
def _told(
    verdict: str, adapter: str, reason: str, adapters: tuple[str, ...], failed_open: tuple[str, ...]
) -> bytes:
    response = external_processor_pb2.ProcessingResponse()
    told = response.dynamic_metadata.fields[METADATA_NAMESPACE].struct_value
    told.update(
        {
            "verdict": verdict,
            "adapter": adapter,
            "reason": reason,
            "adapters": list(adapters),
            **({"failed_open": list(failed_open)} if failed_open else {}),
        }
    )
    return bytes(response.SerializeToString())
