//! Makes records of requests.

use crate::advice;
use crate::config::{Config, OnError, Plan, Source, UnknownSubject};
use crate::entry::Usage;
use crate::identity::Identity;
use crate::metering::{self, compiled, Gate, Metering, Once};
use crate::response::Response;
use crate::sender::Sender;
use crate::text;
use crate::tokens::{Found, Paths};
use crate::unreported::Unreported;
use mixer_host::batch::Batch;
use mixer_host::config::ConfigError;
use mixer_host::metrics::{define, increment, Type};
use mixer_host::reading::Reading;
use mixer_host::shared_queue::Refused;
use mixer_host::source;
use mixer_host::{request, root};
use std::borrow::Cow;

/// How long requests are refused after the ledger did not take a record, in nanoseconds.
const HOLD: u64 = 1_000_000_000;

/// Values are read whole: what stands for a long key stands for all of it.
const VALUE_BYTES: u32 = u32::MAX;

pub struct Billing {
    pub config: Config,
    pub paths: Paths,
    /// Whether any meter counts tokens.
    pub counts_tokens: bool,
    /// What records are made of.
    batch: Batch,
    operation: usize,
    subject: source::Source,
    /// The subject, read alone before there is a record; None where nobody is refused for it.
    known: Option<Reading>,
    gate: Gate,
    meters: Vec<Metering>,
    plan: Option<source::Source>,
    labels: Vec<source::Source>,
    identity: Identity,
    sender: Sender,
    /// Until when requests are refused.
    held: Option<u64>,
    counters: Counters,
    unread: Vec<&'static str>,
    unknown_plan: Once,
    unknown_subject: Once,
    pub unreported: Unreported,
}

struct Counters {
    records: Option<u32>,
    refused: Option<u32>,
    skipped: Option<u32>,
    unreadable: Option<u32>,
}

impl Counters {
    fn new() -> Self {
        let counter = |name| define(Type::Counter, name);
        Self {
            records: counter("billing_records_total"),
            refused: counter("billing_refused_total"),
            skipped: counter("billing_skipped_total"),
            unreadable: counter("billing_tokens_unreadable_total"),
        }
    }
}

fn count(counter: Option<u32>) {
    if let Some(id) = counter {
        increment(id, 1);
    }
}

/// Why a request may not pass.
#[derive(Clone, Copy)]
pub enum Denied {
    UnknownSubject,
    NoLedger,
}

impl Billing {
    pub fn new(text: &[u8]) -> Result<Self, ConfigError> {
        let config = Config::parse(text)?;
        let mut batch = Batch::new(VALUE_BYTES);
        let mut create =
            |text: &str, field: &str| compiled(source::Source::create(text, &mut batch), field);
        let subject = create(&config.subject, "subject")?;
        let mut labels = Vec::with_capacity(config.labels.len());
        for (name, value) in &config.labels {
            labels.push(create(value, &format!("labels.{name}"))?);
        }
        let mut optional = |text: &Option<String>, field| match text {
            Some(text) => create(text, field).map(Some),
            None => Ok(None),
        };
        let plan = optional(&config.plan, "plan")?;
        let key = optional(&config.key, "idempotencyKey")?;
        let mut billing = Self {
            paths: Paths::new(config.tokens.iter().map(|one| one.paths.as_slice())),
            counts_tokens: config
                .meters
                .iter()
                .any(|one| matches!(one.source, Source::Tokens(_))),
            subject,
            known: known(&config)?,
            gate: Gate::new(config.condition.as_deref(), "match".to_owned())?,
            meters: metering::all(&config, &mut batch)?,
            plan,
            identity: Identity::new(key, &mut batch),
            operation: batch.add(b"mixer\0operation"),
            batch,
            sender: Sender::new(config.plans.iter().map(Plan::entry).collect()),
            labels,
            held: None,
            counters: Counters::new(),
            unread: Vec::new(),
            unknown_plan: Once::default(),
            unknown_subject: Once::default(),
            unreported: Unreported::default(),
            config,
        };
        billing.begin()?;
        Ok(billing)
    }

    /// Hands the plans over. A queue that is not there may come later.
    fn begin(&mut self) -> Result<(), ConfigError> {
        advice::of_configuration(&self.config, &self.meters);
        match self.sender.begin() {
            Err(Refused::Malformed) => Err(ConfigError::new("plans", "are refused by the ledger")),
            _ => Ok(()),
        }
    }

    /// Whether a request may begin whose record is made once it is over.
    pub fn admit(&mut self) -> Result<(), Denied> {
        if self.config.on_error == OnError::Deny && !self.takes_records() {
            count(self.counters.refused);
            return Err(Denied::NoLedger);
        }
        match &self.known {
            Some(known) if self.gate.may_hold() && !names(known) => Err(Denied::UnknownSubject),
            _ => Ok(()),
        }
    }

