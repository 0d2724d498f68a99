"""gRPC callouts of all VMs of one event loop.

Not with grpc.aio: it hides headers and trailers that modules see in Envoy, and a server's status is
lost where the server answers before all of a stream was written ("Internal error from Core").
"""

from collections.abc import Callable

from mixer.callouts.addresses import Addresses
from mixer.callouts.clusters import Cluster
from mixer.callouts.grpc_channel import GrpcChannel
from mixer.callouts.grpc_exchange import UnaryEvents
from mixer.callouts.grpc_request import request_headers
from mixer.callouts.grpc_stream import OpenStream
from mixer.callouts.grpc_target import Target, find_target
from mixer.callouts.naming import Clusters
from mixer.callouts.ports import (
    Cancel,
    GrpcEvents,
    GrpcMethod,
    GrpcReply,
    GrpcStream,
    NotSentError,
)
from mixer.callouts.tls import TlsContexts, TlsFilesError

_MOST_DYNAMIC = 256


class GrpcCalls:
    """Opens gRPC calls and streams.

    Args:
        clusters: Which there are.
        addresses: Knows DNS.
    """

    def __init__(self, clusters: Clusters, addresses: Addresses) -> None:
        self._clusters = clusters
        self._addresses = addresses
        self._contexts = TlsContexts()
        self._channels: dict[Cluster, GrpcChannel] = {}

    def grpc_call(
        self, method: GrpcMethod, message: bytes, done: Callable[[GrpcReply], None]
    ) -> Cancel:
        """See `mixer.callouts.ports.Callouts`."""
        stream = self._open(method, UnaryEvents(done), method.timeout)
        stream.send(message, end_of_stream=True)
        return stream.reset

    def grpc_stream(self, method: GrpcMethod, events: GrpcEvents) -> GrpcStream:
        """See `mixer.callouts.ports.Callouts`; streams have no timeout, as in Envoy."""
        return self._open(method, events, None)

    async def close(self) -> None:
        """End all connections, and what is open on them."""
        for channel in self._channels.values():
            await channel.close()
        self._channels.clear()

    def _open(self, method: GrpcMethod, events: GrpcEvents, timeout: float | None) -> OpenStream:
        target = find_target(method.target, self._clusters)
        channel = self._channel(target)
        scheme = "http" if target.cluster.tls is None else "https"
        headers = request_headers(
            method,
            authority=target.authority,
            scheme=scheme,
            timeout=timeout,
            first=target.metadata,
        )
        return OpenStream(channel, headers, events, timeout)

    def _channel(self, target: Target) -> GrpcChannel:
        cluster = target.cluster
        found = self._channels.get(cluster)
        if found is None:
            for idle in [key for key, one in self._channels.items() if one.idle]:
                del self._channels[idle]
            self._check_room(cluster)
            try:
                found = self._channels[cluster] = GrpcChannel(
                    cluster, self._addresses, self._contexts
                )
            except TlsFilesError as error:
                raise NotSentError(str(error)) from None
        if found.open_calls >= cluster.limits.max_requests:
            raise NotSentError(
                f"cluster {cluster.name}: {cluster.limits.max_requests} gRPC calls are open "
                "already, the bound"
            )
        return found

    def _check_room(self, cluster: Cluster) -> None:
        dynamic = sum(one.public_only for one in self._channels)
        if cluster.public_only and dynamic >= _MOST_DYNAMIC:
            raise NotSentError(f"{_MOST_DYNAMIC} dynamic upstreams are in use")
