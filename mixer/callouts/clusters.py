"""Clusters: the services that callouts may reach, in Envoy's words."""

import ipaddress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

MIB = 1 << 20

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


class Discovery(StrEnum):
    """How the hosts of the endpoints become addresses.

    ``STATIC``: they are addresses. ``STRICT_DNS``: each name is looked up, and every address that
    DNS tells is an endpoint. ``LOGICAL_DNS``: only the first address of the answer is used.
    """

    STATIC = "STATIC"
    STRICT_DNS = "STRICT_DNS"
    LOGICAL_DNS = "LOGICAL_DNS"


class HttpProtocol(StrEnum):
    """What a cluster speaks; ``AUTO`` asks by ALPN, and is HTTP1 without TLS."""

    HTTP1 = "HTTP1"
    HTTP2 = "HTTP2"
    AUTO = "AUTO"


class Endpoint(NamedTuple):
    """Where a cluster is reached.

    Attributes:
        host: A name or an address, IPv6 without brackets.
        port: From 1.
    """

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class ClusterTls:
    """How TLS is spoken with a cluster.

    Attributes:
        sni: Name that is asked for and that the certificate must have; the endpoint's host
            when None.
        ca_file: PEM of the authorities that are trusted; those of the system when None.
        cert_file: PEM of the client's certificate chain, or None for none.
        key_file: PEM of its key; in ``cert_file`` when None.
        verify: Whether the server's certificate is checked.
    """

    sni: str | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    verify: bool = True


@dataclass(frozen=True, slots=True)
class ClusterLimits:
    """Bounds of one cluster; the first three are Envoy's circuit breakers, with their defaults.

    Attributes:
        max_connections: Connections to all endpoints together.
        max_pending_requests: Requests that wait for a connection.
        max_requests: Requests under way together.
        max_response_bytes: Bytes of one response's body.
    """

    max_connections: int = 1024
    max_pending_requests: int = 1024
    max_requests: int = 1024
    max_response_bytes: int = 32 * MIB


@dataclass(frozen=True, slots=True)
class Cluster:
    """One service.

    Attributes:
        name: Unique.
        endpoints: At least one; they take turns.
        discovery: How their hosts become addresses.
        protocol: Of HTTP callouts.
        tls: None for plaintext.
        connect_timeout: Seconds for the connection, TLS included.
        limits: Bounds.
        aliases: Other names, see `mixer.callouts.naming`.
        public_only: Whether only public addresses may be connected to, and those of ``networks``:
            so it is for a dynamic upstream, whatever DNS says of its host.
        networks: Addresses that are not public and may be connected to all the same.
    """

    name: str
    endpoints: tuple[Endpoint, ...]
    discovery: Discovery = Discovery.STRICT_DNS
    protocol: HttpProtocol = HttpProtocol.HTTP1
    tls: ClusterTls | None = None
    connect_timeout: float = 5.0
    limits: ClusterLimits = ClusterLimits()
    aliases: tuple[str, ...] = ()
    public_only: bool = False
    networks: tuple[IpNetwork, ...] = ()


@dataclass(frozen=True, slots=True)
class DynamicUpstream:
    """Upstreams that no cluster declares and that may be named all the same.

    Attributes:
        hosts: Patterns: a host, ``*.example.com`` for every name below it, or ``*``.
        ports: Those that may be reached.
        networks: Addresses that are not public and may be connected to.
        protocol: As of a cluster, with the next three.
        tls: As of a cluster.
        connect_timeout: As of a cluster.
        limits: As of a cluster, for each upstream.
    """

    hosts: tuple[str, ...]
    ports: tuple[int, ...]
    networks: tuple[IpNetwork, ...] = ()
    protocol: HttpProtocol = HttpProtocol.AUTO
    tls: ClusterTls | None = None
    connect_timeout: float = 5.0
    limits: ClusterLimits = field(default_factory=ClusterLimits)
