"""The files of a listener's TLS, read and checked.

What is checked here is what would otherwise show only to callers, as a connection that fails.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cryptography import x509

    from mixer.config import ListenerTls

MAX_FILE_BYTES = 1 << 20
LEAST_RSA_BITS = 2048
CURVES = ("secp256r1", "secp384r1")
"""Of the keys that gRPC's own library of TLS takes."""


class TlsFileError(ValueError):
    """A file cannot be used; the message says which and why, and nothing of a key."""


@dataclass(frozen=True, slots=True)
class TlsMaterial:
    """What a listener is secured with.

    Attributes:
        chain: PEM of the certificates.
        key: PEM of the key.
        client_ca: PEM of the authorities of callers, or None.
        expires: When the listener's certificate ends, in seconds since 1970.
    """

    chain: bytes
    key: bytes
    client_ca: bytes | None
    expires: int


def read_material(tls: ListenerTls) -> TlsMaterial:
    """Read the files and check that they can be used together now.

    Raises:
        TlsFileError: They cannot.
    """
    chain = _read(tls.cert_file)
    leaf = _certificates(tls.cert_file, chain)[0]
    _check_times(tls.cert_file, leaf)
    key_file = tls.key_file or tls.cert_file
    key = chain if tls.key_file is None else _read(key_file)
    _check_key(key_file, key, tls.cert_file, leaf)
    authorities = None
    if tls.client_ca_file is not None:
        authorities = _read(tls.client_ca_file)
        _check_authorities(tls.client_ca_file, authorities)
    expires = int(leaf.not_valid_after_utc.timestamp())
    material = TlsMaterial(chain, key, authorities, expires)
    try:
        server_context(material)
    except (OSError, ValueError) as error:
        raise TlsFileError(f"{tls.cert_file}: {error}") from None
    return material


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise TlsFileError(f"{path}: cannot be read: {error.strerror or error}") from None
    if len(content) > MAX_FILE_BYTES:
        raise TlsFileError(f"{path}: has over {MAX_FILE_BYTES} bytes")
    return content


def _certificates(path: Path, content: bytes) -> list[x509.Certificate]:
    from cryptography import x509  # takes long, and most services have no TLS

    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError:
        raise TlsFileError(f"{path}: has no certificates in PEM that can be read") from None


def _check_times(path: Path, certificate: x509.Certificate) -> None:
    now = datetime.now(UTC)
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < begin:
        raise TlsFileError(f"{path}: the certificate is not valid before {begin:%Y-%m-%d %H:%M}Z")
    if now > end:
        raise TlsFileError(f"{path}: the certificate has expired on {end:%Y-%m-%d %H:%M}Z")


def _check_key(path: Path, content: bytes, cert_file: Path, leaf: x509.Certificate) -> None:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key: Any = load_pem_private_key(content, None)
        ours = leaf.public_key()
    except TypeError:
        raise TlsFileError(f"{path}: the key has a password, which nobody could give") from None
    except (ValueError, UnsupportedAlgorithm):
        raise TlsFileError(f"{path}: has no private key in PEM that can be read") from None
    _check_kind(path, key)
    if key.public_key() != ours:
        raise TlsFileError(f"{path}: the key is not that of the certificate in {cert_file}")


def _check_kind(path: Path, key: Any) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= LEAST_RSA_BITS:
        return
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in CURVES:
        return
    raise TlsFileError(
        f"{path}: the key must be RSA of {LEAST_RSA_BITS} bits or more, P-256 or P-384"
    )


def _check_authorities(path: Path, content: bytes) -> None:
    problem = None
    for one in _certificates(path, content):
        try:
            _check_times(path, one)
        except TlsFileError as error:
            problem = error
        else:
            return
    assert problem is not None
    raise problem


def server_context(material: TlsMaterial) -> ssl.SSLContext:
    """Make what Python's ``ssl`` secures a server's connections with; TLS 1.2 or higher.

    Raises:
        OSError: OpenSSL refuses the certificate, its key, or an authority.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _from_memory(context.load_cert_chain, material.chain + b"\n" + material.key)
    if material.client_ca is not None:
        context.load_verify_locations(cadata=material.client_ca.decode("latin-1"))
        context.verify_mode = ssl.CERT_REQUIRED
        # An authority may be one that another signed, as in gRPC.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _from_memory(load: Callable[[str], None], content: bytes) -> None:
    """Have what was checked loaded, not what may be in the file by now."""
    memory = os.memfd_create("tls")
    try:
        with os.fdopen(memory, "wb", closefd=False) as file:
            file.write(content)
        load(f"/proc/self/fd/{memory}")
    finally:
        os.close(memory)
