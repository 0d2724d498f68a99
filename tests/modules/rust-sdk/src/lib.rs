//! Conformance test module on the Rust SDK. The README beside it says what it does.

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel, MapType};
use serde_json::Value;
use std::rc::Rc;

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Root::default()));
}}

#[derive(Default)]
struct Config {
    add: Vec<(String, String)>,
    deny_path: Option<String>,
    deny_body: Option<String>,
    echo_property: Option<Vec<String>>,
    trap_path: Option<String>,
}

impl Config {
    fn parse(text: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(text).ok()?;
        let text_of = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let add = value.get("add").and_then(Value::as_object);
        let path = value.get("echo_property").and_then(Value::as_array);
        let owned = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        Some(Self {
            add: add
                .into_iter()
                .flatten()
                .map(|(name, value)| (name.clone(), owned(value)))
                .collect(),
            deny_path: text_of("deny_path"),
            deny_body: text_of("deny_body"),
            echo_property: path.map(|steps| steps.iter().map(owned).collect()),
            trap_path: text_of("trap_path"),
        })
    }
}

#[derive(Default)]
struct Root {
    config: Rc<Config>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        let text = self.get_plugin_configuration().unwrap_or_default();
        match Config::parse(&text) {
            Some(config) => {
                self.config = Rc::new(config);
                true
            }
            None => {
                log(LogLevel::Error, "the configuration is not JSON");
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
    config: Rc<Config>,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, count: usize, end_of_stream: bool) -> Action {
        log(
            LogLevel::Info,
            &format!("headers {count} eos={end_of_stream}"),
        );
        let path = self.get_http_request_header(":path");
        if path.is_some() && path == self.config.deny_path {
            return self.refuse(b"blocked by module");
        }
        if path.is_some() && path == self.config.trap_path {
            panic!("trap_path");
        }
        self.edit_headers();
        if self.config.deny_body.is_some() && !end_of_stream {
            return Action::Pause;
        }
        Action::Continue
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        if !end_of_stream {
            return Action::Pause;
        }
        let body = self.get_http_request_body(0, size).unwrap_or_default();
        match &self.config.deny_body {
            Some(text) if contains(&body, text.as_bytes()) => self.refuse(b"body refused"),
            _ => Action::Continue,
        }
    }

    fn on_log(&mut self) {
        log(LogLevel::Info, "done");
    }
}

impl Stream {
    fn edit_headers(&self) {
        if let Some(path) = &self.config.echo_property {
            let path = path.iter().map(String::as_str).collect();
            let value = self.get_property(path);
            let value = value.map(|v| String::from_utf8_lossy(&v).into_owned());
            self.add_http_request_header("x-property", value.as_deref().unwrap_or("absent"));
        }
        for (name, value) in &self.config.add {
            self.add_http_request_header(name, value);
        }
        // Not set_http_request_header(None): this is the host call to be tested.
        let _ = hostcalls::remove_map_value(MapType::HttpRequestHeaders, "x-remove");
        if self.get_http_request_header("x-replace").is_some() {
            self.set_http_request_header("x-replace", Some("replaced"));
        }
    }

    fn refuse(&self, body: &[u8]) -> Action {
        // The SDK passes no details, so this module has none.
        self.send_http_response(403, vec![("x-module", "rust")], Some(body));
        Action::Pause
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    part.is_empty() || text.windows(part.len()).any(|window| window == part)
}

fn log(level: LogLevel, message: &str) {
    let _ = hostcalls::log(level, message);
}
