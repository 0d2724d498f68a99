"""``spec.clusters`` and ``spec.dynamicUpstreams``: what callouts may reach.

The words are Envoy's; the shape is flatter than its own.
"""

import ipaddress
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from mixer.config.address import check_address
from mixer.config.model import Choice, Items, Model, Origin, dns_subdomain, printable
from mixer.config.units import duration_between, quantity_between

MIB = 1 << 20
_LONGEST_NAME = 255

ConnectTimeout = Annotated[float, BeforeValidator(duration_between("1ms", "10m"))]
ResponseSize = Annotated[int, BeforeValidator(quantity_between("1Ki", "1Gi"))]
Count = Annotated[int, Field(ge=1, le=1_000_000)]


class ClusterType(StrEnum):
    """How the hosts of the endpoints become addresses."""

    STATIC = "STATIC"
    STRICT_DNS = "STRICT_DNS"
    LOGICAL_DNS = "LOGICAL_DNS"


class ClusterProtocol(StrEnum):
    """What a cluster speaks."""

    HTTP1 = "HTTP1"
    HTTP2 = "HTTP2"
    AUTO = "AUTO"


def _name(text: str) -> str:
    if not 1 <= len(text) <= _LONGEST_NAME:
        raise ValueError(f"must have 1 to {_LONGEST_NAME} characters")
    return printable(text)


def _host_and_port(text: str) -> str:
    """Check an address as a listener's, one that can be connected to."""
    if ":" not in text or text.startswith("unix:"):
        raise ValueError("must be host:port or [IPv6]:port")
    address = check_address(text)
    if address.endswith(":0"):
        raise ValueError("the port must be from 1 to 65535")
    return address


def _pattern(text: str) -> str:
    host = text.lower()
    if host == "*":
        return host
    if _is_address(host.removeprefix("[").removesuffix("]")):
        return str(ipaddress.ip_address(host.removeprefix("[").removesuffix("]")))
    dns_subdomain(host.removeprefix("*."))
    return host


def _is_address(text: str) -> bool:
    try:
        return bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise ValueError(f"must be an IP address or network such as 10.0.0.0/8: {error}") from None


Name = Annotated[str, AfterValidator(_name)]
HostAndPort = Annotated[str, AfterValidator(_host_and_port)]
HostPattern = Annotated[str, AfterValidator(_pattern)]
Network = Annotated[str, AfterValidator(_network)]
Port = Annotated[int, Field(ge=1, le=65535)]


