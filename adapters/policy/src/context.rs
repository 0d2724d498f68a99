//! The Proxy-Wasm contexts: one root per plugin, and one for each request or connection.

use crate::config::{Action, Config, Protocol, Rule};
use crate::decide::{decide, not_configured, Evaluate, Refusal};
use mixer_host::condition::Condition;
use mixer_host::config::ConfigError;
use mixer_host::expression::Expression;
use mixer_host::reading::Reading;
use mixer_host::response::{send_with_code, LocalResponse};
use mixer_host::value::{Truth, Value};
use mixer_host::{properties, root};
use proxy_wasm::traits::{Context, HttpContext, RootContext, StreamContext};
use proxy_wasm::types::{Action as Next, ContextType};
use std::rc::Rc;

#[derive(Default)]
pub struct Root {
    policy: Option<Rc<Policy>>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        match Policy::new(&root::configuration(size)) {
            Ok(policy) => {
                self.policy = Some(Rc::new(policy));
                true
            }
            Err(error) => {
                root::log_error(&format!("policy: {error}"));
                false
            }
        }
    }

    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream(self.policy.clone())))
    }

    fn create_stream_context(&self, _id: u32) -> Option<Box<dyn StreamContext>> {
        Some(Box::new(Connection(self.policy.clone())))
    }

    fn get_type(&self) -> Option<ContextType> {
        match &self.policy {
            Some(policy) if policy.config.protocol == Protocol::Tcp => {
                Some(ContextType::StreamContext)
            }
            _ => Some(ContextType::HttpContext),
        }
    }
}

/// The configuration, with what the host made of its expressions.
struct Policy {
    config: Config,
    expressions: Vec<(Option<Condition>, Option<Reading>)>,
}

impl Policy {
    fn new(text: &[u8]) -> Result<Self, ConfigError> {
        let config = Config::parse(text)?;
        let mut expressions = Vec::with_capacity(config.rules.len());
        for rule in &config.rules {
            expressions.push(compile(rule)?);
        }
        Ok(Self {
            config,
            expressions,
        })
    }
}

fn compile(rule: &Rule) -> Result<(Option<Condition>, Option<Reading>), ConfigError> {
    let condition = match &rule.condition {
        Some(text) => Some(taken(Condition::create(text), &rule.path, "match")?),
        None => None,
    };
    let value = match &rule.action {
        Action::Check(check) => Some(taken(
            Reading::create(&check.value),
            &rule.path,
            "list.value",
        )?),
        Action::Deny(_) => None,
    };
    Ok((condition, value))
}

fn taken<T>(made: Option<T>, rule: &str, field: &str) -> Result<T, ConfigError> {
    made.ok_or_else(|| {
        let why = match Expression::create("true") {
            Some(_) => "is not an expression that the host takes",
            None => "needs expressions, and the host has no foreign function expr_create",
        };
        ConfigError::new(format!("{rule}.{field}"), why)
    })
}

impl Evaluate for Policy {
    fn condition(&self, rule: usize) -> Truth {
        self.expressions[rule]
            .0
            .as_ref()
            .map_or(Truth::True, Condition::test)
    }

    fn value(&self, rule: usize) -> Option<Value> {
        self.expressions[rule].1.as_ref()?.read()
    }
}

struct Stream(Option<Rc<Policy>>);

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Next {
        let Some(policy) = &self.0 else {
            return refuse(&not_configured());
        };
        if is_other_operation() {
            return Next::Continue;
        }
        let refusal = decide(&policy.config, &**policy);
        tell_validity(&policy.config, refusal.as_ref());
        match refusal {
            Some(refusal) => refuse(&refusal),
            None => Next::Continue,
        }
    }
}

/// Quotas and reports are nothing to decide about.
fn is_other_operation() -> bool {
    let operation = properties::get(&["mixer", "operation"]);
    matches!(operation.as_deref(), Some(b"quota" | b"report"))
}

fn tell_validity(config: &Config, refusal: Option<&Refusal>) {
    if refusal.is_some_and(|one| !one.lasting) {
        properties::set("mixer.valid_duration", "0s");
        properties::set("mixer.valid_use_count", "0");
        return;
    }
    properties::set("mixer.valid_duration", &config.valid_duration);
    properties::set("mixer.valid_use_count", &config.valid_use_count.to_string());
}

fn refuse(refusal: &Refusal) -> Next {
    properties::set("mixer.deny.code", &refusal.code.to_string());
    let response = LocalResponse {
        status: refusal.status,
        details: &refusal.details,
        headers: &[("content-type", "text/plain".to_owned())],
        body: &refusal.message,
    };
    send_with_code(&response, refusal.code);
    // Also for a host that failed to send the response: never let it pass.
    Next::Pause
}

struct Connection(Option<Rc<Policy>>);

impl Context for Connection {}

impl StreamContext for Connection {
    fn on_new_connection(&mut self) -> Next {
        let refusal = match &self.0 {
            Some(policy) => decide(&policy.config, &**policy),
            None => Some(not_configured()),
        };
        let Some(refusal) = refusal else {
            return Next::Continue;
        };
        // There is nobody to answer: closing is all that a connection can be told.
        properties::set("mixer.deny.reason", &refusal.details);
        self.close_downstream();
        Next::Pause
    }
}
