//! JSON Web Tokens (RFC 7519) in the compact form of RFC 7515.

use crate::claims::{check_audience, consumer_name, ClaimPath};
use crate::jwk::{Algorithm, Key};
use crate::jwks_remote::{KeySet, Lookup, RemoteJwks};
use crate::reason::Reason;
use crate::remote::{Call, Wanted};
use crate::request::{Cached, Request};
use crate::source::Source;
use crate::token_cache::{fingerprint, Proven, TokenCache};
use base64ct::{Base64UrlUnpadded, Encoding};
use mixer_host::json::parse_object;
use serde_json::Value;
use std::cell::RefCell;
use std::rc::Rc;

const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// A signature check costs up to about a millisecond, and anyone can send a bad
/// token: this keeps one far from a host's CPU limit.
const MAX_KEYS_TRIED: usize = 4;

pub struct Jwt {
    pub sources: Vec<Source>,
    pub providers: Vec<Provider>,
    cache: RefCell<TokenCache>,
}

pub struct Provider {
    pub issuer: String,
    /// None accepts every audience.
    pub audiences: Option<Vec<String>>,
    pub keys: KeySource,
    pub leeway: f64,
    pub require_exp: bool,
    pub consumer_claim: ClaimPath,
    pub consumer_prefix: String,
    pub claim_headers: Vec<ClaimHeader>,
}

pub enum KeySource {
    Configured(Vec<Key>),
    Remote(RemoteJwks),
}

/// The keys that hold for one decision.
enum Keys<'a> {
    Configured(&'a [Key]),
    Fetched(Rc<KeySet>),
}

impl Keys<'_> {
    fn as_slice(&self) -> &[Key] {
        match self {
            Self::Configured(keys) => keys,
            Self::Fetched(set) => &set.keys,
        }
    }

    fn generation(&self) -> u64 {
        match self {
            Self::Configured(_) => 0,
            Self::Fetched(set) => set.generation,
        }
    }
}

pub struct ClaimHeader {
    pub claim: ClaimPath,
    pub header: String,
}

impl Jwt {
    pub fn new(sources: Vec<Source>, providers: Vec<Provider>) -> Self {
        Self {
            sources,
            providers,
            cache: RefCell::default(),
        }
    }