class ClusterTls(Model):
    """How TLS is spoken with a cluster.

    Attributes:
        sni: Name that is asked for and that the server's certificate must have; the endpoint's
            host when None.
        ca_file: PEM of the authorities to trust instead of the system's; in YAML absolute, or
            relative to the folder of the file, as the next two. Not checked to exist.
        cert_file: PEM of the client's certificate chain.
        key_file: PEM of its key, where that is not in ``cert_file``.
        insecure_skip_verify: Whether any certificate of the server will do.
    """

    sni: Annotated[str | None, AfterValidator(lambda v: v and dns_subdomain(v.lower()))] = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    insecure_skip_verify: bool = False

    @field_validator("ca_file", "cert_file", "key_file", mode="before")
    @classmethod
    def _locate(cls, value: object, info: ValidationInfo) -> object:
        if not isinstance(value, str) or not isinstance(info.context, Origin):
            return value
        if not value:
            raise ValueError("must not be empty")
        return info.context.base / printable(value)

    @field_validator("key_file")
    @classmethod
    def _of_a_certificate(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is not None and info.data.get("cert_file", value) is None:
            raise ValueError("needs certFile, the certificate that the key is of")
        return value


class ClusterLimits(Model):
    """Bounds of one cluster; the first three are Envoy's circuit breakers.

    Attributes:
        max_connections: To all its endpoints together.
        max_pending_requests: That wait for a connection.
        max_requests: Under way together.
        max_response_bytes: Bytes of one response's body, 1Ki to 1Gi; a quantity in YAML.
    """

    max_connections: Count = 1024
    max_pending_requests: Count = 1024
    max_requests: Count = 1024
    max_response_bytes: ResponseSize = 32 * MIB


class Cluster(Model):
    """A service that callouts may reach.

    Attributes:
        name: Unique; how modules name it, see ``mixer.callouts.naming``.
        type: None for STATIC where each endpoint is an address, and STRICT_DNS otherwise.
        endpoints: ``host:port`` or ``[IPv6]:port``, at least one; they take turns.
        protocol: ``HTTP1``, ``HTTP2``, or ``AUTO``: by ALPN with TLS, HTTP1 without.
        tls: None for plaintext.
        connect_timeout: Seconds, 0.001 to 600; a duration in YAML.
        limits: Bounds.
        aliases: Other names; unique among all names and aliases.
    """

    name: Name
    type: Choice[ClusterType | None] = None
    endpoints: Items[HostAndPort]
    protocol: Choice[ClusterProtocol] = ClusterProtocol.HTTP1
    tls: ClusterTls | None = None
    connect_timeout: ConnectTimeout = 5.0
    limits: ClusterLimits = ClusterLimits()
    aliases: Items[Name] = ()

    @field_validator("endpoints")
    @classmethod
    def _at_least_one(cls, endpoints: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if not endpoints:
            raise ValueError("must have at least 1 item")
        names = [one for one in endpoints if not _is_address(_host_of(one))]
        if names and info.data.get("type") is ClusterType.STATIC:
            raise ValueError(f"a STATIC cluster has addresses, and {names[0]!r} is none")
        return endpoints

    @property
    def discovery(self) -> ClusterType:
        """``type``, or what it is when left out."""
        if self.type is not None:
            return self.type
        by_address = all(_is_address(_host_of(one)) for one in self.endpoints)
        return ClusterType.STATIC if by_address else ClusterType.STRICT_DNS


class DynamicUpstream(Model):
    """Upstreams that modules may name without a cluster.

    Attributes:
        hosts: ``api.example.com``, ``*.example.com`` for every name below it, an IP address, or
            ``*``; at least one.
        ports: At least one.
        networks: IP networks that may be connected to although they are not public; without them,
            loopback, link-local, private and other reserved addresses are refused, whatever name
            leads there.
        protocol: As of a cluster.
        tls: As of a cluster.
        connect_timeout: As of a cluster.
        limits: As of a cluster, for each upstream.
    """

    hosts: Items[HostPattern]
    ports: Items[Port]
    networks: Items[Network] = ()
    protocol: Choice[ClusterProtocol] = ClusterProtocol.AUTO
    tls: ClusterTls | None = None
    connect_timeout: ConnectTimeout = 5.0
    limits: ClusterLimits = ClusterLimits()

    @field_validator("hosts", "ports")
    @classmethod
    def _some(cls, items: tuple[object, ...]) -> tuple[object, ...]:
        if not items:
            raise ValueError("must have at least 1 item")
        return items


def split_host_port(address: str) -> tuple[str, int]:
    """Take ``host:port`` or ``[IPv6]:port`` apart; the host has no brackets then."""
    return _host_of(address), int(address.rpartition(":")[2])


def _host_of(address: str) -> str:
    return re.sub(r"[\[\]]", "", address.rpartition(":")[0])


def check_unique(clusters: tuple[Cluster, ...]) -> tuple[Cluster, ...]:
    """See that no name or alias is there twice.

    Raises:
        ValueError: One is.
    """
    seen: dict[str, int] = {}
    for number, cluster in enumerate(clusters):
        for name in (cluster.name, *cluster.aliases):
            if name in seen:
                raise ValueError(f"items {seen[name]} and {number} both have the name {name!r}")
            seen[name] = number
    return clusters
