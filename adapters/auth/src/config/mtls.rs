//! `mtls`.

use super::credentials::consumer;
use crate::mtls::{From, Known, Mtls};
use crate::spiffe::Pattern;
use mixer_host::config::{ConfigError, Node};

const MAX_IDENTITIES: usize = 1024;

pub fn mtls(node: Node) -> Result<Mtls, ConfigError> {
    let mut object = node.object(&["identities", "forwarded_certificate"])?;
    let from = object.optional("forwarded_certificate").map(forwarded);
    Ok(Mtls {
        from: from.unwrap_or(Ok(From::Connection))?,
        identities: object
            .required("identities")?
            .each(1..=MAX_IDENTITIES, identity)?,
    })
}

fn forwarded(node: Node) -> Result<From, ConfigError> {
    let mut object = node.object(&["trusted_hops"])?;
    let trusted_hops = object.required("trusted_hops")?.whole(1..=16)? as usize;
    Ok(From::Forwarded { trusted_hops })
}

fn identity(node: Node) -> Result<Known, ConfigError> {
    let mut object = node.object(&["spiffe_id", "consumer"])?;
    let id = object.required("spiffe_id")?;
    let error = id.error(
        "must be a SPIFFE ID, spiffe://trust.domain/path, in which * may stand for a segment of \
         the path, or at its end for all that follow",
    );
    Ok(Known {
        pattern: Pattern::parse(&id.string()?).ok_or(error)?,
        consumer: object.optional("consumer").map(consumer).transpose()?,
    })
}
