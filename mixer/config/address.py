"""Addresses that a listener binds, in gRPC's notation."""

import ipaddress
import re

from mixer.config.model import dns_subdomain, printable

# sun_path has 108 bytes on Linux, the last one zero.
_LONGEST_SOCKET_PATH = 107
_HOST_PORT = re.compile(r"(?:\[(?P<six>[^\[\]]*)\]|(?P<host>[^:\[\]]*)):(?P<port>[0-9]{1,5})")
_HIGHEST_PORT = 65535


def check_address(text: str) -> str:
    """Check ``127.0.0.1:9000``, ``localhost:9000``, ``[::1]:9000`` or ``unix:/run/mixer.sock``.

    Returns:
        One notation for each address, so that equal addresses are equal strings. Port 0 is any
        free port.

    Raises:
        ValueError: It is none of these. A socket path must be absolute: relative to what would
            depend on where the service was started.
    """
    printable(text)
    if text.startswith("unix:"):
        return _unix(text.removeprefix("unix:"))
    match = _HOST_PORT.fullmatch(text)
    if not match:
        raise ValueError("must be host:port, [IPv6]:port or unix:/absolute/path")
    if int(match["port"]) > _HIGHEST_PORT:
        raise ValueError(f"the port must be from 0 to {_HIGHEST_PORT}")
    host = _host(match["host"]) if match["six"] is None else _host6(match["six"])
    return f"{host}:{int(match['port'])}"


def is_any_port(address: str) -> bool:
    """Whether the system chooses the port, so that two such addresses do not collide."""
    return address.endswith(":0") and not address.startswith("unix:")


def _unix(path: str) -> str:
    path = path.removeprefix("//") if path.startswith("///") else path
    if not path.startswith("/") or path.startswith("//") or path.endswith("/"):
        raise ValueError("the path of a Unix socket must be absolute: unix:/run/mixer.sock")
    if len(path.encode()) > _LONGEST_SOCKET_PATH:
        raise ValueError(f"the path of a Unix socket has at most {_LONGEST_SOCKET_PATH} bytes")
    return f"unix:{path}"


def _host(host: str) -> str:
    if not host:
        raise ValueError("needs a host: 127.0.0.1 for this machine only, 0.0.0.0 for all addresses")
    if re.fullmatch(r"[0-9.]+", host):
        return str(_ip(host, ipaddress.IPv4Address))
    return dns_subdomain(host.lower())


def _host6(host: str) -> str:
    return f"[{_ip(host, ipaddress.IPv6Address)}]"


def _ip(
    text: str, kind: type[ipaddress.IPv4Address] | type[ipaddress.IPv6Address]
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    name = "IPv4" if kind is ipaddress.IPv4Address else "IPv6"
    try:
        return kind(text)
    except ValueError as error:
        raise ValueError(f"not an {name} address in front of the port") from error
