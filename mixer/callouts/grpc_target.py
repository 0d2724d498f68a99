"""Which cluster a gRPC callout means: by its name, or by a serialized GrpcService."""

from dataclasses import dataclass, replace

from mixer.callouts.clusters import Cluster
from mixer.callouts.naming import Clusters
from mixer.callouts.ports import NotSentError, Pairs, UnknownClusterError


@dataclass(frozen=True, slots=True)
class Target:
    """Where a call goes.

    Attributes:
        cluster: Whom to connect to.
        authority: What the server is called.
        metadata: Of the GrpcService.
    """

    cluster: Cluster
    authority: str
    metadata: Pairs = ()


def find_target(given: bytes, clusters: Clusters) -> Target:
    """Find what a module means.

    A name goes first: Envoy reads every name as a GrpcService first, and ends where one happens to
    be a message of unknown fields. Of a GrpcService, ``timeout`` and ``retry_policy`` are not
    heeded, as by Envoy's Wasm filter.

    Raises:
        UnknownClusterError: It is neither a known name nor a GrpcService.
        NotSentError: It is a GrpcService of an unknown cluster, or one that cannot be used.
    """
    try:
        cluster = clusters.find(given.decode())
    except (UnknownClusterError, UnicodeDecodeError) as error:
        target = _of_service(given, clusters)
        if target is not None:
            return target
        if isinstance(error, UnicodeDecodeError):
            raise UnknownClusterError(f"no cluster {given[:100]!r}") from None
        raise
    return Target(cluster, cluster.name)


def _of_service(given: bytes, clusters: Clusters) -> Target | None:
    # Imported by the first call that needs it: it takes longer than all of this package.
    from envoy.config.core.v3.grpc_service_pb2 import GrpcService
    from google.protobuf.message import DecodeError

    try:
        service = GrpcService.FromString(given)
    except DecodeError:
        return None
    kind = service.WhichOneof("target_specifier")
    if kind is None:
        return None
    named = service.google_grpc if kind == "google_grpc" else service.envoy_grpc
    name = named.target_uri if kind == "google_grpc" else named.cluster_name
    try:
        cluster = clusters.find(_without_scheme(name))
    except UnknownClusterError as error:
        raise NotSentError(str(error)) from None
    if kind == "google_grpc" and _unusable(named):
        raise NotSentError(
            "google_grpc: only target_uri and stat_prefix can be used; clusters have TLS"
        )
    authority = cluster.name if kind == "google_grpc" else named.authority or cluster.name
    metadata = tuple((h.key.encode(), h.value.encode()) for h in service.initial_metadata)
    return replace(Target(cluster, authority), metadata=metadata)


def _without_scheme(uri: str) -> str:
    return uri.removeprefix("dns:///").removeprefix("ipv4:").removeprefix("dns:")


def _unusable(google: object) -> bool:
    fields = google.ListFields()  # type: ignore[attr-defined]
    return any(field.name not in {"target_uri", "stat_prefix"} for field, _ in fields)
