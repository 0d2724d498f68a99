"""Addresses as Envoy's messages have them: ``envoy.config.core.v3.Address``."""

from typing import Any

from mixer.wire.twins import text_of


def address_of(address: Any) -> str | None:
    """An address as Envoy writes it: ``host:port``, or the path of a Unix socket; None if unset."""
    kind = address.WhichOneof("address")
    if kind == "socket_address":
        socket = address.socket_address
        host = text_of(socket.address)
        return f"[{host}]:{socket.port_value}" if ":" in host else f"{host}:{socket.port_value}"
    return text_of(address.pipe.path) or None if kind == "pipe" else None


def port_of(address: Any) -> int | None:
    """The port of an address that has one."""
    is_socket = address.WhichOneof("address") == "socket_address"
    return int(address.socket_address.port_value) if is_socket else None
