"""Who calls, and how, as a connection of gRPC tells."""

from typing import Any
from urllib.parse import unquote

import grpc.aio

from mixer.middleware.values import Peer

Context = grpc.aio.ServicerContext[Any, Any]

_NAMES = "x509_subject_alternative_name"
_COMMON_NAME = "x509_common_name"
_SECURITY = "transport_security_type"


def source_of(context: Context) -> Peer | None:
    """The other end; None where it is no IP address."""
    kind, _, address = unquote(context.peer() or "").partition(":")
    host, _, port = address.rpartition(":")
    if kind not in ("ipv4", "ipv6") or not port.isdigit():
        return None
    return Peer(host.strip("[]"), int(port))


def is_secure(context: Context) -> bool:
    """Whether the connection is one of TLS."""
    return b"ssl" in _property(context, _SECURITY)


def principal_of(context: Context) -> str | None:
    """What the client's certificate says: its first URI, another name of it, or its common name."""
    names = [*_property(context, _NAMES), *_property(context, _COMMON_NAME)]
    texts = [name.decode(errors="replace") for name in names]
    return next((text for text in texts if "://" in text), next(iter(texts), None))


def _property(context: Context, name: str) -> tuple[bytes, ...]:
    return tuple(context.auth_context().get(name, ()))
