//! The Proxy-Wasm contexts: one root per plugin, one HTTP context per request.

use crate::config::Config;
use crate::decide::decide;
use crate::fetch::Remote;
use crate::host;
use crate::reason::Reason;
use crate::response::{denial, Accepts};
use mixer_host::root;
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
        match Config::parse(&root::configuration(size)) {
            Ok(config) => {
                let remote = Remote::new(self.id, &config);
                self.plugin = Some(Rc::new(Plugin { config, remote }));
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
        Some(Box::new(Stream { id, plugin }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Stream {
    id: u32,
    plugin: Option<Rc<Plugin>>,
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
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        match &self.plugin {
            Some(plugin) => plugin.decide(self.id),
            None => refuse(Reason::NotConfigured, "", Accepts::default()),
        }
    }

    fn on_http_request_body(&mut self, _size: usize, _end_of_stream: bool) -> Action {
        self.hold()
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        self.hold()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(plugin) = &self.plugin {
            plugin.remote.forget(self.id);
        }
    }
}

impl Plugin {
    fn decide(&self, context: u32) -> Action {
        let request = host::HostRequest::new();
        let mut outcome = decide(&self.config, &request);
        if let Some(wanted) = request.awaits.take() {
            if self.wait(context, wanted) {
                return Action::Pause;
            }
            // It could not be sent, which is known now.
            outcome = decide(&self.config, &request);
        }
        if let Some(validity) = &self.config.validity {
            host::set_validity(validity, request.holds.get());
        }
        match outcome {
            Ok(changes) => {
                host::apply(&changes);
                Action::Continue
            }
            Err(reason) => refuse(reason, &self.config.realm, self.config.accepts()),
        }
    }
}

pub fn refuse(reason: Reason, realm: &str, accepts: Accepts) -> Action {
    host::deny(&denial(reason, realm, accepts));
    // Also for a host that failed to send the response: never let it pass.
    Action::Pause
}
