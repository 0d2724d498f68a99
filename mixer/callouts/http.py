"""HTTP callouts over HTTP/1.1 and HTTP/2, for one event loop.

h11 and h2 speak the protocols and asyncio moves the bytes: the well-known clients (aiohttp, httpx)
hand over no trailers, which the ABI has in both directions. What a failure looks like is in
`mixer.callouts.http_failures`. Nothing is ever sent twice: Envoy makes no retries for modules.
"""

import asyncio

from mixer.callouts.addresses import Addresses
from mixer.callouts.callout import Done
from mixer.callouts.cluster_client import ClusterClient
from mixer.callouts.clusters import Cluster
from mixer.callouts.naming import Clusters
from mixer.callouts.pool import ALPN
from mixer.callouts.ports import Cancel, HttpCall, NotSentError
from mixer.callouts.tls import TlsContexts

_MOST_DYNAMIC = 256


class HttpClient:
    """Makes HTTP callouts.

    Args:
        clusters: Finds clusters; the TLS files of those that are configured are read now,
            and those of dynamic upstreams.
        addresses: Knows DNS.

    Raises:
        TlsFilesError: A file of TLS settings cannot be used.
    """

    def __init__(self, clusters: Clusters, addresses: Addresses) -> None:
        self._clusters, self._addresses = clusters, addresses
        self._contexts = TlsContexts()
        self._clients: dict[str, ClusterClient] = {}
        self._dynamic: dict[str, ClusterClient] = {}
        self._closed = False
        for cluster in clusters:
            self._clients[cluster.name] = self._make(cluster)
        for rule in clusters.dynamic:
            named = Cluster(f"dynamic upstream {', '.join(rule.hosts)}", (), tls=rule.tls)
            self._contexts.of(named, ALPN[rule.protocol])

    def http_call(self, call: HttpCall, done: Done) -> Cancel:
        """See `mixer.callouts.ports.Callouts`."""
        cluster = self._clusters.find(call.cluster)
        if self._closed:
            raise NotSentError("the service is stopping")
        client = self._clients.get(cluster.name) or self._dynamic.get(cluster.name)
        if client is None:
            client = self._make_dynamic(cluster)
        return client.http_call(call, done)

    async def close(self) -> None:
        """Close all connections; callouts under way end without an answer."""
        self._closed = True
        for client in (*self._clients.values(), *self._dynamic.values()):
            await client.close()
        await asyncio.sleep(0)  # asyncio tells a connection in the next turn that it is closed

    def _make_dynamic(self, cluster: Cluster) -> ClusterClient:
        self._dynamic = {name: one for name, one in self._dynamic.items() if not one.empty}
        if len(self._dynamic) >= _MOST_DYNAMIC:
            raise NotSentError(f"{_MOST_DYNAMIC} dynamic upstreams are in use")
        client = self._dynamic[cluster.name] = self._make(cluster)
        return client

    def _make(self, cluster: Cluster) -> ClusterClient:
        context = self._contexts.of(cluster, ALPN[cluster.protocol])
        return ClusterClient(cluster, self._addresses, context)
