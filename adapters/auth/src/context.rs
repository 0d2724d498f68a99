//! The Proxy-Wasm contexts: one root per plugin, one HTTP context per request.

use crate::config::Config;
use crate::decide::decide;
use crate::host;
use crate::reason::Reason;
use crate::response::{denial, Accepts};
use mixer_host::root;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};
use std::rc::Rc;

#[derive(Default)]
pub struct Root {
    config: Option<Rc<Config>>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        match Config::parse(&root::configuration(size)) {
            Ok(config) => {
                self.config = Some(Rc::new(config));
                true
            }
            Err(error) => {
                root::log_error(&format!("auth: {error}"));
                false
            }
        }
    }

    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        let config = self.config.clone();
        Some(Box::new(Stream { config }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Stream {
    config: Option<Rc<Config>>,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        let Some(config) = &self.config else {
            return refuse(Reason::NotConfigured, "", Accepts::default());
        };
        let request = host::HostRequest::new();
        let outcome = decide(config, &request);
        if let Some(validity) = &config.validity {
            host::set_validity(validity, request.holds.get());
        }
        match outcome {
            Ok(changes) => {
                host::apply(&changes);
                Action::Continue
            }
            Err(reason) => refuse(reason, &config.realm, config.accepts()),
        }
    }
}

fn refuse(reason: Reason, realm: &str, accepts: Accepts) -> Action {
    host::deny(&denial(reason, realm, accepts));
    // Also for a host that failed to send the response: never let it pass.
    Action::Pause
}
