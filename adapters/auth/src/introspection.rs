//! Tokens that the authorization server knows about: OAuth 2.0 Token Introspection, RFC 7662.

use crate::answers::Answers;
use crate::claims::{check_audience, consumer_name, ClaimPath};
use crate::jwt::ClaimHeader;
use crate::reason::Reason;
use crate::remote::{form_encode, Answer, Call, Fingerprint, HttpUri, Wanted};
use crate::source::Source;
use crate::token_cache::Proven;
use mixer_host::json::parse_object;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Of an answer: nothing an authorization server says of a token is longer.
pub const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// Longer answers are not kept, which bounds the memory of those that are.
const MAX_KEPT_BYTES: usize = 4 * 1024;
const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// Tokens that are asked about at one time; every one of them is held in memory.
const MAX_PENDING: usize = 256;

pub struct Introspection {
    pub settings: Settings,
    state: RefCell<State>,
}

pub struct Settings {
    pub sources: Vec<Source>,
    pub uri: HttpUri,
    /// The value of `authorization`. Secret.
    pub authorization: Option<String>,
    pub token_type_hint: Option<String>,
    /// Seconds.
    pub cache_duration: u64,
    /// Seconds, of tokens that are not active.
    pub negative_cache_duration: u64,
    pub max_cached_tokens: usize,
    /// None accepts every audience.
    pub audiences: Option<Vec<String>>,
    pub consumer_claim: ClaimPath,
    pub consumer_prefix: String,
    pub claim_headers: Vec<ClaimHeader>,
}

struct State {
    active: Answers<Rc<Proven>>,
    /// Apart from the others, so that a flood of bad tokens drives out no good one.
    refused: Answers<Reason>,
    pending: BTreeMap<Fingerprint, Pending>,
}

enum Pending {
    /// Not sent yet: the form.
    Form(String),
    Sent,
    /// For those who waited; it goes once they have been told.
    Told(Result<(Rc<Proven>, f64), Reason>),
}

/// What is known of a token.
pub enum Lookup {
    /// With the seconds for which it holds.
    Known(Result<Rc<Proven>, Reason>, f64),
    Wait(Wanted),
}

impl Introspection {
    pub fn new(settings: Settings) -> Self {
        let state = RefCell::new(State {
            active: Answers::new(settings.max_cached_tokens),
            refused: Answers::new(settings.max_cached_tokens),
            pending: BTreeMap::new(),
        });
        Self { settings, state }
    }

    pub fn lookup(&self, token: &[u8], now: u64) -> Lookup {
        if token.len() > MAX_TOKEN_BYTES {
            return Lookup::Known(Err(Reason::TokenTooLarge), f64::INFINITY);
        }
        // Before it is hashed and asked about: RFC 6750 lets a token be of these only.
        if !token.iter().all(|b| (b'!'..=b'~').contains(b)) {
            return Lookup::Known(Err(Reason::TokenMalformed), f64::INFINITY);
        }
        let name: Fingerprint = Sha256::digest(token).into();
        let known = self.state.borrow_mut().known(&name, now);
        known.unwrap_or_else(|| self.ask(name, token))
    }

    fn ask(&self, name: Fingerprint, token: &[u8]) -> Lookup {
        let pending = &mut self.state.borrow_mut().pending;
        if !pending.contains_key(&name) {
            if pending.len() >= MAX_PENDING {
                return Lookup::Known(Err(Reason::IntrospectionOverloaded), 0.0);
            }
            pending.insert(name, Pending::Form(self.form(token)));
        }
        Lookup::Wait(Wanted::Introspection(name))
    }

    fn form(&self, token: &[u8]) -> String {
        let token = form_encode(token);
        match &self.settings.token_type_hint {
            Some(hint) => format!(
                "token={token}&token_type_hint={}",
                form_encode(hint.as_bytes())
            ),
            None => format!("token={token}"),
        }
    }

    /// A token that is to be asked about now. Who takes it says later how it ended.
    pub fn take_call(&self) -> Option<Call> {
        let mut state = self.state.borrow_mut();
        let form = |p: &Pending| matches!(p, Pending::Form(_));
        let (name, pending) = state.pending.iter_mut().find(|(_, p)| form(p))?;
        let Pending::Form(body) = std::mem::replace(pending, Pending::Sent) else {
            return None;
        };
        let mut headers = vec![
            ("accept", "application/json".to_owned()),
            (
                "content-type",
                "application/x-www-form-urlencoded".to_owned(),
            ),
        ];
        headers.extend(
            self.settings
                .authorization
                .clone()
                .map(|a| ("authorization", a)),
        );
        Some(Call {
            wanted: Wanted::Introspection(*name),
            method: "POST",
            headers,
            body: Some(body.into_bytes()),
        })
    }

