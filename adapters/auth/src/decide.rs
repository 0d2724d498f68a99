//! The decision about one request.

use crate::address::holds;
use crate::claims::header_value;
use crate::condition::{claims_struct, CLAIMS, CONSUMER};
use crate::config::Config;
use crate::introspection;
use crate::jwt::ClaimHeader;
use crate::path::normalise;
use crate::reason::Reason;
use crate::request::{Cached, Change, Request};
use crate::rules::{Conditions, Rule, Who};
use crate::source;
use crate::token_cache::Proven;
use mixer_host::value::Truth;
use serde_json::Value;
use std::borrow::Cow;
use std::rc::Rc;

/// Allow with changes to the request, or why it is refused.
pub type Outcome = Result<Vec<Change>, Refusal>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    pub reason: Reason,
    /// The place of the rule that refuses, where it is one.
    pub rule: Option<usize>,
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self { reason, rule: None }
    }
}

enum Identity<'a> {
    /// Of a credential without claims.
    Named(Cow<'a, str>),
    Token(Rc<Proven>, &'a [ClaimHeader]),
}

impl Identity<'_> {
    fn consumer(&self) -> &str {
        match self {
            Self::Named(consumer) => consumer,
            Self::Token(proven, _) => &proven.consumer,
        }
    }

    fn claims(&self) -> Option<&Value> {
        match self {
            Self::Named(_) => None,
            Self::Token(proven, _) => Some(&proven.claims),
        }
    }
}

pub fn decide<R: Request>(config: &Config, request: &R) -> Outcome {
    let request = Cached::new(request);
    config.addresses.check(&request)?;
    let (who, rule) = select(config, &request)?;
    let by_rule = |reason| Refusal { reason, rule };
    let identity = match who {
        // No credential could help, so none is verified.
        Who::NoOne if rule.is_some() => return Err(by_rule(Reason::PathForbidden)),
        Who::NoOne => return Err(Reason::DefaultForbidden.into()),
        // A stale cookie must not lock anyone out of the login page: here a
        // credential that fails counts as none.
        Who::Anyone => authenticate(config, &request).ok(),
        Who::Authenticated(conditions) => {
            let identity = authenticate(config, &request)?;
            check(conditions, &identity).map_err(by_rule)?;
            check_condition(config, conditions, &identity, &request).map_err(by_rule)?;
            Some(identity)
        }
    };
    Ok(changes(config, &request, identity.as_ref()))
}

/// Who may pass, and which rule said so, if one did. Without rules the path is not read.
fn select<'a, R: Request>(
    config: &'a Config,
    request: &Cached<R>,
) -> Result<(&'a Who, Option<usize>), Refusal> {
    if config.rules.is_empty() {
        return Ok((&config.default, None));
    }
    let target = request.header(":path").ok_or(Reason::PathInvalid)?;
    let path = normalise(&target, config.allow_path_parameters).ok_or(Reason::PathInvalid)?;
    let needs_method = config.rules.iter().any(|r| !r.methods.is_empty());
    let method = needs_method.then(|| request.header(":method")).flatten();
    let method: &[u8] = method.as_deref().unwrap_or_default();
    for (place, rule) in config.rules.iter().enumerate() {
        let rule_of = |reason| Refusal {
            reason,
            rule: Some(place),
        };
        if rule.matches(&path, method) && is_for(config, rule, request).map_err(rule_of)? {
            return Ok((&rule.who, Some(place)));
        }
    }
    Ok((&config.default, None))
}

/// Whether the rest of what a rule asks for is met. What cannot be told refuses the request: the
/// rule could be one that denies, or the next one that lets in.
fn is_for<R: Request>(config: &Config, rule: &Rule, request: &Cached<R>) -> Result<bool, Reason> {
    if !rule.addresses.is_empty() {
        let client = config.addresses.client(request)?;
        if !holds(&rule.addresses, client) {
            return Ok(false);
        }
    }
    match rule.condition.map(|place| request.inner().test(place)) {
        None | Some(Truth::True) => Ok(true),
        Some(Truth::False | Truth::Absent) => Ok(false),
        Some(Truth::Broken) => Err(Reason::MatchBroken),
    }
}

/// The first credential that is right counts, in this order. What is reported is the failure of
/// one that was there.
fn authenticate<'a, R: Request>(
    config: &'a Config,
    request: &Cached<R>,
) -> Result<Identity<'a>, Reason> {
    let mut failure = None;
    for by in [by_api_key, by_basic, by_signature, by_token, by_certificate] {
        match (by(config, request), failure) {
            (Some(Ok(identity)), _) => return Ok(identity),
            // Both sources read the same header and it holds no token at all.
            (Some(Err(Reason::TokenMalformed)), Some(_)) | (None, _) => {}
            (Some(Err(reason)), _) => failure = Some(reason),
        }
    }
    Err(failure.unwrap_or_else(|| missing(config)))
}

