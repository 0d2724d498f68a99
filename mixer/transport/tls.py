"""TLS of the listeners; what their files have is taken over when it changes."""

import logging
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import grpc

from mixer.config import ListenerTls
from mixer.transport.listening import ListenError
from mixer.transport.tls_files import TlsFileError, TlsMaterial, read_material, server_context

_log = logging.getLogger(__name__)

_Stamp = tuple[tuple[int, ...] | None, ...]


class ServerTls:
    """The TLS of one listener.

    Args:
        listener: Its name.
        tls: Its files, which are read now.

    Attributes:
        listener: As given.
        material: What new connections are secured with.
        problem: Why what the files have now is not used; None where it is.

    Raises:
        ListenError: They cannot be used.
    """

    def __init__(self, listener: str, tls: ListenerTls) -> None:
        self.listener = listener
        self.problem: str | None = None
        self._tls = tls
        self._stamp = self._now()
        self._told: str | None = None
        try:
            self.material = read_material(tls)
        except TlsFileError as error:
            raise ListenError(f"listener {listener}: tls: {error}") from None

    @property
    def expires(self) -> int:
        """When the certificate ends that is used now, in seconds since 1970."""
        return self.material.expires

    @property
    def is_stale(self) -> bool:
        """Whether the files have something that cannot be used."""
        return self.problem is not None

    def refresh(self) -> None:
        """Take over what the files have, if that has changed and can be used.

        A certificate and its key may be written one after the other: only what is wrong for the
        second time is logged, once.
        """
        stamp = self._now()
        if stamp == self._stamp and self.problem is None:
            return
        self._stamp, before = stamp, self.problem
        try:
            self._take_over(read_material(self._tls))
        except TlsFileError as error:
            self.problem = str(error)
        if self.problem is not None and self.problem == before != self._told:
            self._told = self.problem
            _log.error(
                "listener %s: tls: %s; the certificate before it stays", self.listener, self.problem
            )

    def _take_over(self, material: TlsMaterial) -> None:
        self.problem = self._told = None
        if material != self.material:
            self.material = material
            _log.info("listener %s: tls: the files have changed and are used now", self.listener)

    def _now(self) -> _Stamp:
        files = (self._tls.cert_file, self._tls.key_file, self._tls.client_ca_file)
        return tuple(_stamp(one) for one in files if one is not None)

    def credentials(self) -> grpc.ServerCredentials:
        """For gRPC, which asks anew before each handshake."""
        served = self.material

        def fetch() -> Any:
            nonlocal served
            if served is self.material:
                return None
            served = self.material
            return _configuration(served)

        requires = served.client_ca is not None
        return grpc.dynamic_ssl_server_credentials(_configuration(served), fetch, requires)

    def context(self, alpn: Sequence[str] = ()) -> ssl.SSLContext:
        """For servers on Python's ``ssl``, that of the event loops included.

        Args:
            alpn: Protocols, the preferred one first.
        """
        return _Reloading(self, alpn)


def _stamp(path: Path) -> tuple[int, ...] | None:
    """What changes with a file, or with what the links to it lead to."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev


def _configuration(material: TlsMaterial) -> Any:
    return grpc.ssl_server_certificate_configuration(
        [(material.key, material.chain)], material.client_ca
    )


class _Reloading(ssl.SSLContext):
    """Secures each new connection with what is there by then.

    Args:
        tls: Has it.
        alpn: As of `ServerTls.context`.
    """

    def __new__(cls, _tls: ServerTls, _alpn: Sequence[str]) -> Self:
        return super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)

    def __init__(self, tls: ServerTls, alpn: Sequence[str]) -> None:
        self._tls = tls
        self._alpn = list(alpn)
        self._made = self._make()

    def _make(self) -> tuple[TlsMaterial, ssl.SSLContext]:
        context = server_context(self._tls.material)
        if self._alpn:
            context.set_alpn_protocols(self._alpn)
        return self._tls.material, context

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        """See `ssl.SSLContext`; the event loops call it for each connection."""
        if self._made[0] is not self._tls.material:
            self._made = self._make()
        return self._made[1].wrap_bio(*arguments, **options)