    /// What the token proves, and the provider that it is from. With configured keys the
    /// clock is asked only for a token whose signature is right. The request is told for how many
    /// seconds the times, and the keys, change nothing; and what to wait for, where keys are needed
    /// that are still to be fetched: then the token counts as refused for now.
    pub fn verify<R: Request>(
        &self,
        token: &[u8],
        request: &Cached<R>,
    ) -> Result<(Rc<Proven>, &Provider), Reason> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Reason::TokenTooLarge);
        }
        let fingerprint = fingerprint(token);
        let known = fingerprint.and_then(|f| self.cache.borrow().get(&f));
        let known = match known {
            Some(proven) => self.still_proven(proven, request)?,
            None => None,
        };
        let proven = match &known {
            Some(proven) => proven.clone(),
            None => Rc::new(self.prove(token, request)?),
        };
        let provider = self.providers.get(proven.provider);
        let provider = provider.ok_or(Reason::TokenIssuer)?;
        let now = request.now() as f64;
        request.holds(provider.seconds_to_change(&proven.claims, now));
        provider.check_times(&proven.claims, now)?;
        if let (None, Some(fingerprint)) = (&known, fingerprint) {
            self.cache.borrow_mut().put(fingerprint, proven.clone());
        }
        Ok((proven, provider))
    }

    /// None if the keys are others than those that it was verified with.
    fn still_proven<R: Request>(
        &self,
        proven: Rc<Proven>,
        request: &Cached<R>,
    ) -> Result<Option<Rc<Proven>>, Reason> {
        let provider = self.providers.get(proven.provider);
        let provider = provider.ok_or(Reason::TokenIssuer)?;
        let keys = provider.keys(proven.provider, request)?;
        Ok((keys.generation() == proven.generation).then_some(proven))
    }

    /// Everything but the times.
    fn prove<R: Request>(&self, token: &[u8], request: &Cached<R>) -> Result<Proven, Reason> {
        let parts = Parts::split(token)?;
        let header = parse_part(parts.header)?;
        let claims = parse_part(parts.payload)?;
        // Before anything else is refused: one of another issuer is not for these providers to judge.
        let (index, provider) = self.provider(&claims)?;
        let header = Header::read(&header)?;
        let signature = decode(parts.signature).map_err(|_| Reason::TokenUnsound)?;
        let keys = provider.keys(index, request)?;
        provider.note_missing(index, &header, &keys, request);
        check_signature(keys.as_slice(), &header, parts.signed, &signature)?;
        if let Some(accepted) = &provider.audiences {
            check_audience(accepted, &claims)?;
        }
        Ok(Proven {
            provider: index,
            generation: keys.generation(),
            consumer: provider.consumer(&claims)?,
            claims,
        })
    }

    /// Key sets that are fetched, with the index of their provider.
    pub fn remote(&self) -> impl Iterator<Item = (usize, &RemoteJwks)> {
        let providers = self.providers.iter().enumerate();
        providers.filter_map(|(index, p)| match &p.keys {
            KeySource::Configured(_) => None,
            KeySource::Remote(remote) => Some((index, remote)),
        })
    }

    /// A key set that is to be fetched now.
    pub fn take_call(&self, now: u64) -> Option<Call> {
        self.remote()
            .find_map(|(index, remote)| remote.take_call(index, now))
    }

    /// The issuer is not proven yet; it only picks the keys that have to prove it.
    fn provider(&self, claims: &Value) -> Result<(usize, &Provider), Reason> {
        let issuer = claims.get("iss").and_then(Value::as_str);
        let mut providers = self.providers.iter().enumerate();
        providers
            .find(|(_, p)| Some(p.issuer.as_str()) == issuer)
            .ok_or(Reason::TokenIssuer)
    }
}

/// The three parts as they stand in the token.
struct Parts<'a> {
    header: &'a [u8],
    payload: &'a [u8],
    signature: &'a [u8],
    /// What the signature is over: header, dot, payload.
    signed: &'a [u8],
}

impl<'a> Parts<'a> {
    fn split(token: &'a [u8]) -> Result<Self, Reason> {
        let (signed, signature) = rsplit_dot(token).ok_or(Reason::TokenMalformed)?;
        let (header, payload) = rsplit_dot(signed).ok_or(Reason::TokenMalformed)?;
        // A dot in the first part is no base64url, so more parts fail there.
        Ok(Self {
            header,
            payload,
            signature,
            signed,
        })
    }
}

fn rsplit_dot(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.iter().rposition(|b| *b == b'.')?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

fn decode(part: &[u8]) -> Result<Vec<u8>, Reason> {
    let text = std::str::from_utf8(part).map_err(|_| Reason::TokenMalformed)?;
    Base64UrlUnpadded::decode_vec(text).map_err(|_| Reason::TokenMalformed)
}

fn parse_part(part: &[u8]) -> Result<Value, Reason> {
    parse_object(&decode(part)?).ok_or(Reason::TokenMalformed)
}

struct Header {
    algorithm: Algorithm,
    kid: Option<String>,
}

impl Header {
    fn read(header: &Value) -> Result<Self, Reason> {
        // RFC 7515, section 4.1.11: what is critical and not understood is refused.
        if header.get("crit").is_some() {
            return Err(Reason::TokenCritical);
        }
        let name = header.get("alg").and_then(Value::as_str);
        let algorithm = name
            .and_then(Algorithm::from_name)
            .ok_or(Reason::TokenAlgorithm)?;
        let kid = match header.get("kid") {
            None => None,
            Some(Value::String(kid)) => Some(kid.clone()),
            Some(_) => return Err(Reason::TokenUnsound),
        };
        Ok(Self { algorithm, kid })
    }
}

fn check_signature(
    keys: &[Key],
    header: &Header,
    message: &[u8],
    signature: &[u8],
) -> Result<(), Reason> {
    let keys = candidates(keys, header)?;
    let signed = keys.iter().any(|key| key.verifies(message, signature));
    signed.then_some(()).ok_or(Reason::TokenSignature)
}

/// The keys that may have signed the token. All of them are tried or none: with
/// only the first few, the order of the keys would decide who gets in.
fn candidates<'a>(keys: &'a [Key], header: &Header) -> Result<Vec<&'a Key>, Reason> {
    let fits = |key: &&Key| key.algorithm == header.algorithm;
    let mut keys: Vec<&Key> = keys.iter().filter(fits).collect();
    if keys.is_empty() {
        return Err(Reason::TokenAlgorithm);
    }
    // A token that names a key is checked with that key and no other.
    if header.kid.is_some() {
        keys.retain(|key| key.kid == header.kid);
    }
    let bounded = (1..=MAX_KEYS_TRIED).contains(&keys.len());
    bounded.then_some(keys).ok_or(Reason::TokenKey)
}

