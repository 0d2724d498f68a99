"""TLS with clusters."""

import ssl
from collections.abc import Sequence

from mixer.callouts.clusters import Cluster, ClusterTls


class TlsFilesError(ValueError):
    """A file of a cluster's TLS settings cannot be used; the message says which and why."""


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
