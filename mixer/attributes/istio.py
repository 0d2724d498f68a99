"""Istio's attributes by name and type, as Mixer's callers send them.

Source: the attribute manifests of Istio 1.3.
"""

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

from mixer.attributes.values import Duration, Timestamp, Value


class ValueType(StrEnum):
    """The declared type of an attribute: ``istio.policy.v1beta1.ValueType``."""

    STRING = "STRING"
    INT64 = "INT64"
    DOUBLE = "DOUBLE"
    BOOL = "BOOL"
    TIMESTAMP = "TIMESTAMP"
    DURATION = "DURATION"
    IP_ADDRESS = "IP_ADDRESS"
    EMAIL_ADDRESS = "EMAIL_ADDRESS"
    URI = "URI"
    DNS_NAME = "DNS_NAME"
    STRING_MAP = "STRING_MAP"


_NAMES: dict[ValueType, str] = {
    ValueType.STRING: """
        api.operation api.protocol api.service api.version
        check.error_message
        connection.event connection.id connection.requested_server_name
        context.protocol context.proxy_error_code context.reporter.kind context.reporter.uid
        destination.container.name destination.name destination.namespace destination.owner
        destination.principal destination.service.host destination.service.name
        destination.service.namespace destination.service.uid destination.serviceAccount
        destination.uid destination.workload.name destination.workload.namespace
        destination.workload.uid
        origin.uid origin.user
        rbac.permissive.effective_policy_id rbac.permissive.response_code
        request.api_key request.auth.audiences request.auth.presenter request.auth.principal
        request.auth.raw_claims request.host request.id request.method request.path request.reason
        request.referer request.scheme request.url_path request.useragent
        response.grpc_message response.grpc_status
        source.name source.namespace source.owner source.principal source.serviceAccount
        source.services source.uid source.user source.workload.name source.workload.namespace
        source.workload.uid
    """,
    ValueType.INT64: """
        check.error_code
        connection.received.bytes connection.received.bytes_total
        connection.sent.bytes connection.sent.bytes_total
        destination.port
        request.size request.total_size
        response.code response.size response.total_size
    """,
    ValueType.BOOL: "check.cache_hit connection.mtls context.reporter.local quota.cache_hit",
    ValueType.TIMESTAMP: "context.time context.timestamp request.time response.time",
    ValueType.DURATION: "connection.duration response.duration",
    ValueType.IP_ADDRESS: "destination.ip origin.ip source.ip",
    ValueType.STRING_MAP: """
        destination.labels destination.metadata
        request.auth.claims request.headers request.query_params
        response.headers
        source.labels
    """,
}

ISTIO_VOCABULARY = MappingProxyType(
    {name: kind for kind, names in _NAMES.items() for name in names.split()}
)
"""Every attribute's declared type."""

_IP_SIZES = (4, 16)
_PYTHON: dict[ValueType, type] = {
    ValueType.STRING: str,
    ValueType.EMAIL_ADDRESS: str,
    ValueType.URI: str,
    ValueType.DNS_NAME: str,
    ValueType.INT64: int,
    ValueType.DOUBLE: float,
    ValueType.BOOL: bool,
    ValueType.TIMESTAMP: Timestamp,
    ValueType.DURATION: Duration,
    ValueType.IP_ADDRESS: bytes,
    ValueType.STRING_MAP: dict,
}


class WrongType(NamedTuple):
    """An attribute that is not of its declared type.

    Attributes:
        name: Of the attribute.
        wanted: Its declared type.
        given: What was sent.
    """

    name: str
    wanted: ValueType
    given: str

    def __str__(self) -> str:
        return f"{self.name}: must be {self.wanted}, not {self.given}"


class Manifest:
    """The attributes that there are.

    Args:
        more: Those beyond Istio's.
    """

    def __init__(self, more: Mapping[str, ValueType] = MappingProxyType({})) -> None:
        self._kinds = {**ISTIO_VOCABULARY, **more}
        self._types = {name: _PYTHON[kind] for name, kind in self._kinds.items()}
        self._addresses = [n for n, kind in self._kinds.items() if kind is ValueType.IP_ADDRESS]

    def admit(self, sent: Mapping[str, Value]) -> tuple[dict[str, Value], list[WrongType]]:
        """Leave out what has an unknown name, as Mixer does, and what is not of its type."""
        types = self._types
        admitted = {name: value for name, value in sent.items() if types.get(name) is type(value)}
        for name in self._addresses:
            if name in admitted and len(admitted[name]) not in _IP_SIZES:  # type: ignore[arg-type]
                del admitted[name]
        if len(admitted) == len(sent):
            return admitted, []
        return admitted, list(self._wrong(sent.keys() - admitted.keys(), sent))

    def _wrong(self, names: Iterable[str], sent: Mapping[str, Value]) -> Iterator[WrongType]:
        for name in sorted(names):
            wanted = self._kinds.get(name)
            if wanted is not None:
                yield WrongType(name, wanted, _described(sent[name]))

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)


_GIVEN: dict[type, str] = {
    str: "STRING", int: "INT64", float: "DOUBLE", bool: "BOOL", Timestamp: "TIMESTAMP",
    Duration: "DURATION", dict: "STRING_MAP",
}  # fmt: skip


def _described(value: Any) -> str:
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return _GIVEN[type(value)]
