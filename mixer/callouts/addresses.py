"""The addresses behind the endpoints of a cluster: literal, or as DNS tells them."""

import asyncio
import ipaddress
import logging
import socket
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from mixer.callouts.clusters import Cluster, Discovery, Endpoint
from mixer.callouts.naming import is_address

_log = logging.getLogger(__name__)

Lookup = Callable[[str], Awaitable[Sequence[str]]]
"""Tells the addresses of a host; raises OSError where there are none."""

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

REFRESH_S = 5.0
"""For how many seconds an answer is used: as Envoy's ``dns_refresh_rate``."""

_MOST_HOSTS = 1024
# Of dynamic upstreams: each is a thread that waits for the system's resolver.
_MOST_QUESTIONS = 64
# The only addresses of IPv6 that are routed; not all that Python takes for global are among them.
_ROUTED = ipaddress.IPv6Network("2000::/3")
# Reserved, which not every version of Python knows.
_RESERVED = (ipaddress.IPv4Network("192.0.0.0/24"), ipaddress.IPv6Network("3fff::/20"))
# Prefixes with an IPv4 address behind them: NAT64, and the deprecated compatible addresses.
_WITH_IPV4 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("::/96"))


@dataclass(frozen=True, slots=True)
class Address:
    """Where to connect.

    Attributes:
        ip: Without brackets.
        port: From 1.
        endpoint: What it comes from; its host is the name for TLS.
    """

    ip: str
    port: int
    endpoint: Endpoint


class Addresses:
    """What DNS told, for all clusters of one event loop.

    An answer is used for five seconds, as in Envoy, and then until the next one is there; where a
    later question fails, the last answer goes on being used. At most 1024 hosts are remembered. A
    dynamic upstream has no address while 64 questions are under way.

    Args:
        lookup: Asks DNS; that of the running event loop when not given.
    """

    def __init__(self, lookup: Lookup | None = None) -> None:
        self._lookup = lookup or _system_lookup
        self._answers: OrderedDict[str, tuple[float, tuple[str, ...]]] = OrderedDict()
        self._asking: dict[str, asyncio.Task[tuple[str, ...]]] = {}

    def known(self, cluster: Cluster) -> tuple[Address, ...] | None:
        """Tell the addresses without asking DNS, or None where it was not asked before.

        An answer that is due to be refreshed still counts, and is refreshed meanwhile.
        """
        found: list[Address] = []
        for endpoint in cluster.endpoints:
            ips = self._known_ips(endpoint.host)
            if ips is None:
                return None
            found += _of_endpoint(cluster, endpoint, ips)
        return tuple(found)

    async def of(self, cluster: Cluster) -> tuple[Address, ...]:
        """Tell the addresses of a cluster, in the order of its endpoints; perhaps none.

        Those that a dynamic upstream may not be connected to are left out.
        """
        found: list[Address] = []
        for endpoint in cluster.endpoints:
            if cluster.public_only and self._is_busy(endpoint.host):
                continue
            found += _of_endpoint(cluster, endpoint, await self._ips(endpoint.host))
        return tuple(found)

    async def close(self) -> None:
        """Give up what is being asked."""
        asking = list(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    def _known_ips(self, host: str) -> tuple[str, ...] | None:
        if is_address(host):
            return (host,)
        known = self._answers.get(host)
        if known is None:
            return None
        if known[0] <= asyncio.get_running_loop().time():
            self._start_asking(host)
        return known[1]

    def _is_busy(self, host: str) -> bool:
        """Whether a host that nobody asked for yet cannot be asked for now."""
        new = not is_address(host) and host not in self._answers and host not in self._asking
        if not new or len(self._asking) < _MOST_QUESTIONS:
            return False
        _log.warning("DNS is not asked for %s: %d questions wait", host, len(self._asking))
        return True

    async def _ips(self, host: str) -> tuple[str, ...]:
        known = self._known_ips(host)
        if known is not None:
            return known
        # A callout that is given up must not take the answer from those that wait for it too.
        return await asyncio.shield(self._start_asking(host))

    def _start_asking(self, host: str) -> asyncio.Task[tuple[str, ...]]:
        if host not in self._asking:
            task = asyncio.create_task(self._ask(host))
            self._asking[host] = task
            task.add_done_callback(lambda _task: self._asking.pop(host))
        return self._asking[host]

    async def _ask(self, host: str) -> tuple[str, ...]:
        try:
            ips = tuple(dict.fromkeys(await self._lookup(host)))
        except (OSError, UnicodeError) as error:
            _log.warning("DNS tells no address of %s: %s", host, error)
            ips = self._answers.get(host, (0.0, ()))[1]
        self._answers[host] = (asyncio.get_running_loop().time() + REFRESH_S, ips)
        self._answers.move_to_end(host)
        if len(self._answers) > _MOST_HOSTS:
            self._answers.popitem(last=False)
        return ips


def is_public(ip: str) -> bool:
    """Whether an address belongs to the open internet, and so does what is embedded in it."""
    address = ipaddress.ip_address(ip)
    return all(_is_global(one) for one in (address, *_embedded(address)))


def _is_global(address: IpAddress) -> bool:
    if any(address in network for network in _RESERVED):
        return False
    if isinstance(address, ipaddress.IPv6Address) and not _leads_to_ipv4(address):
        return address.is_global and address in _ROUTED
    return address.is_global and not address.is_multicast


def _leads_to_ipv4(address: ipaddress.IPv6Address) -> bool:
    return address.ipv4_mapped is not None or any(address in network for network in _WITH_IPV4)


def _embedded(address: IpAddress) -> tuple[IpAddress, ...]:
    """IPv4 addresses that an IPv6 address leads to: mapped, 6to4, Teredo and others."""
    if isinstance(address, ipaddress.IPv4Address):
        return ()
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if any(address in network for network in _WITH_IPV4):
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
    return tuple(one for one in found if one is not None)


def _of_endpoint(cluster: Cluster, endpoint: Endpoint, ips: Sequence[str]) -> list[Address]:
    if cluster.discovery is Discovery.LOGICAL_DNS:
        ips = ips[:1]
    found = [Address(ip, endpoint.port, endpoint) for ip in ips]
    return [one for one in found if not cluster.public_only or _may_connect(cluster, one)]


def _may_connect(cluster: Cluster, address: Address) -> bool:
    if is_public(address.ip):
        return True
    ip = ipaddress.ip_address(address.ip)
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    if any(ip in network or (mapped or ip) in network for network in cluster.networks):
        return True
    _log.warning(
        "dynamic upstream %s: %s is not public and in none of its networks",
        cluster.name,
        address.ip,
    )
    return False


async def _system_lookup(host: str) -> Sequence[str]:
    # In a thread of its own: those of the loop are few, and it waits for them when it ends.
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Sequence[str]] = loop.create_future()

    def tell(found: Sequence[str] | Exception) -> None:
        if answer.done():
            return
        if isinstance(found, Exception):
            answer.set_exception(found)
        else:
            answer.set_result(found)

    def ask() -> None:
        found = _asked(host)
        with suppress(RuntimeError):  # the loop has been closed
            loop.call_soon_threadsafe(tell, found)

    threading.Thread(target=ask, name="mixer-dns", daemon=True).start()
    return await answer


def _asked(host: str) -> Sequence[str] | Exception:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return error
    return [str(sockaddr[0]) for *_, sockaddr in found]
