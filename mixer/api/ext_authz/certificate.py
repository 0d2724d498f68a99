"""The certificate of the one who asks, as far as its attributes tell it."""

from __future__ import annotations

import hashlib
import ssl
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from cryptography import x509

_KEPT = 256


@dataclass(frozen=True, slots=True)
class Certificate:
    """What Envoy tells of a peer's certificate.

    Attributes:
        subject: In the form of RFC 2253; None in a certificate that cannot be read.
        dns_san: The first DNS name, or None.
        uri_san: The first URI, or None.
        sha256: Hexadecimal digest of the DER.
    """

    subject: str | None
    dns_san: str | None
    uri_san: str | None
    sha256: str


@lru_cache(_KEPT)
def read_certificate(encoded: str) -> Certificate | None:
    """Read a certificate in PEM, URL-encoded; None where there is no PEM."""
    if not encoded:
        return None
    from cryptography import x509  # takes long, and most proxies send no certificate

    try:
        der = ssl.PEM_cert_to_DER_cert(unquote(encoded))
    except ValueError:
        return None
    digest = hashlib.sha256(der).hexdigest()
    try:
        certificate = x509.load_der_x509_certificate(der)
        names = _alternative_names(certificate)
        subject = certificate.subject.rfc4514_string()
    except ValueError:
        return Certificate(None, None, None, digest)
    uri = _first(names, x509.UniformResourceIdentifier)
    return Certificate(subject, _first(names, x509.DNSName), uri, digest)


def _alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName | None:
    from cryptography import x509

    try:
        kind = x509.SubjectAlternativeName
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _first(
    names: x509.SubjectAlternativeName | None,
    kind: type[x509.DNSName] | type[x509.UniformResourceIdentifier],
) -> str | None:
    found = [] if names is None else names.get_values_for_type(kind)
    return found[0] if found else None
