//! One record, and the values of Istio's labels over it.

use super::protocol::protocol;
use super::{flags, Kind, Slot};
use std::borrow::Cow;

/// Whose proxy tells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reporter {
    Source,
    Destination,
    Unknown,
}

/// What was read of a request or a connection.
pub struct Record<'a> {
    values: &'a dyn Fn(Slot) -> Option<&'a [u8]>,
    pub kind: Kind,
    pub reporter: Reporter,
}

type Text<'a> = Option<Cow<'a, [u8]>>;

const INBOUND: u64 = 1;
const OUTBOUND: u64 = 2;

impl<'a> Record<'a> {
    /// A record as one proxy tells it; `reporter` is which, where the configuration says so.
    pub fn new(values: &'a dyn Fn(Slot) -> Option<&'a [u8]>, reporter: Option<Reporter>) -> Self {
        let mut record = Self {
            values,
            kind: Kind::Http,
            reporter: Reporter::Unknown,
        };
        if record.is_connection() {
            record.kind = Kind::Tcp;
        }
        record.reporter = reporter.unwrap_or_else(|| record.told_reporter());
        record
    }

    pub fn get(&self, slot: Slot) -> Option<&'a [u8]> {
        (self.values)(slot).filter(|value| !value.is_empty())
    }

    pub fn first(&self, slots: &[Slot]) -> Option<&'a [u8]> {
        slots.iter().find_map(|slot| self.get(*slot))
    }

    pub fn number(&self, slot: Slot) -> Option<u64> {
        Some(u64::from_le_bytes(self.get(slot)?.try_into().ok()?))
    }

    fn is_connection(&self) -> bool {
        self.get(Slot::ContextProtocol) == Some(b"tcp")
            || self.may_be_connection() && self.get(Slot::Method).is_none()
    }

    /// Whether only the method tells.
    pub fn may_be_connection(&self) -> bool {
        // The host says that everything is HTTP that is no gRPC.
        let told = matches!(self.get(Slot::ContextProtocol), Some(b"tcp" | b"grpc"));
        !told && self.get(Slot::Code).is_none()
    }

    /// What the caller says that a request speaks.
    pub fn told_protocol(&self) -> Option<&'a [u8]> {
        self.first(&[Slot::ApiProtocol, Slot::ContextProtocol])
    }

    fn told_reporter(&self) -> Reporter {
        match (self.get(Slot::ReporterKind), self.number(Slot::Direction)) {
            (Some(b"inbound"), _) | (None, Some(INBOUND)) => Reporter::Destination,
            (Some(b"outbound"), _) | (None, Some(OUTBOUND)) => Reporter::Source,
            _ => Reporter::Unknown,
        }
    }

    /// The values of `LABELS` in their order; None for what is not known.
    pub fn labels(&self, mut put: impl FnMut(Text<'a>)) {
        let mut text = |value: Option<&'a [u8]>| put(value.map(Cow::Borrowed));
        text(match self.reporter {
            Reporter::Source => Some(b"source"),
            Reporter::Destination => Some(b"destination"),
            Reporter::Unknown => None,
        });
        self.peers(&mut text);
        self.service(&mut text);
        text(Some(protocol(self)));
        text(self.security_policy());
        put(self.response_flags());
        put(self.code());
        put(self.grpc_status());
    }

    fn peers(&self, text: &mut impl FnMut(Option<&'a [u8]>)) {
        use Slot::{
            DestinationApp, DestinationNamespace, DestinationPrincipal, DestinationRevision,
            DestinationService, DestinationVersion, DestinationWorkload, LocalUri, PeerUri,
            SourceApp, SourceNamespace, SourcePrincipal, SourceRevision, SourceService,
            SourceVersion, SourceWorkload, UpstreamLocalUri, UpstreamUri,
        };
        let outbound = self.reporter == Reporter::Source;
        let (source, destination) = match outbound {
            true => (
                [SourcePrincipal, UpstreamLocalUri],
                [DestinationPrincipal, UpstreamUri],
            ),
            false => ([SourcePrincipal, PeerUri], [DestinationPrincipal, LocalUri]),
        };
        let own = (self.reporter != Reporter::Unknown).then_some(outbound);
        let slots = [
            SourceWorkload,
            SourceNamespace,
            SourceApp,
            SourceVersion,
            SourceService,
            SourceRevision,
        ];
        self.peer(slots, source, own == Some(true), text);
        let slots = [
            DestinationWorkload,
            DestinationNamespace,
            DestinationApp,
            DestinationVersion,
            DestinationService,
            DestinationRevision,
        ];
        self.peer(slots, destination, own == Some(false), text);
    }

    /// A workload: of that which the proxy is of, its node tells what nothing else does.
    fn peer(
        &self,
        [workload, namespace, app, version, service, revision]: [Slot; 6],
        principal: [Slot; 2],
        own: bool,
        text: &mut impl FnMut(Option<&'a [u8]>),
    ) {
        let told = |slot: Slot, node: Slot| {
            let node = || if own { self.get(node) } else { None };
            self.get(slot).or_else(node)
        };
        let name = told(workload, Slot::OwnWorkload);
        let app = told(app, Slot::OwnApp);
        let version = told(version, Slot::OwnVersion);
        let service = told(service, Slot::OwnService).or(app).or(name);
        let revision = told(revision, Slot::OwnRevision).or(version);
        text(name);
        text(told(namespace, Slot::OwnNamespace));
        text(self.first(&principal));
        text(app);
        text(version);
        text(if own {
            self.get(Slot::OwnCluster)
        } else {
            None
        });
        text(service);
        text(revision.or(service.map(|_| &b"latest"[..])));
    }

    /// The service: as Mixer's callers tell it, or as Istio names Envoy's clusters,
    /// `outbound|80||a.b.svc.cluster.local`.
    fn service(&self, text: &mut impl FnMut(Option<&'a [u8]>)) {
        let cluster = self.get(Slot::Cluster);
        let of_cluster = cluster.and_then(host_of_cluster);
        let host = self.get(Slot::ServiceHost).or(of_cluster);
        let mut parts = host.unwrap_or_default().split(|byte| *byte == b'.');
        let (first, second, third) = (parts.next(), parts.next(), parts.next());
        let of_kubernetes = third == Some(b"svc");
        let name = match host {
            Some(_) if of_kubernetes => first,
            // Such as PassthroughCluster and BlackHoleCluster.
            host => host.or(cluster.filter(|one| !one.contains(&b'|'))),
        };
        text(host);
        text(self.get(Slot::ServiceName).or(name));
        text(
            self.get(Slot::ServiceNamespace)
                .or(second.filter(|_| of_kubernetes)),
        );
    }

    /// The server's side knows how it was reached, and the client's does not.
    fn security_policy(&self) -> Option<&'static [u8]> {
        match (self.reporter, self.get(Slot::Mtls)) {
            (Reporter::Source, _) | (_, None) => None,
            (_, Some([0])) => Some(b"none"),
            _ => Some(b"mutual_tls"),
        }
    }

    fn response_flags(&self) -> Text<'a> {
        let told = self.get(Slot::ProxyError).map(Cow::Borrowed);
        let named = |flags| Cow::Owned(flags::names(flags).into_bytes());
        told.or_else(|| match self.number(Slot::Flags) {
            None | Some(0) => Some(Cow::Borrowed(&b"-"[..])),
            Some(flags) => Some(named(flags)),
        })
    }

    /// Of a request without a response 0, as Istio's proxies tell it.
    fn code(&self) -> Text<'a> {
        if self.kind == Kind::Tcp {
            return None;
        }
        match self.number(Slot::Code).unwrap_or(0) {
            0 => Some(Cow::Borrowed(b"0")),
            200 => Some(Cow::Borrowed(b"200")),
            code => Some(Cow::Owned(code.to_string().into_bytes())),
        }
    }

    /// That of gRPC alone: for other requests Envoy tells one too, made of the HTTP status.
    fn grpc_status(&self) -> Text<'a> {
        if protocol(self) != b"grpc" {
            return Some(Cow::Borrowed(b""));
        }
        Some(Cow::Owned(
            self.number(Slot::GrpcStatus)?.to_string().into_bytes(),
        ))
    }

    /// What each metric of `STANDARD` that is of this kind counts; None where that is not told.
    pub fn amounts(&self) -> [Option<u64>; super::OF_EACH] {
        match self.kind {
            Kind::Http => [
                Some(1),
                self.number(Slot::Duration).map(|length| length / 1_000_000),
                self.number(Slot::RequestBytes),
                self.number(Slot::ResponseBytes),
            ],
            Kind::Tcp => {
                // Without events a record is of a whole connection.
                let event = self.get(Slot::Event);
                let is = |name: &[u8]| event.is_none_or(|event| event == name);
                [
                    is(b"open").then_some(1),
                    is(b"close").then_some(1),
                    self.number(Slot::Sent).or(self.number(Slot::ResponseBytes)),
                    self.number(Slot::Received)
                        .or(self.number(Slot::RequestBytes)),
                ]
            }
        }
    }
}

/// The host in `outbound|80||HOST`; None for other names.
fn host_of_cluster(cluster: &[u8]) -> Option<&[u8]> {
    let rest = cluster
        .strip_prefix(b"outbound|")
        .or(cluster.strip_prefix(b"inbound|"))?;
    let host = rest.splitn(3, |byte| *byte == b'|').nth(2)?;
    (!host.is_empty()).then_some(host)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
