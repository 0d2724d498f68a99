"""An authority that signs certificates, and the files of a listener that change."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAY = datetime.timedelta(days=1)


def _pem_of(key: Any) -> bytes:
    return bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


@dataclass(frozen=True)
class Leaf:
    """A certificate that an authority signed, and its key; both in PEM."""

    certificate: bytes
    key: bytes

    @property
    def serial(self) -> int:
        """Its number, by which a test knows it."""
        return x509.load_pem_x509_certificate(self.certificate).serial_number

    def files(self, folder: Path, name: str = "tls") -> tuple[Path, Path]:
        """Write its files, at once as to their readers."""
        paths = folder / f"{name}.crt", folder / f"{name}.key"
        for path, content in zip(paths, (self.certificate, self.key), strict=True):
            replace(path, content)
        return paths


def replace(path: Path, content: bytes) -> None:
    """Put another file in the place of one, as editors and Kubernetes do."""
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(content)
    new.replace(path)


class Authority:
    """Signs certificates with P-256 keys, valid for a day before and after now."""

    def __init__(self, name: str = "authority") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = _builder(self._name, self._name, self._key.public_key())
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        self.pem = self._sign(builder.add_extension(constraints, critical=True))

    def _sign(self, builder: x509.CertificateBuilder) -> bytes:
        signed = builder.sign(self._key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)

    def leaf(
        self,
        *uris: str,
        dns: Sequence[str] = (),
        name: str = "",
        begins: datetime.timedelta = -_DAY,
        ends: datetime.timedelta = _DAY,
        key: Any = None,
        extension: x509.ExtensionType | None = None,
    ) -> Leaf:
        """Sign a certificate.

        Args:
            uris: Such as a SPIFFE ID.
            dns: Names of hosts.
            name: Common name; none if empty.
            begins: From now.
            ends: From now.
            key: A P-256 key unless given.
            extension: One more.
        """
        key = key or ec.generate_private_key(ec.SECP256R1())
        attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else []
        subject = x509.Name(attributes)
        builder = _builder(subject, self._name, key.public_key(), begins, ends)
        names = [*map(x509.UniformResourceIdentifier, uris), *map(x509.DNSName, dns)]
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        if extension is not None:
            builder = builder.add_extension(extension, critical=False)
        return Leaf(self._sign(builder), _pem_of(key))

    def credentials(self, leaf: Leaf | None = None) -> grpc.ChannelCredentials:
        """What a gRPC client connects with: it trusts this authority, and shows a certificate."""
        return grpc.ssl_channel_credentials(self.pem, leaf and leaf.key, leaf and leaf.certificate)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: Any,
    begins: datetime.timedelta = -_DAY,
    ends: datetime.timedelta = _DAY,
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
    )
