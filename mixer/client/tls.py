"""TLS with a server, as a user asks for it."""

import ssl
from dataclasses import dataclass
from pathlib import Path

_Name = str | Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """Files of PEM; they are read when a client is made, and not again.

    Attributes:
        ca_file: The authorities that the server's certificate may come from; those of gRPC unless
            given.
        cert_file: The client's certificate and those between it and an authority.
        key_file: Its key.
        server_name: The DNS name that the server's certificate must have; the host of the address
            unless given.

    Raises:
        ValueError: There is a certificate without its key, or the other way round.
    """

    ca_file: _Name = None
    cert_file: _Name = None
    key_file: _Name = None
    server_name: str | None = None

    def __post_init__(self) -> None:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("TlsSettings.cert_file and key_file must be given together")

    def read(self) -> tuple[bytes | None, bytes | None, bytes | None]:
        """What the files have: authorities, key and certificate.

        Raises:
            ValueError: One cannot be used; the message names the files and the reason.
        """
        try:
            self._check()
            return _content(self.ca_file), _content(self.key_file), _content(self.cert_file)
        except OSError as error:
            files = [str(one) for one in (self.ca_file, self.cert_file, self.key_file) if one]
            raise ValueError(f"{', '.join(files)}: {error.strerror or error}") from None

    def _check(self) -> None:
        """Gives reasons, which gRPC does not."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.ca_file is not None:
            context.load_verify_locations(self.ca_file)
        if self.cert_file is not None:
            context.load_cert_chain(self.cert_file, self.key_file, password=lambda: b"")


def _content(path: _Name) -> bytes | None:
    return None if path is None else Path(path).read_bytes()
