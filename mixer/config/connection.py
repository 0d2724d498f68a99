"""``spec.limits.connections``: what one connection, and all of a listener, may take."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from mixer.config.model import Model
from mixer.config.units import duration_between, quantity_between

Count = Annotated[int, Field(ge=1, le=1_000_000)]
MetadataSize = Annotated[int, BeforeValidator(quantity_between("1Ki", "1Mi"))]
HandshakeTimeout = Annotated[float, BeforeValidator(duration_between("100ms", "10m"))]
IdleTimeout = Annotated[float, BeforeValidator(duration_between("100ms", "24h"))]
Age = Annotated[float, BeforeValidator(duration_between("1s", "8760h"))]
Keepalive = Annotated[float, BeforeValidator(duration_between("1s", "24h"))]
KeepaliveTimeout = Annotated[float, BeforeValidator(duration_between("100ms", "10m"))]


class ConnectionLimits(Model):
    """Bounds of the connections of a gRPC listener.

    Attributes:
        max_connections: Of each listener; more are closed at once.
        max_concurrent_streams: Calls of one connection at one time; a client that obeys HTTP/2
            keeps more back, or opens another connection.
        max_metadata_bytes: Bytes of one call's metadata, 1Ki to 1Mi; a quantity in YAML.
        handshake_timeout: Seconds until a connection has done the handshakes of TLS and HTTP/2, 0.1
            to 600; a duration in YAML, as all others.
        idle_timeout: Seconds without a call after which a connection is closed, 0.1 to 86400.
        max_age: Seconds after which a connection is closed, and its caller has to show a
            certificate anew; up to a tenth more or less by chance. None keeps it.
        max_age_grace: Seconds that calls on a connection which is that old still have.
        keepalive_interval: Seconds without a byte after which the peer is pinged.
        keepalive_timeout: Seconds for its answer; then the connection is closed.
    """

    max_connections: Count = 10_000
    max_concurrent_streams: Count = 1024
    max_metadata_bytes: MetadataSize = 16 << 10
    handshake_timeout: HandshakeTimeout = 10.0
    idle_timeout: IdleTimeout = 3600.0
    max_age: Age | None = None
    max_age_grace: KeepaliveTimeout = 30.0
    keepalive_interval: Keepalive = 300.0
    keepalive_timeout: KeepaliveTimeout = 20.0
