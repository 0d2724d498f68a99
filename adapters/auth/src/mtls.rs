//! The identity in the certificate that a peer has shown (SPIFFE).

use crate::claims::is_consumer_name;
use crate::forwarded_certificate;
use crate::reason::Reason;
use crate::request::{Cached, Request};
use crate::spiffe::{self, Pattern};

pub struct Mtls {
    pub identities: Vec<Known>,
    pub from: From,
}

/// Which identities are known, and as whom.
pub struct Known {
    pub pattern: Pattern,
    /// None for the identity itself.
    pub consumer: Option<String>,
}

/// Who says what the certificate is.
pub enum From {
    /// The proxy that asks, of its own connection.
    Connection,
    /// The header, with so many proxies between the peer and this one that are trusted.
    Forwarded { trusted_hops: usize },
}

impl Mtls {
    /// The consumer; None where the peer has shown no certificate with a URI.
    pub fn consumer<R: Request>(&self, request: &Cached<R>) -> Option<Result<String, Reason>> {
        let uri = match self.from {
            From::Connection => request.property("connection\0uri_san_peer_certificate"),
            From::Forwarded { trusted_hops } => {
                let header = request.whole_header("x-forwarded-client-cert")?;
                let uri = forwarded_certificate::uri(&header, trusted_hops.saturating_sub(1));
                Some(uri.unwrap_or_default().into_bytes().into())
            }
        };
        let uri =
            uri.filter(|uri| !uri.is_empty() || matches!(self.from, From::Forwarded { .. }))?;
        Some(self.known(&uri))
    }

    fn known(&self, uri: &[u8]) -> Result<String, Reason> {
        let id = spiffe::parse(uri).ok_or(Reason::CertificateIdentity)?;
        let known = self
            .identities
            .iter()
            .find(|known| known.pattern.matches(id));
        let known = known.ok_or(Reason::CertificateUnknown)?;
        let consumer = known.consumer.as_deref().unwrap_or(id);
        let sound = is_consumer_name(consumer);
        sound
            .then(|| consumer.to_owned())
            .ok_or(Reason::CertificateIdentity)
    }
}
