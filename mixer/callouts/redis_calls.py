"""Redis servers of clusters, for all VMs of one event loop."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from mixer.callouts.addresses import Addresses
from mixer.callouts.clusters import Cluster
from mixer.callouts.dialing import Connection, Dialer
from mixer.callouts.naming import Clusters
from mixer.callouts.ports import Redis, RedisTarget
from mixer.callouts.redis_client import RedisClient, RedisLimits
from mixer.callouts.redis_login import cluster_name
from mixer.callouts.resp import RespLimits
from mixer.callouts.tls import TlsContexts


class RedisCalls:
    """Opens connections to Redis.

    Args:
        clusters: Which there are.
        addresses: Knows DNS.
        limits: Of each connection; those of a reply are the cluster's.
    """

    def __init__(
        self, clusters: Clusters, addresses: Addresses, limits: RedisLimits | None = None
    ) -> None:
        self._clusters = clusters
        self._addresses = addresses
        self._limits = limits or RedisLimits()
        self._contexts = TlsContexts()

    def redis(self, target: RedisTarget) -> Redis:
        """See `mixer.callouts.ports.Callouts`; what stands behind ``?`` is no part of the name.

        The connection is made for the first call.
        """
        cluster = self._clusters.find(cluster_name(target.service))
        reply = RespLimits(size=cluster.limits.max_response_bytes)
        return RedisClient(target, self._connect(cluster), replace(self._limits, reply=reply))

    def _connect(self, cluster: Cluster) -> Callable[[], Awaitable[Connection]]:
        dialer: Dialer | None = None

        async def connect() -> Connection:
            nonlocal dialer
            context = self._contexts.of(cluster)
            dialer = dialer or Dialer(cluster, self._addresses, context=context)
            return await dialer.connect()

        return connect
