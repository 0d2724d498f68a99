//! Signed requests: HTTP Message Signatures (RFC 9421) with HMAC-SHA-256.

pub mod digest;
mod fields;

use crate::reason::Reason;
use crate::replay::{self, Use};
use crate::request::{Cached, Expected, Request};
use fields::Input;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::collections::BTreeMap;

/// Of a body whose digest is signed; a host may have a bound of its own.
const CONTENT_DIGEST: &str = "content-digest";

/// Methods whose requests have no body, unless they are seen to.
const WITHOUT_BODY: [&[u8]; 5] = [b"GET", b"HEAD", b"OPTIONS", b"DELETE", b"TRACE"];

pub struct Signatures {
    pub keys: BTreeMap<String, Key>,
    /// What has to be signed beyond method, authority, path, query and the body's digest.
    pub required: Vec<String>,
    pub max_age: u64,
    pub leeway: u64,
    pub max_body_bytes: usize,
    /// Whether the headers wait until the body is seen to be what was signed.
    pub hold_headers: bool,
}

pub struct Key {
    pub secret: Vec<u8>,
    pub consumer: String,
}

impl Signatures {
    /// The consumer that signed the request; None where it has no signature.
    ///
    /// The headers alone decide, and the nonce is used up with them. A body comes later, and its
    /// digest is one of the headers that are signed.
    pub fn verify<R: Request>(&self, request: &Cached<R>) -> Option<Result<&str, Reason>> {
        let input = request.whole_header("signature-input");
        let signature = request.whole_header("signature");
        if input.is_none() && signature.is_none() {
            return None;
        }
        let (input, signature) = (input.unwrap_or_default(), signature.unwrap_or_default());
        Some(self.check(&input, &signature, request))
    }

    fn check<R: Request>(
        &self,
        input: &[u8],
        signature: &[u8],
        request: &Cached<R>,
    ) -> Result<&str, Reason> {
        // Whatever comes of it holds for this request alone.
        request.holds(0.0);
        let input = Input::parse(input).ok_or(Reason::SignatureMalformed)?;
        let signature = fields::signature(signature, input.label);
        let signature = signature.ok_or(Reason::SignatureMalformed)?;
        if input.algorithm.is_some_and(|name| name != "hmac-sha256") {
            return Err(Reason::SignatureAlgorithm);
        }
        let key = self.keys.get(input.key_id).ok_or(Reason::SignatureKey)?;
        self.check_components(&input.components, request)?;
        let now = request.now();
        self.check_times(&input, now)?;
        let base = base(&input, request)?;
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&key.secret).map_err(|_| Reason::SignatureKey)?;
        mac.update(&base);
        // Compares in constant time.
        mac.verify_slice(&signature)
            .map_err(|_| Reason::SignatureWrong)?;
        let used = Use {
            key_id: input.key_id,
            nonce: input.nonce.as_bytes(),
            created: input.created,
            max_age: self.max_age,
        };
        // Who only explains a request must not use up what it is sent with.
        let spends = request.property("mixer\0operation").as_deref() != Some(b"explain");
        replay::take(request.inner(), &used, now, spends)?;
        self.check_body(&input.components, request)?;
        Ok(&key.consumer)
    }

    fn check_components<R: Request>(
        &self,
        components: &[&str],
        request: &Cached<R>,
    ) -> Result<(), Reason> {
        let has = |name: &str| components.contains(&name);
        let target = has("@request-target") || has("@path") && has("@query");
        let required = self.required.iter().all(|name| has(name));
        let whole = has("@method") && has("@authority") && target && required;
        if whole && (has(CONTENT_DIGEST) || !may_have_body(request)) {
            return Ok(());
        }
        Err(Reason::SignatureComponents)
    }

    fn check_times(&self, input: &Input, now: u64) -> Result<(), Reason> {
        if input.created > now.saturating_add(self.leeway) {
            return Err(Reason::SignatureCreatedInFuture);
        }
        let until = input.created.saturating_add(self.max_age);
        if now >= until.min(input.expires.unwrap_or(u64::MAX)) {
            return Err(Reason::SignatureExpired);
        }
        Ok(())
    }

    fn check_body<R: Request>(
        &self,
        components: &[&str],
        request: &Cached<R>,
    ) -> Result<(), Reason> {
        if !components.contains(&CONTENT_DIGEST) {
            return Ok(());
        }
        let told = request.whole_header(CONTENT_DIGEST).unwrap_or_default();
        if is_withheld(request) {
            return Err(Reason::SignatureDigest);
        }
        if request.inner().has_body() {
            request.inner().expects(Expected {
                digest: told.to_vec(),
                max_bytes: self.max_body_bytes,
                hold_headers: self.hold_headers,
            });
            return Ok(());
        }
        let is_right = digest::matches(&told, b"");
        is_right.then_some(()).ok_or(Reason::SignatureDigest)
    }
}

