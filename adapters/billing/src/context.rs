//! The Proxy-Wasm contexts: one root per plugin, one HTTP context per request.

use crate::advice;
use crate::billing::{Billing, Denied};
use crate::config::RecordOn;
use crate::response::Response;
use mixer_host::response::{send_with_code, LocalResponse};
use mixer_host::{properties, root};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};
use std::cell::RefCell;
use std::rc::Rc;

type Shared = Rc<RefCell<Billing>>;

#[derive(Default)]
pub struct Root(Option<Shared>);

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        match Billing::new(&root::configuration(size)) {
            Ok(billing) => {
                self.0 = Some(Rc::new(RefCell::new(billing)));
                true
            }
            Err(error) => {
                root::log_error(&format!("billing: {error}"));
                false
            }
        }
    }

    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream {
            billing: self.0.clone()?,
            passed: false,
            denied: false,
            told: false,
            response: Response::Unseen,
        }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Stream {
    billing: Shared,
    /// Whether the request itself went through here, rather than a report of it.
    passed: bool,
    /// Whether it was refused here.
    denied: bool,
    /// Whether its end was told.
    told: bool,
    response: Response,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        self.passed = true;
        let billing = self.billing.clone();
        let mut billing = billing.borrow_mut();
        let result = match billing.config.record_on {
            RecordOn::Log => logged(&mut billing),
            RecordOn::Request => recorded(&mut billing),
        };
        match result {
            Ok(()) => Action::Continue,
            Err(denied) => self.refuse(denied),
        }
    }

    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        if self.billing.borrow().counts_tokens && !self.denied {
            self.response = Response::begin();
        }
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, _end_of_stream: bool) -> Action {
        self.response.read(&self.billing.borrow().paths, size);
        Action::Continue
    }

    fn on_log(&mut self) {
        let mut billing = self.billing.borrow_mut();
        self.told = true;
        billing.unreported.told();
        if billing.config.record_on != RecordOn::Log
            || self.denied
            || !self.is_to_be_recorded(&mut billing)
        {
            return;
        }
        let (passed, response) = (self.passed, &mut self.response);
        // It is over, and passed: what went wrong is counted and in the log.
        let _ = billing.record(passed, |billing| billing.tokens(response, passed));
    }
}

impl Stream {
    /// What passed here is, and what is reported; in Envoy also requests come to an end that a
    /// filter before this one refused, and they are neither. What is, has been read.
    fn is_to_be_recorded(&self, billing: &mut Billing) -> bool {
        if self.passed {
            return asks() == Asks::ToPass && reads(billing);
        }
        Asks::of(billing.read()) == Asks::Nothing && billing.matches()
    }

    fn refuse(&mut self, denied: Denied) -> Action {
        self.denied = true;
        let (code, status, details, body) = match denied {
            Denied::UnknownSubject => (7, 403, "unknown_subject", "Forbidden"),
            Denied::NoLedger => (14, 503, "billing_unavailable", "Service unavailable"),
        };
        properties::set("mixer.valid_duration", "0s");
        properties::set("mixer.valid_use_count", "0");
        properties::set("mixer.deny.code", &code.to_string());
        let response = LocalResponse {
            status,
            details,
            headers: &[("content-type", "text/plain".to_owned())],
            body,
        };
        send_with_code(&response, code);
        // Also for a host that failed to send the response: never let it pass.
        Action::Pause
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut billing = self.billing.borrow_mut();
        let matters = billing.config.record_on == RecordOn::Log && billing.unreported.is_watching();
        if !matters || !self.passed || self.denied || self.told || asks() != Asks::ToPass {
            return;
        }
        if billing.unreported.gone() {
            advice::of_unreported();
        }
    }
}

/// What a caller wants to know.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Asks {
    /// Whether the request may pass, which it then does.
    ToPass,
    /// The same, of a request that is reported later, or that there is none of.
    First,
    /// Nothing: it reports what is over.
    Nothing,
    /// Something else.
    Other,
}

impl Asks {
    fn of(operation: Option<&[u8]>) -> Self {
        match operation {
            None => Self::ToPass,
            Some(b"check" | b"explain") => Self::First,
            Some(b"report") => Self::Nothing,
            Some(_) => Self::Other,
        }
    }
}

/// By itself: what is read of a check decides for how many others its answer is good.
fn asks() -> Asks {
    Asks::of(properties::get_joined(b"mixer\0operation").ok().as_deref())
}

/// Whether the current request is one to record, which has been read then.
fn reads(billing: &mut Billing) -> bool {
    let matches = billing.matches();
    if matches {
        billing.read();
    }
    matches
}

/// Lets a request pass of which there is no record yet.
fn admitted(billing: &mut Billing) -> Result<(), Denied> {
    billing.admit()?;
    tell_validity();
    Ok(())
}

/// Lets a request pass whose record is made when its end is told.
fn logged(billing: &mut Billing) -> Result<(), Denied> {
    if billing.unreported.is_watching() && asks() == Asks::ToPass {
        // What is answered from memory would not be seen here. It lasts for a few requests.
        return billing.admit();
    }
    admitted(billing)
}

/// Makes the record of a request that passes.
fn recorded(billing: &mut Billing) -> Result<(), Denied> {
    match asks() {
        Asks::ToPass if reads(billing) => billing.record(true, |_| None),
        Asks::First => admitted(billing),
        Asks::ToPass | Asks::Nothing | Asks::Other => Ok(()),
    }
}

/// What passes without a record need not keep what others decide from being used again: as long
/// as a Mixer says where nobody decides.
fn tell_validity() {
    properties::set("mixer.valid_duration", "1m");
    properties::set("mixer.valid_use_count", "10000");
}
