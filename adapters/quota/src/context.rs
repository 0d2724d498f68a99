//! The Proxy-Wasm contexts: one root per plugin, one HTTP context per request.

use crate::allocation::{allocate, Allocation, Grant, Told};
use crate::charge::{charge, Charge, Standing};
use crate::config::{Config, ConfigError};
use crate::duration;
use crate::host::{self, Expressions, SharedData};
use crate::refusal::{headers, whole_seconds, Refusal};
use mixer_host::{properties, root};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, MapType};
use std::rc::Rc;

const UNLIMITED: &str = "-1";
/// More than any limit, and exact in every number.
const ENDLESS: &str = "9007199254740991";

#[derive(Default)]
pub struct Root {
    plugin: Option<Rc<Plugin>>,
}

struct Plugin {
    config: Config,
    expressions: Expressions,
}

impl Plugin {
    fn load(text: &[u8]) -> Result<Self, ConfigError> {
        let config = Config::parse(text)?;
        let expressions = Expressions::create(&config)?;
        Ok(Self {
            config,
            expressions,
        })
    }
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        match Plugin::load(&root::configuration(size)) {
            Ok(plugin) => {
                self.plugin = Some(Rc::new(plugin));
                true
            }
            Err(error) => {
                root::log_error(&format!("quota: {error}"));
                false
            }
        }
    }

    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream {
            plugin: self.plugin.clone(),
            headers: Vec::new(),
        }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Stream {
    plugin: Option<Rc<Plugin>>,
    /// For the upstream's response.
    headers: Vec<(&'static str, String)>,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        let Some(plugin) = self.plugin.clone() else {
            return refuse(&Refusal::not_configured());
        };
        match host::operation().as_deref() {
            Some("check" | "report") => answer_check(&plugin.config),
            Some("quota") => answer_quota(&plugin),
            _ => self.charge(&plugin),
        }
    }

    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        for (name, value) in self.headers.drain(..) {
            let _ = hostcalls::add_map_value(MapType::HttpResponseHeaders, name, &value);
        }
        Action::Continue
    }
}

impl Stream {
    fn charge(&mut self, plugin: &Plugin) -> Action {
        let config = &plugin.config;
        match charge(config, &plugin.expressions, &SharedData) {
            Charge::Passed(standings) => {
                if config.rate_limit_headers && !standings.is_empty() {
                    self.announce(&standings);
                }
                Action::Continue
            }
            Charge::Exhausted(standing) => {
                refuse(&Refusal::exhausted(&standing, config.rate_limit_headers))
            }
            Charge::Unavailable(quota) => refuse(&Refusal::unavailable(quota)),
        }
    }

    /// A proxy asks for the response's headers when it has a response, the Mixer service now.
    fn announce(&mut self, standings: &[Standing]) {
        self.headers = headers(&standings.iter().collect::<Vec<_>>());
        for (name, value) in &self.headers {
            properties::set(&format!("mixer.response_header.{name}"), value);
        }
    }
}

/// A check takes nothing, and its answer follows from nothing: it may be kept.
fn answer_check(config: &Config) -> Action {
    properties::set(
        "mixer.valid_duration",
        &duration::format(config.check_validity),
    );
    properties::set("mixer.valid_use_count", UNLIMITED);
    Action::Continue
}

fn answer_quota(plugin: &Plugin) -> Action {
    let asked = host::asked();
    match allocate(&plugin.config, &plugin.expressions, &SharedData, &asked) {
        Allocation::Granted(grant) => {
            say(&grant);
            Action::Continue
        }
        Allocation::Unknown => refuse_quota(&Refusal::unknown(&asked.quota)),
        Allocation::Unavailable => refuse_quota(&Refusal::unavailable(&asked.quota)),
    }
}

fn say(grant: &Grant) {
    properties::set("mixer.quota.granted", &grant.amount.to_string());
    properties::set("mixer.valid_duration", &duration::format(grant.valid));
    match &grant.told {
        Told::Nothing => {}
        Told::Unlimited => {
            properties::set("mixer.quota.remaining", ENDLESS);
        }
        Told::Limited {
            policy,
            limit,
            standing,
        } => {
            properties::set("mixer.quota.policy", policy);
            properties::set("mixer.quota.limit", &limit.max.to_string());
            properties::set("mixer.quota.window", &duration::format(limit.window));
            if let Some((left, rest)) = standing {
                properties::set("mixer.quota.remaining", &left.to_string());
                properties::set("mixer.quota.reset", &whole_seconds(*rest).to_string());
            }
        }
    }
}

fn refuse_quota(refusal: &Refusal) -> Action {
    say(&Grant {
        amount: 0,
        valid: 0,
        told: Told::Nothing,
    });
    refuse(refusal)
}

fn refuse(refusal: &Refusal) -> Action {
    host::refuse(refusal);
    // Also for a host that failed to send the response: never let it pass.
    Action::Pause
}
