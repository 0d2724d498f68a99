//! What is read of a request.

macro_rules! slots {
    ($($slot:ident $path:literal)*) => {
        /// What is read, by its place in `PATHS`.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum Slot { $($slot),* }

        /// Paths whose parts are joined by bars, which none of them has.
        pub const PATHS: &[&str] = &[$($path),*];
    };
}

slots! {
    ReporterKind "mixer|attribute|context.reporter.kind"
    Direction "xds|listener_direction"
    SourceWorkload "mixer|attribute|source.workload.name"
    SourceNamespace "mixer|attribute|source.workload.namespace"
    SourcePrincipal "source|principal"
    SourceApp "mixer|attribute|source.labels|app"
    SourceVersion "mixer|attribute|source.labels|version"
    SourceService "mixer|attribute|source.labels|service.istio.io/canonical-name"
    SourceRevision "mixer|attribute|source.labels|service.istio.io/canonical-revision"
    DestinationWorkload "mixer|attribute|destination.workload.name"
    DestinationNamespace "mixer|attribute|destination.workload.namespace"
    DestinationPrincipal "destination|principal"
    DestinationApp "mixer|attribute|destination.labels|app"
    DestinationVersion "mixer|attribute|destination.labels|version"
    DestinationService "mixer|attribute|destination.labels|service.istio.io/canonical-name"
    DestinationRevision "mixer|attribute|destination.labels|service.istio.io/canonical-revision"
    OwnWorkload "xds|node|metadata|WORKLOAD_NAME"
    OwnNamespace "xds|node|metadata|NAMESPACE"
    OwnCluster "xds|node|metadata|CLUSTER_ID"
    OwnApp "xds|node|metadata|LABELS|app"
    OwnVersion "xds|node|metadata|LABELS|version"
    OwnService "xds|node|metadata|LABELS|service.istio.io/canonical-name"
    OwnRevision "xds|node|metadata|LABELS|service.istio.io/canonical-revision"
    ServiceHost "mixer|attribute|destination.service.host"
    ServiceName "mixer|attribute|destination.service.name"
    ServiceNamespace "mixer|attribute|destination.service.namespace"
    Cluster "xds|cluster_name"
    ApiProtocol "mixer|attribute|api.protocol"
    ContextProtocol "mixer|attribute|context.protocol"
    Mtls "connection|mtls"
    PeerUri "connection|uri_san_peer_certificate"
    LocalUri "connection|uri_san_local_certificate"
    UpstreamUri "upstream|uri_san_peer_certificate"
    UpstreamLocalUri "upstream|uri_san_local_certificate"
    ProxyError "mixer|attribute|context.proxy_error_code"
    Flags "response|flags"
    Code "response|code"
    Duration "request|duration"
    RequestBytes "request|total_size"
    ResponseBytes "response|total_size"
    ContentType "request|headers|content-type"
    Method "request|method"
    GrpcStatus "response|grpc_status"
    Event "mixer|attribute|connection.event"
    Sent "mixer|attribute|connection.sent.bytes"
    Received "mixer|attribute|connection.received.bytes"
}

/// Labels are made of those before it, and of the late ones; it and those after it are amounts.
pub const FIRST_AMOUNT: usize = Slot::Duration as usize;

/// It and those after it are seldom needed, and cost more than others.
pub const FIRST_LATE: usize = Slot::ContentType as usize;

/// It and those after it are amounts too, of connections.
pub const FIRST_LATE_AMOUNT: usize = Slot::Event as usize;
