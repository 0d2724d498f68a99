"""Everything that modules may ask of clusters, put together for one event loop."""

from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from mixer.callouts.addresses import Addresses
from mixer.callouts.dns_lookups import DnsLookups
from mixer.callouts.http import HttpClient
from mixer.callouts.naming import Clusters
from mixer.callouts.ports import (
    Cancel,
    DnsReply,
    GrpcEvents,
    GrpcMethod,
    GrpcReply,
    GrpcStream,
    HttpCall,
    HttpReply,
    NotSentError,
    Redis,
    RedisTarget,
)


class GrpcClient(Protocol):
    """Makes gRPC callouts, see `mixer.callouts.ports.Callouts`."""

    def grpc_call(
        self, method: GrpcMethod, message: bytes, done: Callable[[GrpcReply], None]
    ) -> Cancel:
        """Call a unary method."""

    def grpc_stream(self, method: GrpcMethod, events: GrpcEvents) -> GrpcStream:
        """Open a stream."""

    async def close(self) -> None:
        """Close all connections."""


class RedisConnector(Protocol):
    """Connects to Redis, see `mixer.callouts.ports.Callouts`."""

    def redis(self, target: RedisTarget) -> Redis:
        """Connect to a server, soon."""


class ClusterCallouts:
    """Opens callouts to the clusters of a configuration; left, it closes every connection.

    Made in the thread of a running event loop, and used there.

    Args:
        clusters: Which there are.
        addresses: Knows DNS; the clients share it.
        grpc: Makes gRPC callouts; without it no cluster takes any.
        redis: Connects to Redis; without it no cluster takes any.

    Raises:
        TlsFilesError: A file of a cluster's TLS settings cannot be used.
    """

    def __init__(
        self,
        clusters: Clusters,
        *,
        addresses: Addresses | None = None,
        grpc: GrpcClient | None = None,
        redis: RedisConnector | None = None,
    ) -> None:
        self._addresses = addresses or Addresses()
        self._http = HttpClient(clusters, self._addresses)
        self._dns = DnsLookups(clusters, self._addresses)
        self._grpc, self._redis = grpc, redis

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def http_call(self, call: HttpCall, done: Callable[[HttpReply | None], None]) -> Cancel:
        """See `mixer.callouts.ports.Callouts`."""
        return self._http.http_call(call, done)

    def grpc_call(
        self, method: GrpcMethod, message: bytes, done: Callable[[GrpcReply], None]
    ) -> Cancel:
        """See `mixer.callouts.ports.Callouts`."""
        if self._grpc is None:
            raise NotSentError("this service makes no gRPC callouts")
        return self._grpc.grpc_call(method, message, done)

    def grpc_stream(self, method: GrpcMethod, events: GrpcEvents) -> GrpcStream:
        """See `mixer.callouts.ports.Callouts`."""
        if self._grpc is None:
            raise NotSentError("this service makes no gRPC callouts")
        return self._grpc.grpc_stream(method, events)

    def redis(self, target: RedisTarget) -> Redis:
        """See `mixer.callouts.ports.Callouts`."""
        if self._redis is None:
            raise NotSentError("this service makes no Redis callouts")
        return self._redis.redis(target)

    def resolve_dns(self, name: str, done: Callable[[DnsReply], None]) -> Cancel:
        """See `mixer.callouts.ports.Callouts`."""
        return self._dns.resolve_dns(name, done)

    async def close(self) -> None:
        """Close every connection; HTTP callouts under way end without an answer."""
        await self._dns.close()
        await self._http.close()
        if self._grpc is not None:
            await self._grpc.close()
        await self._addresses.close()
