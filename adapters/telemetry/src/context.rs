//! The Proxy-Wasm contexts: one root per plugin, one HTTP context per request.

use crate::config::Config;
use crate::counting::Metrics;
use crate::logging::Logs;
use mixer_host::config::ConfigError;
use mixer_host::expression::Expression;
use mixer_host::{properties, root};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};
use std::cell::RefCell;
use std::rc::Rc;

/// Whether something was told already.
#[derive(Default)]
pub struct Once(bool);

/// Says that an expression has no value, the first time that it has none.
pub fn told_once(once: &mut Once, path: &str, field: &str) {
    if !once.0 {
        once.0 = true;
        let message = "cannot be evaluated; requests for which it cannot are left out";
        root::log_warning(&format!("telemetry: {path}.{field} {message}"));
    }
}

/// An expression that the host took, or the error that it did not.
pub fn compiled<T>(made: Option<T>, path: &str, field: &str) -> Result<T, ConfigError> {
    made.ok_or_else(|| {
        let why = match Expression::create("true") {
            Some(_) => "is not an expression that the host takes",
            None => "needs expressions, and the host has no foreign function expr_create",
        };
        ConfigError::new(format!("{path}.{field}"), why)
    })
}

struct Telemetry {
    metrics: Metrics,
    logs: Logs,
}

impl Telemetry {
    fn new(text: &[u8]) -> Result<Self, ConfigError> {
        let config = Config::parse(text)?;
        let metrics = Metrics::new(&config)?;
        let logs = Logs::new(&config)?;
        Ok(Self { metrics, logs })
    }
}

#[derive(Default)]
pub struct Root {
    telemetry: Option<Rc<RefCell<Telemetry>>>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        match Telemetry::new(&root::configuration(size)) {
            Ok(telemetry) => {
                self.telemetry = Some(Rc::new(RefCell::new(telemetry)));
                true
            }
            Err(error) => {
                root::log_error(&format!("telemetry: {error}"));
                false
            }
        }
    }

    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream {
            telemetry: self.telemetry.clone(),
            passed: false,
        }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Stream {
    telemetry: Option<Rc<RefCell<Telemetry>>>,
    /// Whether the request itself went through here, rather than a report of it.
    passed: bool,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        self.passed = true;
        // It decides nothing, and must not keep what others decide from being used again:
        // as long as a Mixer says where nobody decides.
        properties::set("mixer.valid_duration", "1m");
        properties::set("mixer.valid_use_count", "10000");
        Action::Continue
    }

    fn on_log(&mut self) {
        let Some(telemetry) = &self.telemetry else {
            return;
        };
        // A report is of no other operation, and costs one host call less.
        if !self.passed || !is_other_operation() {
            let mut telemetry = telemetry.borrow_mut();
            telemetry.metrics.count();
            telemetry.logs.write();
        }
    }
}

/// Who asks for checks and quotas reports too, and each request counts once.
fn is_other_operation() -> bool {
    let operation = properties::get(&["mixer", "operation"]);
    matches!(operation.as_deref(), Some(b"check" | b"quota"))
}
