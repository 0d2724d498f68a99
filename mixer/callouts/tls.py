"""TLS with clusters."""

import ssl
from collections.abc import Sequence

from mixer.callouts.clusters import Cluster, ClusterTls


class TlsFilesError(ValueError):
    """A file of a cluster's TLS settings cannot be used; the message says which and why."""


class TlsContexts:
    """What connections are secured with, made once for the same settings.

    To read the authorities of the system takes tens of milliseconds, in which nothing else is done:
    that is for the start, and not for each connection.
    """

    def __init__(self) -> None:
        self._made: dict[tuple[ClusterTls, tuple[str, ...]], ssl.SSLContext] = {}

    def of(self, cluster: Cluster, alpn: Sequence[str] = ()) -> ssl.SSLContext | None:
        """As `client_context`."""
        if cluster.tls is None:
            return None
        key = (cluster.tls, tuple(alpn))
        found = self._made.get(key) or client_context(cluster, alpn)
        if found is not None:
            self._made[key] = found
        return found


def client_context(cluster: Cluster, alpn: Sequence[str] = ()) -> ssl.SSLContext | None:
    """Make what connections to a cluster are secured with; None for plaintext.

    Args:
        cluster: Its files are read now.
        alpn: Protocols to offer, the preferred one first.

    Raises:
        TlsFilesError: A file cannot be read or is not what it should be.
    """
    if cluster.tls is None:
        return None
    try:
        context = _context(cluster.tls)
    except (OSError, ssl.SSLError) as error:
        raise TlsFilesError(
            f"cluster {cluster.name}: tls: {_files(cluster.tls)}: {error}"
        ) from None
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def _context(tls: ClusterTls) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.ca_file and str(tls.ca_file))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.cert_file is not None:
        # A key that is encrypted must fail here, not ask at the terminal of the service.
        context.load_cert_chain(tls.cert_file, tls.key_file, password=lambda: b"")
    return context


def _files(tls: ClusterTls) -> str:
    return ", ".join(str(one) for one in (tls.ca_file, tls.cert_file, tls.key_file) if one)
