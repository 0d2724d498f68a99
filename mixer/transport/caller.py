"""Who calls, as far as a connection tells."""

import asyncio
from functools import partial
from typing import Any
from urllib.parse import unquote

import grpc.aio

from mixer.attributes import Caller, FindCaller
from mixer.transport.identity import Identity, identity_in

Context = grpc.aio.ServicerContext[Any, Any]


def caller_of(context: Context) -> FindCaller:
    """What tells who made a call; that is worked out only where somebody wants to know."""
    return partial(_caller, context)


def _caller(context: Context) -> Caller:
    return caller_at(address_of(context.peer()), identity_in(context))


def caller_at(address: str, identity: Identity | None) -> Caller:
    """A caller at an address, by its certificate if it has one."""
    return Caller(address, None if identity is None else identity.principal)


def address_of(peer: str) -> str:
    """The address of a caller, without the port, which is another one for each connection.

    Args:
        peer: As gRPC has it: ``ipv4:127.0.0.1:5000``, ``ipv6:%5B::1%5D:5000``, ``unix:``.
    """
    kind, _, address = peer.partition(":")
    if kind not in ("ipv4", "ipv6"):
        return kind
    return unquote(address).rpartition(":")[0].strip("[]")


def caller_of_transport(transport: asyncio.BaseTransport, identity: Identity | None) -> FindCaller:
    """What tells who made a connection of asyncio.

    Args:
        transport: Of the connection.
        identity: By its certificate.
    """
    return partial(_caller_of_transport, transport, identity)


def _caller_of_transport(transport: asyncio.BaseTransport, identity: Identity | None) -> Caller:
    peer = transport.get_extra_info("peername")
    return caller_at(str(peer[0]) if isinstance(peer, tuple) else "unix", identity)
