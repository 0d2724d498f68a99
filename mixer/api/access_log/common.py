"""What every entry tells of its connection, as attributes: ``AccessLogCommon``."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from google.protobuf import wrappers_pb2

from mixer.api.access_log.source import EntrySource
from mixer.api.envoy_address import address_of, port_of
from mixer.api.response_flags import bits_of
from mixer.attributes import Duration, Resolver, Timestamp, Uint, Value, message_value
from mixer.wire.twins import text_of

_NS = 1_000_000_000
_WRAPPED = frozenset(f"type.googleapis.com/google.protobuf.{n}Value" for n in ("Bytes", "String"))
_FIRST_SENT, _LAST_RECEIVED = "time_to_first_upstream_tx_byte", "time_to_last_upstream_rx_byte"

Read = Callable[[EntrySource], Value | None]


def _nanoseconds(message: Any) -> int:
    return int(message.seconds) * _NS + int(message.nanos)


def _address(field: str) -> Read:
    return lambda source: address_of(getattr(source.common, field))


def _port(field: str) -> Read:
    return lambda source: port_of(getattr(source.common, field))


def _text(field: str) -> Read:
    return lambda source: text_of(getattr(source.common, field)) or None


def _failure_reason(source: EntrySource) -> Value | None:
    """Empty, and not absent, where there was an upstream and no failure: as in Envoy."""
    common = source.common
    reason = text_of(common.upstream_transport_failure_reason)
    return reason if reason or common.HasField("upstream_remote_address") else None


def _time(source: EntrySource) -> Value | None:
    common = source.common
    return Timestamp(_nanoseconds(common.start_time)) if common.HasField("start_time") else None


def _duration(source: EntrySource) -> Value | None:
    common = source.common
    return Duration(_nanoseconds(common.duration)) if common.HasField("duration") else None


def _backend_latency(source: EntrySource) -> Value | None:
    common = source.common
    if not common.HasField(_FIRST_SENT) or not common.HasField(_LAST_RECEIVED):
        return None
    first, last = getattr(common, _FIRST_SENT), getattr(common, _LAST_RECEIVED)
    return Duration(_nanoseconds(last) - _nanoseconds(first))


def _flags(source: EntrySource) -> int:
    common = source.common
    return bits_of(common.response_flags) if common.HasField("response_flags") else 0


def _filter_state(source: EntrySource) -> Mapping[str, bytes]:
    objects = source.common.filter_state_objects
    return {text_of(name): _content(objects[name]) for name in objects}


def _content(packed: Any) -> bytes:
    """What an object has; texts and bytes come in a message around them."""
    if packed.type_url not in _WRAPPED:
        return bytes(packed.value)
    return wrappers_pb2.BytesValue.FromString(packed.value).value


def _node(source: EntrySource) -> Value | None:
    node = source.teller.node
    return None if node is None else message_value(node)


COMMON_RESOLVERS = MappingProxyType[str, Resolver](
    {
        "request.time": _time,
        "request.duration": _duration,
        "response.flags": _flags,
        "response.backend_latency": _backend_latency,
        "source.address": _address("downstream_remote_address"),
        "source.port": _port("downstream_remote_address"),
        "destination.address": _address("downstream_local_address"),
        "destination.port": _port("downstream_local_address"),
        "connection.termination_details": _text("connection_termination_details"),
        "connection.transport_failure_reason": _text("downstream_transport_failure_reason"),
        "upstream.address": _address("upstream_remote_address"),
        "upstream.port": _port("upstream_remote_address"),
        "upstream.local_address": _address("upstream_local_address"),
        "upstream.transport_failure_reason": _failure_reason,
        "upstream.request_attempt_count": (
            lambda source: Uint(source.common.upstream_request_attempt_count)
        ),
        "xds.cluster_name": _text("upstream_cluster"),
        "xds.route_name": _text("route_name"),
        "xds.node": _node,
        "metadata": lambda source: message_value(source.common.metadata),
        "filter_state": _filter_state,
    }
)
"""How to compute each attribute from an `EntrySource`, of HTTP and of TCP."""
