//! The attributes by name and type: Envoy's, and under `mixer.attribute` those of Istio's Mixer.

/// How the host encodes an attribute.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    Text,
    Int,
    Uint,
    Bool,
    Time,
    Duration,
    /// An address: 4 or 16 bytes.
    Address,
    /// Text by further keys.
    Map,
    /// Anything by further keys.
    Message,
}

/// The type of what a path names; None where that is not known.
pub fn kind(path: &[String]) -> Option<Kind> {
    let (name, keys) = split(path)?;
    match (name?, keys) {
        (Kind::Map, [_]) => Some(Kind::Text),
        (Kind::Map | Kind::Message, _) => None,
        (kind, []) => Some(kind),
        _ => None,
    }
}

/// Whether a path begins with an attribute that there may be, or with a part of one.
///
/// One that does not has a mistake in it, rather than naming what is absent from a request.
pub fn may_be_absent(path: &[String]) -> bool {
    matches!(path, [mixer, ..] if mixer == "mixer") || matches!(split(path), Some((Some(_), _)))
}

/// The type of the attribute that a path begins with, and the keys that come after its name.
fn split(path: &[String]) -> Option<(Option<Kind>, &[String])> {
    match path {
        [mixer, attribute, name, keys @ ..] if mixer == "mixer" && attribute == "attribute" => {
            Some((find(ISTIO, name), keys))
        }
        [mixer, quota, name] if mixer == "mixer" && quota == "quota" => {
            Some((find(QUOTA, name), &[]))
        }
        [mixer, name] if mixer == "mixer" => Some((find(MIXER, name), &[])),
        [group, name, keys @ ..] if find(ENVOY, group).is_none() => {
            Some((find(ENVOY, &format!("{group}.{name}")), keys))
        }
        [name, keys @ ..] => Some((find(ENVOY, name), keys)),
        [] => None,
    }
}

type Table = &'static [(Kind, &'static str)];

fn find(table: Table, name: &str) -> Option<Kind> {
    let row = table
        .iter()
        .find(|(_, names)| names.split_ascii_whitespace().any(|n| n == name));
    row.map(|(kind, _)| *kind)
}

const MIXER: Table = &[(Kind::Text, "operation dedup_id caller")];
const QUOTA: Table = &[
    (Kind::Text, "name"),
    (Kind::Int, "amount"),
    (Kind::Bool, "best_effort"),
];
const ENVOY: Table = &[
    (
        Kind::Text,
        "request.path request.url_path request.host request.scheme request.method \
         request.referer request.useragent request.id request.protocol request.query \
         response.code_details source.address destination.address upstream.address \
         upstream.local_address source.principal destination.principal source.service \
         destination.service source.certificate connection.requested_server_name \
         connection.tls_version connection.termination_details \
         connection.transport_failure_reason connection.subject_local_certificate \
         connection.subject_peer_certificate connection.dns_san_local_certificate \
         connection.dns_san_peer_certificate connection.uri_san_local_certificate \
         connection.uri_san_peer_certificate connection.sha256_peer_certificate_digest \
         upstream.tls_version upstream.transport_failure_reason xds.cluster_name xds.route_name \
         xds.virtual_host_name xds.filter_chain_name plugin_name plugin_root_id plugin_vm_id",
    ),
    (
        Kind::Int,
        "request.size request.total_size request.headers_bytes response.code response.flags \
         response.grpc_status response.size response.total_size response.headers_bytes \
         source.port destination.port upstream.port xds.listener_direction",
    ),
    (
        Kind::Uint,
        "connection.id upstream.request_attempt_count upstream.num_endpoints connection_id",
    ),
    (Kind::Bool, "connection.mtls"),
    (Kind::Time, "request.time"),
    (
        Kind::Duration,
        "request.duration response.backend_latency upstream.cx_pool_ready_duration",
    ),
    (
        Kind::Map,
        "request.headers response.headers response.trailers source.labels destination.labels \
         context_extensions",
    ),
    (
        Kind::Message,
        "filter_state upstream_filter_state metadata xds.node xds.cluster_metadata \
         xds.route_metadata xds.virtual_host_metadata xds.upstream_host_metadata \
         xds.upstream_host_locality_metadata xds.listener_metadata upstream.locality",
    ),
];
const ISTIO: Table = &[
    (
        Kind::Text,
        "api.operation api.protocol api.service api.version check.error_message connection.event \
         connection.id connection.requested_server_name context.protocol \
         context.proxy_error_code context.reporter.kind context.reporter.uid \
         destination.container.name destination.name destination.namespace destination.owner \
         destination.principal destination.service.host destination.service.name \
         destination.service.namespace destination.service.uid destination.serviceAccount \
         destination.uid destination.workload.name destination.workload.namespace \
         destination.workload.uid origin.uid origin.user rbac.permissive.effective_policy_id \
         rbac.permissive.response_code request.api_key request.auth.audiences \
         request.auth.presenter request.auth.principal request.auth.raw_claims request.host \
         request.id request.method request.path request.reason request.referer request.scheme \
         request.url_path request.useragent response.grpc_message response.grpc_status \
         source.name source.namespace source.owner source.principal source.serviceAccount \
         source.services source.uid source.user source.workload.name source.workload.namespace \
         source.workload.uid",
    ),
    (
        Kind::Int,
        "check.error_code connection.received.bytes connection.received.bytes_total \
         connection.sent.bytes connection.sent.bytes_total destination.port request.size \
         request.total_size response.code response.size response.total_size",
    ),
    (
        Kind::Bool,
        "check.cache_hit connection.mtls context.reporter.local quota.cache_hit",
    ),
    (
        Kind::Time,
        "context.time context.timestamp request.time response.time",
    ),
    (Kind::Duration, "connection.duration response.duration"),
    (Kind::Address, "destination.ip origin.ip source.ip"),
    (
        Kind::Map,
        "destination.labels destination.metadata request.auth.claims request.headers \
         request.query_params response.headers source.labels",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Vec<String> {
        crate::path::whole(text).unwrap()
    }

    #[test]
    fn types() {
        for (text, expected) in [
            ("source.address", Some(Kind::Text)),
            ("source.port", Some(Kind::Int)),
            ("connection_id", Some(Kind::Uint)),
            ("request.duration", Some(Kind::Duration)),
            ("request.headers['x']", Some(Kind::Text)),
            ("request.headers", None),
            ("request.headers.x.y", None),
            ("request.method.x", None),
            ("request.unheard", None),
            ("request", None),
            ("filter_state['x']", None),
            ("mixer.attribute['source.ip']", Some(Kind::Address)),
            ("mixer.attribute['source.labels'].app", Some(Kind::Text)),
            ("mixer.attribute['my.own']", None),
            ("mixer.attribute", None),
            ("mixer.quota.amount", Some(Kind::Int)),
            ("mixer.operation", Some(Kind::Text)),
        ] {
            assert_eq!(kind(&path(text)), expected, "{text}");
        }
    }

    #[test]
    fn what_may_be_absent() {
        for text in [
            "request.headers['x']",
            "response.code",
            "metadata.filter_metadata.a.b",
            "filter_state['x']",
            "mixer.attribute['my.own']",
            "mixer.attribute",
            "mixer.quota.name",
        ] {
            assert!(may_be_absent(&path(text)), "{text}");
        }
        for text in ["request.heders['x']", "reqest.path", "request", "x"] {
            assert!(!may_be_absent(&path(text)), "{text}");
        }
    }
}