    /// The answer, or None where there is none. The error is for operators.
    pub fn complete(
        &self,
        name: Fingerprint,
        answer: Option<Answer>,
        now: u64,
    ) -> Result<(), String> {
        let size = answer.as_ref().map_or(0, |a| a.body.len());
        let read = answer.ok_or_else(|| "no answer".to_owned()).and_then(read);
        let (told, error) = match read {
            Ok(claims) => (self.judge(claims, now), Ok(())),
            Err(error) => (Err(Reason::IntrospectionUnavailable), Err(error)),
        };
        let state = &mut *self.state.borrow_mut();
        if size <= MAX_KEPT_BYTES {
            self.keep(state, name, &told, now);
        }
        state.pending.insert(name, Pending::Told(told));
        error
    }

    fn keep(
        &self,
        state: &mut State,
        name: Fingerprint,
        told: &Result<(Rc<Proven>, f64), Reason>,
        now: u64,
    ) {
        let until = |seconds: u64| (now + seconds) as f64;
        match told {
            Ok((proven, expires)) => {
                let until = until(self.settings.cache_duration).min(*expires);
                state.active.put(name, proven.clone(), now, until);
            }
            // Of a server that fails nothing is known.
            Err(Reason::IntrospectionUnavailable) => {}
            Err(reason) => {
                let until = until(self.settings.negative_cache_duration);
                state.refused.put(name, *reason, now, until);
            }
        }
    }

    /// Those who waited for it have been told, or there is nobody left to tell. What was sent is
    /// kept until its answer comes.
    pub fn forget(&self, name: &Fingerprint) {
        let pending = &mut self.state.borrow_mut().pending;
        if !matches!(pending.get(name), Some(Pending::Sent)) {
            pending.remove(name);
        }
    }

    /// What the token proves, and until when, as a time.
    fn judge(&self, claims: Option<Value>, now: u64) -> Result<(Rc<Proven>, f64), Reason> {
        let claims = claims.ok_or(Reason::TokenInactive)?;
        let expires = match claims.get("exp") {
            None | Some(Value::Null) => f64::INFINITY,
            Some(value) => value.as_f64().ok_or(Reason::TokenMalformed)?,
        };
        if expires <= now as f64 {
            return Err(Reason::TokenExpired);
        }
        if let Some(accepted) = &self.settings.audiences {
            check_audience(accepted, &claims)?;
        }
        let settings = &self.settings;
        let consumer = settings.consumer_claim.get(&claims);
        let consumer = consumer.and_then(|v| consumer_name(&settings.consumer_prefix, v));
        let proven = Proven {
            provider: 0,
            generation: 0,
            consumer: consumer.ok_or(Reason::TokenConsumer)?,
            claims,
        };
        Ok((Rc::new(proven), expires))
    }
}

impl State {
    fn known(&mut self, name: &Fingerprint, now: u64) -> Option<Lookup> {
        if let Some(Pending::Told(told)) = self.pending.get(name) {
            return Some(Lookup::Known(told.clone().map(|(proven, _)| proven), 0.0));
        }
        // The clock gives whole seconds.
        let whole = |left: f64| (left - 1.0).max(0.0);
        if let Some((proven, left)) = self.active.get(name, now) {
            return Some(Lookup::Known(Ok(proven), whole(left)));
        }
        let (reason, left) = self.refused.get(name, now)?;
        Some(Lookup::Known(Err(reason), whole(left)))
    }
}

/// The claims of an active token; None for one that is not active.
fn read(answer: Answer) -> Result<Option<Value>, String> {
    if answer.status != 200 {
        return Err(format!("status {}", answer.status));
    }
    if answer.body.len() > MAX_ANSWER_BYTES {
        return Err(format!("more than {MAX_ANSWER_BYTES} bytes"));
    }
    let claims = parse_object(&answer.body);
    let claims = claims.ok_or("the body is no JSON object without repeated members")?;
    match claims.get("active") {
        Some(Value::Bool(true)) => Ok(Some(claims)),
        Some(Value::Bool(false)) => Ok(None),
        _ => Err("the body has no boolean active".to_owned()),
    }
}
