//! The Proxy-Wasm contexts: one root per plugin, one HTTP context per request.

use crate::config::{Config, ConfigError};
use crate::decide::{decide, Refusal};
use crate::fetch::Remote;
use crate::host::{self, Conditions, HostRequest};
use crate::reason::Reason;
use crate::request::Expected;
use crate::response::{denial, Accepts};
use crate::signature::digest;
use mixer_host::{request, root};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};
use std::rc::Rc;

pub struct Root {
    id: u32,
    plugin: Option<Rc<Plugin>>,
}

/// What all contexts of a plugin share.
pub struct Plugin {
    pub config: Config,
    pub conditions: Conditions,
    pub remote: Remote,
}

impl Root {
    pub fn new(id: u32) -> Self {
        let plugin = None;
        Self { id, plugin }
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, headers: usize, size: usize, _trailers: usize) {
        if let Some(plugin) = &self.plugin {
            plugin.on_answer(token, headers, size);
        }
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        match Plugin::create(self.id, &root::configuration(size)) {
            Ok(plugin) => {
                self.plugin = Some(Rc::new(plugin));
                true
            }
            Err(error) => {
                root::log_error(&format!("auth: {error}"));
                false
            }
        }
    }

    fn on_tick(&mut self) {
        if let Some(plugin) = &self.plugin {
            plugin.on_tick();
        }
    }

    /// No queue is registered: this is how a stream has the root send, see `fetch`.
    fn on_queue_ready(&mut self, _queue: u32) {
        if let Some(plugin) = &self.plugin {
            plugin.send();
        }
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        let plugin = self.plugin.clone();
        let expected = None;
        Some(Box::new(Stream {
            id,
            plugin,
            expected,
            arrived: 0,
        }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Stream {
    id: u32,
    plugin: Option<Rc<Plugin>>,
    /// What the body has to be, until it was seen to be that.
    expected: Option<Expected>,
    /// Bytes of the body by now.
    arrived: usize,
}

impl Stream {
    /// A host that goes on with the body while the headers wait must hold it, too: what it lets
    /// through takes the headers along.
    fn hold(&self) -> Action {
        match &self.plugin {
            Some(plugin) if plugin.remote.holds(self.id) => Action::Pause,
            _ => Action::Continue,
        }
    }

    /// Nothing of a body goes on before all of it is there and is what was signed.
    fn check_body(&mut self, is_whole: bool) -> Action {
        let Some(expected) = &self.expected else {
            return self.hold();
        };
        if self.arrived > expected.max_bytes {
            return self.refuse(Reason::BodyTooLarge);
        }
        if !is_whole {
            return Action::Pause;
        }
        let body = match self.arrived {
            0 => None,
            size => request::body(size),
        };
        if !digest::matches(&expected.digest, &body.unwrap_or_default()) {
            return self.refuse(Reason::SignatureDigest);
        }
        self.expected = None;
        self.hold()
    }

    fn refuse(&self, reason: Reason) -> Action {
        match &self.plugin {
            Some(plugin) => plugin.refuse(reason.into()),
            None => refuse(Reason::NotConfigured.into(), "", Accepts::default()),
        }
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        let Some(plugin) = &self.plugin else {
            return self.refuse(Reason::NotConfigured);
        };
        let request = HostRequest::new(&plugin.conditions, !end_of_stream);
        let action = plugin.decide(self.id, &request);
        self.expected = request.expected.take();
        match &self.expected {
            Some(expected) if expected.hold_headers => Action::Pause,
            _ => action,
        }
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.arrived = size;
        self.check_body(end_of_stream)
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        self.check_body(true)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(plugin) = &self.plugin {
            plugin.leave(self.id);
        }
    }
}

impl Plugin {
    fn create(root: u32, text: &[u8]) -> Result<Self, ConfigError> {
        let config = Config::parse(text)?;
        let conditions = Conditions::create(&config)?;
        let remote = Remote::new(root, &config);
        Ok(Self {
            config,
            conditions,
            remote,
        })
    }

    fn decide(&self, context: u32, request: &HostRequest) -> Action {
        let mut outcome = decide(&self.config, request);
        if let Some(wanted) = request.awaits.take() {
            if self.wait(context, wanted) {
                return Action::Pause;
            }
            // It could not be sent, which is known now.
            outcome = decide(&self.config, request);
            self.leave(context);
        }
        if let Some(validity) = &self.config.validity {
            host::set_validity(validity, request.holds.get());
        }
        match outcome {
            Ok(changes) => {
                host::apply(&changes);
                Action::Continue
            }
            Err(refusal) => self.refuse(refusal),
        }
    }

    pub fn refuse(&self, refusal: Refusal) -> Action {
        refuse(refusal, &self.config.realm, self.config.accepts())
    }
}

fn refuse(refusal: Refusal, realm: &str, accepts: Accepts) -> Action {
    host::deny(&denial(refusal, realm, accepts));
    // Also for a host that failed to send the response: never let it pass.
    Action::Pause
}
