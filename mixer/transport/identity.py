"""Who the peer of a connection is, by its certificate.

Only of a certificate that was verified when the connection was made. Front ends hand over what
their transport has: PEM from gRPC, DER from Python's ``ssl``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mixer.config import check_spiffe_id

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping, Sequence

    import grpc.aio
    from cryptography import x509

_KEPT = 1024
_PEM = "x509_pem_cert"
_HOST = re.compile(r"[a-z0-9*_.-]+")


@dataclass(frozen=True, slots=True)
class Identity:
    """The names in a certificate.

    Attributes:
        principal: Its SPIFFE ID, else its first DNS name, else its subject in the form of RFC 4514,
            such as ``CN=envoy``, which can be taken for none of the former; None where it has none.
        names: Its SPIFFE ID and DNS names, by which a list of callers knows it; DNS names in small
            letters.
    """

    principal: str | None
    names: tuple[str, ...]


@lru_cache(_KEPT)
def identity_of(certificate: bytes) -> Identity:
    """Read a certificate.

    Args:
        certificate: PEM or DER. One that cannot be read, or has what the standards do not allow or
            nobody uses, is nobody's.
    """
    from cryptography import x509  # takes long, and most services are asked without TLS

    is_pem = certificate.startswith(b"-----")
    load = x509.load_pem_x509_certificate if is_pem else x509.load_der_x509_certificate
    try:
        return _identity(load(certificate))
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return Identity(None, ())


def _identity(certificate: x509.Certificate) -> Identity:
    from cryptography import x509

    try:
        kind = x509.SubjectAlternativeName
        found = certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        found = kind(())
    hosts = filter(_is_host, map(str.lower, found.get_values_for_type(x509.DNSName)))
    names = (*_spiffe_id(found.get_values_for_type(x509.UniformResourceIdentifier)), *hosts)
    subject = certificate.subject.rfc4514_string()
    return Identity(names[0] if names else subject or None, names)


def _is_host(name: str) -> bool:
    """Whether it is a name of hosts, perhaps with a wildcard: what has a slash looks like an ID."""
    return _HOST.fullmatch(name) is not None


def _spiffe_id(uris: list[str]) -> tuple[str, ...]:
    """The SPIFFE ID; a certificate with more than one URI has none.

    Source: the X.509-SVID standard, section 2.
    """
    if len(uris) != 1:
        return ()
    try:
        return (check_spiffe_id(uris[0]),)
    except ValueError:
        return ()


def identity_in(context: grpc.aio.ServicerContext[Any, Any]) -> Identity | None:
    """Who calls over gRPC; None without a certificate, which is never there unverified."""
    found: Mapping[str, Sequence[bytes]] = context.auth_context()  # type: ignore[assignment]
    return identity_of(found[_PEM][0]) if found.get(_PEM) else None


def identity_at(transport: asyncio.BaseTransport) -> Identity | None:
    """Who is at the other end of a connection of the event loop; None without a certificate.

    The connection must be secured by `mixer.transport.tls.ServerTls.context`, which verifies it.
    """
    secured = transport.get_extra_info("ssl_object")
    found = None if secured is None else secured.getpeercert(binary_form=True)
    return identity_of(found) if found else None
