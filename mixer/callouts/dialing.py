"""Connections to a cluster: its addresses in turn, TLS, and what can go wrong in Envoy's words."""

import asyncio
import errno
import os
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from mixer.callouts.addresses import Address, Addresses
from mixer.callouts.clusters import Cluster
from mixer.callouts.tls import client_context

_AnyProtocol = TypeVar("_AnyProtocol", bound=asyncio.BaseProtocol)


class DialError(Exception):
    """There is no connection; the message is the reason as Envoy tells it."""


class NoHealthyUpstreamError(DialError):
    """The cluster has no address to connect to."""


class DialTimeoutError(DialError):
    """The connection was not there in time."""


class TlsError(DialError):
    """The connection was there, but TLS failed."""


@dataclass(frozen=True, slots=True)
class Connection:
    """An open connection.

    Attributes:
        reader: What comes.
        writer: Where to write; closes the connection.
        address: Of the other side.
        alpn: The protocol that both agreed on, or None.
    """

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    address: Address
    alpn: str | None


class Dialer:
    """Connects to a cluster; its addresses take turns.

    Args:
        cluster: Its TLS files are read now.
        addresses: Knows DNS.
        alpn: Protocols to offer with TLS, the preferred one first.
        context: For TLS, made of the cluster's settings when not given.

    Raises:
        TlsFilesError: A file of the TLS settings cannot be used.
    """

    def __init__(
        self,
        cluster: Cluster,
        addresses: Addresses,
        alpn: Sequence[str] = (),
        *,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._cluster = cluster
        self._addresses = addresses
        self._context = context or client_context(cluster, alpn)
        self._turn = 0

    async def next_address(self) -> Address:
        """Tell where the next connection goes.

        Raises:
            NoHealthyUpstreamError: Nowhere.
        """
        addresses = await self._addresses.of(self._cluster)
        if not addresses:
            raise NoHealthyUpstreamError("no healthy upstream")
        self._turn = (self._turn + 1) % len(addresses)
        return addresses[self._turn - 1]

    async def connect(self, address: Address | None = None) -> Connection:
        """Connect to an address, the next one when not given, within the cluster's timeout.

        Raises:
            DialError: There is no connection.
        """
        try:
            async with asyncio.timeout(self._cluster.connect_timeout):
                return await self._open(address or await self.next_address())
        except TimeoutError:
            raise DialTimeoutError("connection timeout") from None

    async def dial(
        self, factory: Callable[[], _AnyProtocol], address: Address
    ) -> tuple[asyncio.Transport, _AnyProtocol]:
        """Connect a protocol of asyncio to an address, within the cluster's timeout.

        Raises:
            DialError: There is no connection.
        """
        try:
            async with asyncio.timeout(self._cluster.connect_timeout):
                return await self._dial(factory, address)
        except TimeoutError:
            raise DialTimeoutError("connection timeout") from None

    async def _open(self, address: Address) -> Connection:
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await self._dial(lambda: protocol, address)
        writer = asyncio.StreamWriter(transport, protocol, reader, asyncio.get_running_loop())
        return Connection(reader, writer, address, alpn_of(transport))

    async def _dial(
        self, factory: Callable[[], _AnyProtocol], address: Address
    ) -> tuple[asyncio.Transport, _AnyProtocol]:
        loop = asyncio.get_running_loop()
        try:
            return await loop.create_connection(
                factory,
                address.ip,
                address.port,
                ssl=self._context,
                server_hostname=self._name(address),
            )
        except ssl.SSLError as error:
            raise TlsError(f"TLS_error: {error.reason or error}") from None
        except OSError as error:
            raise DialError(f"delayed connect error: {_reason(error)}") from None

    def _name(self, address: Address) -> str | None:
        tls = self._cluster.tls
        return None if tls is None else tls.sni or address.endpoint.host


def alpn_of(transport: asyncio.Transport) -> str | None:
    """Tell the protocol that both sides of a new connection agreed on."""
    secure: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    return None if secure is None else secure.selected_alpn_protocol()


def _reason(error: OSError) -> str:
    """The system's text alone: asyncio's has the address in front of it."""
    known = error.errno is not None and error.errno in errno.errorcode
    return os.strerror(error.errno or 0) if known else str(error)