    fn takes_records(&mut self) -> bool {
        let held = |until: u64| request::now().is_some_and(|now| now < until);
        if self.held.is_some_and(held) {
            return false;
        }
        self.sender.begin().is_ok()
    }

    fn subject(&self) -> Option<String> {
        let value = self.subject.text(&self.batch)?;
        text::subject(&value).map(str::to_owned)
    }

    /// Reads what the record of the current request is made of, and why it is asked about: the
    /// attribute `mixer.operation`.
    pub fn read(&mut self) -> Option<&[u8]> {
        self.batch.read();
        self.batch.get(self.operation)
    }

    /// Whether the current request is one to record.
    pub fn matches(&mut self) -> bool {
        self.gate.holds()
    }

    /// What a response told of its tokens; the log has once why one cannot be read.
    pub fn tokens(&mut self, response: &mut Response, passed: bool) -> Option<Found> {
        match response.tokens(&self.paths, passed) {
            Ok(found) => found,
            Err(why) => {
                count(self.counters.unreadable);
                if !self.unread.contains(&why) {
                    self.unread.push(why);
                    root::log_warning(&format!(
                        "billing: tokens are not recorded: {why}; said once"
                    ));
                }
                None
            }
        }
    }

    /// Records the current request, of which the batch was read.
    pub fn record(
        &mut self,
        passed: bool,
        tokens: impl FnOnce(&mut Self) -> Option<Found>,
    ) -> Result<(), Denied> {
        let subject = match (self.subject(), &self.config.unknown_subject) {
            (Some(subject), _) => subject,
            (None, UnknownSubject::Named(name)) => name.clone(),
            (None, unknown) => {
                let denied = *unknown == UnknownSubject::Deny;
                count(self.counters.skipped);
                advice::of_no_subject(&mut self.unknown_subject);
                return if denied {
                    Err(Denied::UnknownSubject)
                } else {
                    Ok(())
                };
            }
        };
        let tokens = if self.counts_tokens {
            tokens(self)
        } else {
            None
        };
        let Some(entry) = self.entry(&subject, tokens.as_ref(), passed) else {
            return Ok(());
        };
        self.send(&entry)
    }

    fn entry(&mut self, subject: &str, tokens: Option<&Found>, passed: bool) -> Option<Vec<u8>> {
        let mut quantities = Vec::with_capacity(self.meters.len());
        for meter in &mut self.meters {
            if let Some(units) = meter.measure(tokens, &self.batch) {
                quantities.push((meter.name(), units));
            }
        }
        if quantities.is_empty() {
            return None;
        }
        let (key, time) = self.identity.tell(&self.batch, passed);
        let names = self.config.labels.iter().map(|(name, _)| name.as_str());
        let values = self.labels.iter().map(|source| source.text(&self.batch));
        let labels: Vec<(&str, Cow<'_, str>)> = names
            .zip(values)
            .filter_map(|(name, value)| Some((name, text::label(value?))))
            .collect();
        let chosen = self
            .plan
            .as_ref()
            .and_then(|source| source.text(&self.batch));
        let plan = plan(&self.config, chosen.as_deref(), &mut self.unknown_plan);
        let usage = Usage {
            key: &key,
            subject,
            plan,
            quantities: &quantities,
            time,
            labels: &labels,
        };
        Some(usage.entry())
    }

    fn send(&mut self, entry: &[u8]) -> Result<(), Denied> {
        if self.sender.send(entry).is_ok() {
            self.held = None;
            count(self.counters.records);
            return Ok(());
        }
        count(self.counters.refused);
        if self.config.on_error == OnError::Allow {
            return Ok(());
        }
        self.held = request::now().map(|now| now.saturating_add(HOLD));
        Err(Denied::NoLedger)
    }
}

fn known(config: &Config) -> Result<Option<Reading>, ConfigError> {
    if config.unknown_subject != UnknownSubject::Deny {
        return Ok(None);
    }
    compiled(Reading::create(&config.subject), "subject").map(Some)
}

/// Whether it has a value that is a subject.
fn names(known: &Reading) -> bool {
    let value = known.read();
    value.is_some_and(|value| text::subject(&value.text()).is_some())
}

/// The plan that is chosen, or the default one.
fn plan<'a>(config: &'a Config, choice: Option<&[u8]>, unknown: &mut Once) -> Option<&'a Plan> {
    let default = || config.default_plan.map(|at| &config.plans[at]);
    let Some(name) = choice else {
        return default();
    };
    let found = config
        .plans
        .iter()
        .find(|plan| plan.name.as_bytes() == name);
    if found.is_none() {
        unknown.warn("plan names one that is none of plans; the default plan is taken");
    }
    found.or_else(default)
}