type Found<'a> = Option<Result<Identity<'a>, Reason>>;

fn named<'a>(found: Result<impl Into<Cow<'a, str>>, Reason>) -> Found<'a> {
    Some(found.map(|consumer| Identity::Named(consumer.into())))
}

fn by_api_key<'a, R: Request>(config: &'a Config, request: &Cached<R>) -> Found<'a> {
    let api_keys = config.api_keys.as_ref()?;
    let credential = source::find(&api_keys.sources, request)?;
    named(api_keys.consumer(&credential).ok_or(Reason::ApiKeyUnknown))
}

fn by_basic<'a, R: Request>(config: &'a Config, request: &Cached<R>) -> Found<'a> {
    let basic = config.basic.as_ref()?;
    let credential = source::find(&basic.sources, request)?;
    let consumer = basic.consumer(&credential, || request.now());
    if consumer == Err(Reason::BasicBusy) {
        request.holds(0.0);
    }
    named(consumer)
}

fn by_signature<'a, R: Request>(config: &'a Config, request: &Cached<R>) -> Found<'a> {
    named(config.signatures.as_ref()?.verify(request)?)
}

fn by_certificate<'a, R: Request>(config: &'a Config, request: &Cached<R>) -> Found<'a> {
    named(config.mtls.as_ref()?.consumer(request)?)
}

fn by_token<'a, R: Request>(config: &'a Config, request: &Cached<R>) -> Found<'a> {
    match by_jwt(config, request) {
        // Not a token that could be checked here: the authorization server may know it.
        local @ (None | Some(Err(Reason::TokenMalformed | Reason::TokenIssuer))) => {
            by_introspection(config, request).or(local)
        }
        local => local,
    }
}

fn by_jwt<'a, R: Request>(config: &'a Config, request: &Cached<R>) -> Found<'a> {
    let jwt = config.jwt.as_ref()?;
    let token = source::find(&jwt.sources, request)?;
    let proven = jwt.verify(&token, request);
    Some(proven.map(|(proven, provider)| Identity::Token(proven, &provider.claim_headers)))
}

fn by_introspection<'a, R: Request>(config: &'a Config, request: &Cached<R>) -> Found<'a> {
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

/// Where there is one kind of credential only, the reason names it.
fn missing(config: &Config) -> Reason {
    let kinds = [
        (config.api_keys.is_some(), Reason::ApiKeyMissing),
        (config.basic.is_some(), Reason::BasicMissing),
        (config.signatures.is_some(), Reason::SignatureMissing),
        (config.accepts().tokens, Reason::TokenMissing),
        (config.mtls.is_some(), Reason::CertificateMissing),
    ];
    let mut accepted = kinds.iter().filter(|(is_accepted, _)| *is_accepted);
    match (accepted.next(), accepted.next()) {
        (Some((_, reason)), None) => *reason,
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

/// A condition may read who was authenticated, so that this is told the host before.
fn check_condition<R: Request>(
    config: &Config,
    conditions: &Conditions,
    identity: &Identity,
    request: &Cached<R>,
) -> Result<(), Reason> {
    let Some(place) = conditions.condition else {
        return Ok(());
    };
    let may_read = |name| {
        config
            .conditions
            .get(place)
            .is_none_or(|c| c.may_read(name))
    };
    let claims = || identity.claims().map(claims_struct).unwrap_or_default();
    // What was not taken would leave what another plugin has set.
    let told = (!may_read(CLAIMS) || request.inner().set_property(CLAIMS, &claims()))
        && (!may_read(CONSUMER)
            || request
                .inner()
                .set_property(CONSUMER, identity.consumer().as_bytes()));
    if !told {
        return Err(Reason::ConditionBroken);
    }
    match request.inner().test(place) {
        Truth::True => Ok(()),
        Truth::False => Err(Reason::ConditionForbidden),
        Truth::Absent | Truth::Broken => Err(Reason::ConditionBroken),
    }
}

/// Identity headers are set or removed. They are removed unseen, because a caller
/// may withhold headers that the request has (`allowed_headers` of Envoy's ext_authz).
fn changes<R: Request>(
    config: &Config,
    request: &Cached<R>,
    identity: Option<&Identity>,
) -> Vec<Change> {
    let mut changes = source::strip(config.sources(), request);
    for name in &config.managed_headers {
        let value = match identity {
            Some(identity) => managed_value(config, identity, name),
            None => anonymous_value(config, name),
        };
        changes.push(match value {
            Some(value) => Change::Set(name.clone(), value.into_bytes()),
            None => Change::Remove(name.clone()),
        });
    }
    changes
}

fn anonymous_value(config: &Config, name: &str) -> Option<String> {
    let is_consumer = config.consumer_header.as_deref() == Some(name);
    is_consumer.then(|| config.anonymous_consumer.clone())?
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