impl Provider {
    fn keys<R: Request>(&self, index: usize, request: &Cached<R>) -> Result<Keys<'_>, Reason> {
        let remote = match &self.keys {
            KeySource::Configured(keys) => return Ok(Keys::Configured(keys)),
            KeySource::Remote(remote) => remote,
        };
        match remote.lookup(request.now()) {
            Lookup::Keys(set, holds) => {
                request.holds(holds);
                return Ok(Keys::Fetched(set));
            }
            Lookup::Wait => request.awaits(Wanted::KeySet(index)),
            Lookup::Unavailable => {}
        }
        request.holds(0.0);
        Err(Reason::JwksUnavailable)
    }

    /// A key that a fetched set lacks may be newer than the set: then it is worth waiting for
    /// another one, and in no case is the refusal one that lasts.
    fn note_missing<R: Request>(
        &self,
        index: usize,
        header: &Header,
        keys: &Keys,
        request: &Cached<R>,
    ) {
        let KeySource::Remote(remote) = &self.keys else {
            return;
        };
        let named = |key: &Key| key.kid == header.kid;
        if header.kid.is_some() && !keys.as_slice().iter().any(named) {
            request.holds(0.0);
            if remote.miss(request.now()) {
                request.awaits(Wanted::KeySet(index));
            }
        }
    }

    fn check_times(&self, claims: &Value, now: f64) -> Result<(), Reason> {
        match time(claims, "exp")? {
            Some(exp) if now >= exp + self.leeway => return Err(Reason::TokenExpired),
            None if self.require_exp => return Err(Reason::TokenExpiryMissing),
            _ => {}
        }
        let latest = now + self.leeway;
        if time(claims, "nbf")?.is_some_and(|nbf| nbf > latest) {
            return Err(Reason::TokenNotYetValid);
        }
        if time(claims, "iat")?.is_some_and(|iat| iat > latest) {
            return Err(Reason::TokenIssuedInFuture);
        }
        Ok(())
    }

    /// Seconds until `check_times` may come to something else. The clock gives
    /// whole seconds, so that up to one of them has passed already.
    fn seconds_to_change(&self, claims: &Value, now: f64) -> f64 {
        let at = |name, leeway| match time(claims, name) {
            Ok(Some(time)) if time + leeway > now => time + leeway - now - 1.0,
            _ => f64::INFINITY,
        };
        at("exp", self.leeway)
            .min(at("nbf", -self.leeway))
            .min(at("iat", -self.leeway))
            .max(0.0)
    }

    fn consumer(&self, claims: &Value) -> Result<String, Reason> {
        let value = self.consumer_claim.get(claims);
        value
            .and_then(|v| consumer_name(&self.consumer_prefix, v))
            .ok_or(Reason::TokenConsumer)
    }
}

/// A NumericDate, which may have a fraction. Anything else is no time.
fn time(claims: &Value, name: &str) -> Result<Option<f64>, Reason> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or(Reason::TokenUnsound),
    }
}
