"""What is known of a connection, as attributes.

The messages tell nothing but metadata. So the rest comes with the call, in its initial metadata:
under the name of each attribute what the proxy is configured to say, such as
``source.address: "%DOWNSTREAM_REMOTE_ADDRESS%"``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from mixer.api.configured import configured
from mixer.attributes import (
    CALLER_RESOLVERS,
    AttributeBag,
    FindCaller,
    IstioAttributes,
    Resolver,
    Value,
    message_value,
    whole_number,
)


@dataclass(slots=True)
class ConnectionSource:
    """What the resolvers are given.

    Attributes:
        call: The initial metadata of the call.
        caller: Tells who calls.
        metadata: The connection's, ``envoy.config.core.v3.Metadata``, as told last; None before.
    """

    call: Mapping[str, str]
    caller: FindCaller
    metadata: Any = None


def _metadata(source: ConnectionSource) -> Value | None:
    return None if source.metadata is None else message_value(source.metadata)


def _port(peer: str) -> Resolver:
    """As it is told, or from the address."""

    def resolve(source: ConnectionSource) -> Value | None:
        address = source.call.get(f"{peer}.address", "")
        told = source.call.get(f"{peer}.port") or address.rpartition(":")[2]
        return whole_number(told.encode())

    return resolve


def _mtls(source: ConnectionSource) -> bool:
    told = source.call.get("connection.mtls")
    if told:
        return told == "true"
    return any(source.call.get(name) for name in _OF_PEER_CERTIFICATES)


def _server_name(source: ConnectionSource) -> Value:
    return source.call.get("connection.requested_server_name", "")


def _by_istio_names(source: ConnectionSource) -> Value | None:
    return IstioAttributes(AttributeBag(RESOLVERS, source).get)


_OF_PEER_CERTIFICATES = (
    "connection.subject_peer_certificate",
    "connection.uri_san_peer_certificate",
    "connection.dns_san_peer_certificate",
    "connection.sha256_peer_certificate_digest",
)
_KNOWN: dict[str, Resolver] = {
    **CALLER_RESOLVERS,
    "metadata": _metadata,
    "source.port": _port("source"),
    "destination.port": _port("destination"),
    "connection.mtls": _mtls,
    "connection.requested_server_name": _server_name,
    "mixer.attribute": _by_istio_names,
}

RESOLVERS: Mapping[str, Resolver] = MappingProxyType(
    _KNOWN
    | {
        name: one
        for name, one in configured(lambda source: source.call, _KNOWN).items()
        if not name.startswith(("request.", "response."))
    }
)
"""How to compute each attribute from a `ConnectionSource`."""