/// Also of a body that this module is not shown, as by an ext_authz filter that sends none.
fn may_have_body<R: Request>(request: &Cached<R>) -> bool {
    let method = request.header(":method").unwrap_or_default();
    !WITHOUT_BODY.contains(&&*method) || request.inner().has_body() || announces_body(request)
}

fn announces_body<R: Request>(request: &Cached<R>) -> bool {
    let length = request.header("content-length");
    length.is_some_and(|length| &*length != b"0") || request.header("transfer-encoding").is_some()
}

/// Whether there is a body that goes to the upstream and not here.
fn is_withheld<R: Request>(request: &Cached<R>) -> bool {
    match request.inner().has_body() {
        true => request.property("mixer.body_withheld").is_some(),
        false => announces_body(request),
    }
}

/// The signature base of RFC 9421, section 2.5.
fn base<R: Request>(input: &Input, request: &Cached<R>) -> Result<Vec<u8>, Reason> {
    let mut base = Vec::with_capacity(512);
    for name in &input.components {
        let value = component(name, request).ok_or(Reason::SignatureComponents)?;
        base.extend(format!("\"{name}\": ").as_bytes());
        base.extend(value);
        base.push(b'\n');
    }
    base.extend(b"\"@signature-params\": ");
    base.extend(input.parameters.as_bytes());
    Ok(base)
}

/// None for what the request lacks, or what is not known here.
fn component<R: Request>(name: &str, request: &Cached<R>) -> Option<Vec<u8>> {
    let target = || request.header(":path");
    match name {
        "@method" => Some(request.header(":method")?.to_vec()),
        "@authority" => authority(request),
        "@scheme" => Some(request.header(":scheme")?.to_ascii_lowercase()),
        "@request-target" => Some(target()?.to_vec()),
        "@path" => Some(path_and_query(&target()?).0.to_vec()),
        "@query" => Some([b"?", path_and_query(&target()?).1].concat()),
        _ if name.starts_with('@') => None,
        _ => Some(request.whole_header(name)?.trim_ascii().to_vec()),
    }
}

fn path_and_query(target: &[u8]) -> (&[u8], &[u8]) {
    let at = target.iter().position(|b| *b == b'?');
    let (path, query) = target.split_at(at.unwrap_or(target.len()));
    let path = if path.is_empty() { b"/" } else { path };
    (path, query.get(1..).unwrap_or_default())
}

/// In lower case, and without the scheme's own port.
fn authority<R: Request>(request: &Cached<R>) -> Option<Vec<u8>> {
    let mut authority = request.header(":authority")?.to_ascii_lowercase();
    for (port, scheme) in [(&b":443"[..], &b"https"[..]), (b":80", b"http")] {
        if authority.ends_with(port) && request.header(":scheme").as_deref() == Some(scheme) {
            authority.truncate(authority.len().saturating_sub(port.len()));
            break;
        }
    }
    Some(authority)
}
