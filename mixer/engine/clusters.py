"""The configured clusters, as callouts take them."""

import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mixer import config
from mixer.callouts.clusters import (
    Cluster,
    ClusterLimits,
    ClusterTls,
    Discovery,
    DynamicUpstream,
    Endpoint,
    HttpProtocol,
)
from mixer.callouts.naming import Clusters
from mixer.callouts.ports import Callouts, NoCallouts
from mixer.config.cluster import split_host_port


def configured_clusters(spec: config.MixerSpec) -> Clusters:
    """Make what finds a cluster by its name."""
    return Clusters(map(_cluster, spec.clusters), map(_dynamic, spec.dynamic_upstreams))


def check_clusters(spec: config.MixerSpec) -> None:
    """Read the files of TLS settings, as they are read at the start. Raises TlsFilesError."""
    from mixer.callouts.tls import client_context

    clusters = configured_clusters(spec)
    for cluster in clusters:
        client_context(cluster)
    for rule in clusters.dynamic:
        client_context(Cluster(f"dynamic upstream {', '.join(rule.hosts)}", (), tls=rule.tls))


@asynccontextmanager
async def open_callouts(spec: config.MixerSpec) -> AsyncIterator[Callouts]:
    """Open callouts to the configured clusters, for the running event loop; left, they are closed.

    Raises:
        TlsFilesError: A file of a cluster's TLS settings cannot be used.
    """
    if not (spec.clusters or spec.dynamic_upstreams):
        yield NoCallouts()
        return
    # A service without clusters needs no HTTP, gRPC or Redis.
    from mixer.callouts.addresses import Addresses
    from mixer.callouts.assembly import ClusterCallouts
    from mixer.callouts.grpc_calls import GrpcCalls
    from mixer.callouts.redis_calls import RedisCalls

    clusters, addresses = configured_clusters(spec), Addresses()
    async with ClusterCallouts(
        clusters,
        addresses=addresses,
        grpc=GrpcCalls(clusters, addresses),
        redis=RedisCalls(clusters, addresses),
    ) as callouts:
        yield callouts


def _cluster(one: config.Cluster) -> Cluster:
    return Cluster(
        name=one.name,
        endpoints=tuple(Endpoint(*split_host_port(address)) for address in one.endpoints),
        discovery=Discovery(one.discovery),
        protocol=HttpProtocol(one.protocol),
        tls=_tls(one.tls),
        connect_timeout=one.connect_timeout,
        limits=_limits(one.limits),
        aliases=one.aliases,
    )


def _dynamic(one: config.DynamicUpstream) -> DynamicUpstream:
    return DynamicUpstream(
        hosts=one.hosts,
        ports=one.ports,
        networks=tuple(map(ipaddress.ip_network, one.networks)),
        protocol=HttpProtocol(one.protocol),
        tls=_tls(one.tls),
        connect_timeout=one.connect_timeout,
        limits=_limits(one.limits),
    )


def _tls(one: config.ClusterTls | None) -> ClusterTls | None:
    if one is None:
        return None
    return ClusterTls(
        sni=one.sni,
        ca_file=one.ca_file,
        cert_file=one.cert_file,
        key_file=one.key_file,
        verify=not one.insecure_skip_verify,
    )


def _limits(one: config.ClusterLimits) -> ClusterLimits:
    return ClusterLimits(
        max_connections=one.max_connections,
        max_pending_requests=one.max_pending_requests,
        max_requests=one.max_requests,
        max_response_bytes=one.max_response_bytes,
    )
