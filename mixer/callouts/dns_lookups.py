"""Names that modules ask for, for all VMs of one event loop."""

import asyncio
from collections.abc import Callable

from mixer.callouts.addresses import REFRESH_S, Address, Addresses
from mixer.callouts.clusters import Cluster, Discovery
from mixer.callouts.naming import Clusters
from mixer.callouts.ports import Cancel, DnsAddress, DnsReply

Done = Callable[[DnsReply], None]


class DnsLookups:
    """Resolves hosts of clusters and of dynamic upstreams.

    Args:
        clusters: Which there are.
        addresses: Knows DNS.
    """

    def __init__(self, clusters: Clusters, addresses: Addresses) -> None:
        self._clusters = clusters
        self._addresses = addresses
        self._asking: set[asyncio.Task[None]] = set()

    def resolve_dns(self, name: str, done: Done) -> Cancel:
        """See `mixer.callouts.ports.Callouts`.

        Addresses that a dynamic upstream may not be connected to are not told either.
        """
        cluster = self._clusters.of_host(name)
        task = asyncio.create_task(self._resolve(cluster, done))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

        def cancel() -> None:
            task.cancel()

        return cancel

    async def _resolve(self, cluster: Cluster, done: Done) -> None:
        found = await self._addresses.of(cluster)
        ttl = 0 if cluster.discovery is Discovery.STATIC else int(REFRESH_S)
        done(tuple(DnsAddress(one.ip, ttl) for one in _of_one_family(found)))

    async def close(self) -> None:
        """Give up what is being asked."""
        asking = list(self._asking)
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)


def _of_one_family(addresses: tuple[Address, ...]) -> tuple[Address, ...]:
    """Those of IPv6, or those of IPv4 where there are none: as Envoy asks, in this order."""
    return tuple(one for one in addresses if ":" in one.ip) or addresses
