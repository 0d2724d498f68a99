"""The attributes by name and type.

They are Envoy's attributes, under Envoy's names, whichever front end filled them:
https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/advanced/attributes

What is asked beyond that is under ``mixer``: the operation (``check``, ``quota`` or ``report``, of
callers that say which), the quota with its name, amount and ``best_effort``, the domain and
descriptor of a rate limit, the deduplication id, who asks, what only a log entry has, Istio's
attributes by Istio's names, and subject, action, resource and context of AuthZEN.
"""

from types import MappingProxyType

from mixer.attributes.values import Kind

_NAMES: dict[Kind, str] = {
    Kind.STRING: """
        request.path request.url_path request.host request.scheme request.method request.referer
        request.useragent request.id request.protocol request.query
        response.code_details
        source.address destination.address upstream.address upstream.local_address
        source.principal destination.principal source.service destination.service
        source.certificate
        connection.requested_server_name connection.tls_version
        connection.termination_details connection.transport_failure_reason
        connection.subject_local_certificate connection.subject_peer_certificate
        connection.dns_san_local_certificate connection.dns_san_peer_certificate
        connection.uri_san_local_certificate connection.uri_san_peer_certificate
        connection.sha256_peer_certificate_digest
        upstream.tls_version upstream.transport_failure_reason
        xds.cluster_name xds.route_name xds.virtual_host_name xds.filter_chain_name
        plugin_name plugin_root_id plugin_vm_id
        mixer.operation mixer.dedup_id mixer.caller mixer.caller_principal mixer.host
    """,
    Kind.INT: """
        request.size request.total_size request.headers_bytes
        response.code response.flags response.grpc_status response.size response.total_size
        response.headers_bytes
        source.port destination.port upstream.port xds.listener_direction
    """,
    Kind.UINT: "connection.id upstream.request_attempt_count upstream.num_endpoints connection_id",
    Kind.BOOL: "connection.mtls",
    Kind.TIMESTAMP: "request.time",
    Kind.DURATION: "request.duration response.backend_latency upstream.cx_pool_ready_duration",
    Kind.MAP: """
        request.headers response.headers response.trailers
        filter_state upstream_filter_state source.labels destination.labels
        context_extensions
        mixer.quota mixer.rate_limit mixer.attribute mixer.log mixer.authzen
    """,
    Kind.MESSAGE: """
        metadata xds.node xds.cluster_metadata xds.route_metadata xds.virtual_host_metadata
        xds.upstream_host_metadata xds.upstream_host_locality_metadata xds.listener_metadata
        upstream.locality
    """,
}

VOCABULARY = MappingProxyType(
    {name: kind for kind, names in _NAMES.items() for name in names.split()}
)
"""Every attribute's declared type."""

LEGACY_NAMES = MappingProxyType(
    {
        **{
            name: f"xds.{name}"
            for name in (
                "node", "cluster_name", "cluster_metadata", "route_name", "route_metadata",
                "upstream_host_metadata", "filter_chain_name", "listener_metadata",
                "listener_direction",
            )
        },
        "x_request_id": "request.id",
    }
)  # fmt: skip
"""Names that older Envoys and Higress have, and modules in the wild ask for."""
