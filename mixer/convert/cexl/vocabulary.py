"""Istio's attributes, with their types.

Source: the attribute manifests of Istio 1.3.
"""

from types import MappingProxyType

from mixer.convert.cexl.nodes import ValueType

_NAMES = {
    ValueType.STRING: """
        api.operation api.protocol api.service api.version check.error_message connection.event
        connection.id connection.requested_server_name context.protocol context.proxy_error_code
        context.reporter.kind context.reporter.uid destination.container.name destination.name
        destination.namespace destination.owner destination.principal destination.service.host
        destination.service.name destination.service.namespace destination.service.uid
        destination.serviceAccount destination.uid destination.workload.name
        destination.workload.namespace destination.workload.uid origin.uid origin.user
        rbac.permissive.effective_policy_id rbac.permissive.response_code request.api_key
        request.auth.audiences request.auth.presenter request.auth.principal
        request.auth.raw_claims request.host request.id request.method request.path
        request.reason request.referer request.scheme request.url_path request.useragent
        response.grpc_message response.grpc_status source.name source.namespace source.owner
        source.principal source.serviceAccount source.services source.uid source.user
        source.workload.name source.workload.namespace source.workload.uid
    """,
    ValueType.INT64: """
        check.error_code connection.received.bytes connection.received.bytes_total
        connection.sent.bytes connection.sent.bytes_total destination.port request.size
        request.total_size response.code response.size response.total_size
    """,
    ValueType.BOOL: "check.cache_hit connection.mtls context.reporter.local quota.cache_hit",
    ValueType.TIMESTAMP: "context.time context.timestamp request.time response.time",
    ValueType.DURATION: "connection.duration response.duration",
    ValueType.IP_ADDRESS: "destination.ip origin.ip source.ip",
    ValueType.STRING_MAP: """
        destination.labels destination.metadata request.auth.claims request.headers
        request.query_params response.headers source.labels
    """,
}
ISTIO_VOCABULARY = MappingProxyType(
    {name: kind for kind, names in _NAMES.items() for name in names.split()}
)
"""Every attribute's type."""
