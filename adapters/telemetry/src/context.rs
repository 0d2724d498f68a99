//! The Proxy-Wasm contexts: one root per plugin, one HTTP context per request.

use crate::config::Config;
use crate::counting::Metrics;
use crate::exporting::Exporter;
use crate::logging::Logs;
use crate::series::{Key, Series};
use crate::standard::Standard;
use crate::trace::Ids;
use crate::tracing::{Open, Tracing};
use mixer_host::batch::Batch;
use mixer_host::config::ConfigError;
use mixer_host::expression::Expression;
use mixer_host::metrics::Counts;
use mixer_host::request::now;
use mixer_host::{properties, root};
use proxy_wasm::hostcalls;
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
    /// What labels and values are read from.
    batch: Batch,
    standard: Option<Standard>,
    metrics: Metrics,
    series: Series,
    key: Key,
    counts: Counts,
    logs: Logs,
    tracing: Option<Tracing>,
    exporter: Option<Exporter>,
    ids: Ids,
}

/// How much of a value is read for a metric; a label has less.
const VALUE_BYTES: u32 = 1024;

impl Telemetry {
    fn new(text: &[u8]) -> Result<Self, ConfigError> {
        let config = Config::parse(text)?;
        let mut batch = Batch::new(VALUE_BYTES);
        let seed = now().unwrap_or(1);
        Ok(Self {
            standard: Standard::of(&config, &mut batch, seed)?,
            metrics: Metrics::new(&config, &mut batch)?,
            batch,
            series: Series::new(config.max_series, seed),
            key: Key::default(),
            counts: Counts::default(),
            logs: Logs::new(&config)?,
            tracing: Tracing::of(&config)?,
            exporter: Exporter::of(&config),
            ids: Ids::new([now().unwrap_or(1), 0, 0, 0]),
        })
    }

    /// Tells of the current request, which is over.
    fn tell(&mut self, open: Option<&Open>) {
        self.batch.read();
        let (series, key, counts) = (&mut self.series, &mut self.key, &mut self.counts);
        if let Some(standard) = &mut self.standard {
            standard.count(&self.batch, series, key, counts);
        }
        self.metrics.count(&self.batch, series, key, counts);
        counts.tell();
        self.logs.write(open, &mut self.ids, &mut self.exporter);
        let (tracing, exporter) = (self.tracing.as_mut(), self.exporter.as_mut());
        if let (Some(open), Some(tracing), Some(exporter)) = (open, tracing, exporter) {
            tracing.end(open, exporter);
        }
    }
}

#[derive(Default)]
pub struct Root {
    telemetry: Option<Rc<RefCell<Telemetry>>>,
}

impl Root {
    fn with_exporter(&self, what: impl FnOnce(&mut Exporter)) {
        if let Some(telemetry) = &self.telemetry {
            if let Some(exporter) = &mut telemetry.borrow_mut().exporter {
                what(exporter);
            }
        }
    }
}

impl Context for Root {
    fn on_grpc_call_response(&mut self, token: u32, status: u32, size: usize) {
        let mut over = false;
        self.with_exporter(|exporter| {
            exporter.answered(token, status, size);
            over = exporter.is_over();
        });
        if over {
            let _ = hostcalls::done();
        }
    }

    fn on_done(&mut self) -> bool {
        let mut over = true;
        self.with_exporter(|exporter| over = exporter.end());
        over
    }
}

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

    fn on_tick(&mut self) {
        self.with_exporter(Exporter::tick);
    }

    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream {
            telemetry: self.telemetry.clone(),
            passed: false,
            open: None,
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
    /// Its span.
    open: Option<Open>,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        self.passed = true;
        if let Some(telemetry) = &self.telemetry {
            let telemetry = &mut *telemetry.borrow_mut();
            if let Some(tracing) = &mut telemetry.tracing {
                // Each request has a span of its own, so that this cannot be used again.
                self.open = Some(tracing.begin(&mut telemetry.ids));
                return Action::Continue;
            }
        }
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
            telemetry.borrow_mut().tell(self.open.as_ref());
        }
    }
}

/// Who asks for checks and quotas reports too, and each request counts once; an explanation is of
/// no request.
fn is_other_operation() -> bool {
    let operation = properties::get(&["mixer", "operation"]);
    matches!(operation.as_deref(), Some(b"check" | b"quota" | b"explain"))
}
