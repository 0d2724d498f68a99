//! The decision about one request.

use crate::claims::header_value;
use crate::config::Config;
use crate::introspection;
use crate::jwt::ClaimHeader;
use crate::path::normalise;
use crate::reason::Reason;
use crate::request::{Cached, Change, Request};
use crate::rules::{Conditions, Who};
use crate::source;
use crate::token_cache::Proven;
use serde_json::Value;
use std::rc::Rc;

/// Allow with changes to the request, or the reason for a refusal.
pub type Outcome = Result<Vec<Change>, Reason>;

enum Identity<'a> {
    ApiKey(&'a str),
    Token(Rc<Proven>, &'a [ClaimHeader]),
}

impl Identity<'_> {
    fn consumer(&self) -> &str {
        match self {
            Self::ApiKey(consumer) => consumer,
            Self::Token(proven, _) => &proven.consumer,
        }
    }

    fn claims(&self) -> Option<&Value> {
        match self {
            Self::ApiKey(_) => None,
            Self::Token(proven, _) => Some(&proven.claims),
        }
    }
}

pub fn decide<R: Request>(config: &Config, request: &R) -> Outcome {
    let request = Cached::new(request);
    let (who, from_rule) = select(config, &request)?;
    let identity = match who {
        // No credential could help, so none is verified.
        Who::NoOne if from_rule => return Err(Reason::PathForbidden),
        Who::NoOne => return Err(Reason::DefaultForbidden),
        // A stale cookie must not lock anyone out of the login page: here a
        // credential that fails counts as none.
        Who::Anyone => authenticate(config, &request).ok(),
        Who::Authenticated(conditions) => {
            let identity = authenticate(config, &request)?;
            check(conditions, &identity)?;
            Some(identity)
        }
    };
    Ok(changes(config, &request, identity.as_ref()))
}

/// Who may pass, and whether a rule said so. Without rules the path is not read.
fn select<'a, R: Request>(
    config: &'a Config,
    request: &Cached<R>,
) -> Result<(&'a Who, bool), Reason> {
    if config.rules.is_empty() {
        return Ok((&config.default, false));
    }
    let target = request.header(":path").ok_or(Reason::PathInvalid)?;
    let path = normalise(&target, config.allow_path_parameters).ok_or(Reason::PathInvalid)?;
    let needs_method = config.rules.iter().any(|r| !r.methods.is_empty());
    let method = needs_method.then(|| request.header(":method")).flatten();
    let method: &[u8] = method.as_deref().unwrap_or_default();
    let rule = config.rules.iter().find(|r| r.matches(&path, method));
    Ok(match rule {
        Some(rule) => (&rule.who, true),
        None => (&config.default, false),
    })
}

/// API keys come first; a token is tried when no key is right. What is reported
/// is the failure of a credential that was there.
fn authenticate<'a, R: Request>(
    config: &'a Config,
    request: &Cached<R>,
) -> Result<Identity<'a>, Reason> {
    let by_key = match by_api_key(config, request) {
        Some(Ok(identity)) => return Ok(identity),
        Some(Err(reason)) => Some(reason),
        None => None,
    };
    match (by_token(config, request), by_key) {
        (Some(Ok(identity)), _) => Ok(identity),
        // Both sources read the same header and it holds no token at all.
        (Some(Err(Reason::TokenMalformed)), Some(reason)) => Err(reason),
        (Some(Err(reason)), _) => Err(reason),
        (None, Some(reason)) => Err(reason),
        (None, None) => Err(missing(config)),
    }
}

fn by_api_key<'a, R: Request>(
    config: &'a Config,
    request: &Cached<R>,
) -> Option<Result<Identity<'a>, Reason>> {
    let api_keys = config.api_keys.as_ref()?;
    let credential = source::find(&api_keys.sources, request)?;
    let consumer = api_keys.consumer(&credential);
    Some(consumer.map(Identity::ApiKey).ok_or(Reason::ApiKeyUnknown))
}

fn by_token<'a, R: Request>(
    config: &'a Config,
    request: &Cached<R>,
) -> Option<Result<Identity<'a>, Reason>> {
    match by_jwt(config, request) {
        // Not a token that could be checked here: the authorization server may know it.
        local @ (None | Some(Err(Reason::TokenMalformed | Reason::TokenIssuer))) => {
            by_introspection(config, request).or(local)
        }
        local => local,
    }
}

fn by_jwt<'a, R: Request>(
    config: &'a Config,
    request: &Cached<R>,
) -> Option<Result<Identity<'a>, Reason>> {
    let jwt = config.jwt.as_ref()?;
    let token = source::find(&jwt.sources, request)?;
    let proven = jwt.verify(&token, request);
    Some(proven.map(|(proven, provider)| Identity::Token(proven, &provider.claim_headers)))
}

fn by_introspection<'a, R: Request>(
    config: &'a Config,
    request: &Cached<R>,
) -> Option<Result<Identity<'a>, Reason>> {
    let introspection = config.introspection.as_ref()?;
    let token = source::find(&introspection.settings.sources, request)?;
    let proven = match introspection.lookup(&token, request.now()) {
        introspection::Lookup::Known(known, holds) => {
            request.holds(holds);
            known
        }
        introspection::Lookup::Wait(wanted) => {
            request.holds(0.0);
            request.awaits(wanted);
            Err(Reason::IntrospectionUnavailable)
        }
    };
    Some(proven.map(|p| Identity::Token(p, &introspection.settings.claim_headers)))
}

fn missing(config: &Config) -> Reason {
    match (&config.api_keys, config.accepts().tokens) {
        (Some(_), false) => Reason::ApiKeyMissing,
        (None, true) => Reason::TokenMissing,
        _ => Reason::CredentialMissing,
    }
}

fn check(conditions: &Conditions, identity: &Identity) -> Result<(), Reason> {
    let consumers = &conditions.consumers;
    if !consumers.is_empty() && !consumers.contains(identity.consumer()) {
        return Err(Reason::ConsumerForbidden);
    }
    let holds = |claims| conditions.claims.iter().all(|c| c.holds(claims));
    if !conditions.claims.is_empty() && !identity.claims().is_some_and(holds) {
        return Err(Reason::ClaimForbidden);
    }
    Ok(())
}

/// Identity headers are set or removed. They are removed unseen, because a caller
/// may withhold headers that the request has (`allowed_headers` of Envoy's ext_authz).
fn changes<R: Request>(
    config: &Config,
    request: &Cached<R>,
    identity: Option<&Identity>,
) -> Vec<Change> {
    let mut changes = source::strip(&config.sources(), request);
    for name in &config.managed_headers {
        let value = identity.and_then(|i| managed_value(config, i, name));
        changes.push(match value {
            Some(value) => Change::Set(name.clone(), value.into_bytes()),
            None => Change::Remove(name.clone()),
        });
    }
    changes
}

fn managed_value(config: &Config, identity: &Identity, name: &str) -> Option<String> {
    if config.consumer_header.as_deref() == Some(name) {
        return Some(identity.consumer().to_owned());
    }
    let Identity::Token(proven, entries) = identity else {
        return None;
    };
    let entry = entries.iter().find(|entry| entry.header == name)?;
    header_value(entry.claim.get(&proven.claims)?)
}
