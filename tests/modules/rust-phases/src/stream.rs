//! One HTTP stream.

use crate::shared::{announce, count, Metrics};
use crate::{tell, text, Clusters};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use std::rc::Rc;

pub struct Stream {
    pub clusters: Rc<Clusters>,
    metrics: Rc<Metrics>,
}

impl Stream {
    pub fn new(clusters: Rc<Clusters>, metrics: Rc<Metrics>) -> Self {
        Self { clusters, metrics }
    }

    fn change_request_headers(&self) {
        self.add_http_request_header("x-count", &count(self, "rust.count").to_string());
        let path = self.get_property(vec!["request", "url_path"]);
        self.set_http_request_header("x-path", Some(&text(path)));
        self.remove_http_request_header("x-remove");
        if self.get_http_request_header("x-replace").is_some() {
            self.set_http_request_header("x-replace", Some("replaced"));
        }
    }
}

impl Context for Stream {
    fn on_http_call_response(&mut self, _: u32, headers: usize, body: usize, trailers: usize) {
        if headers > 0 {
            self.on_http_answer(body, trailers);
        }
    }

    fn on_grpc_call_response(&mut self, _: u32, status: u32, size: usize) {
        self.on_grpc_answer(status, size);
    }

    fn on_done(&mut self) -> bool {
        tell("done");
        true
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, end: bool) -> Action {
        let path = self.get_http_request_header(":path").unwrap_or_default();
        tell(&format!("request headers {path} {end}"));
        self.set_property(vec!["rust.path"], Some(path.as_bytes()));
        if path == "/deny" {
            self.send_http_response(403, vec![("x-module", "rust")], Some(b"blocked by module"));
            return Action::Pause;
        }
        let foreign = self.call_foreign_function("no such function", Some(b"argument"));
        tell(&format!("foreign {foreign:?}"));
        self.metrics.count(path.len());
        announce(self, &path);
        self.change_request_headers();
        self.ask(&path)
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        if !end {
            return Action::Pause;
        }
        let mut body = self.get_http_request_body(0, size).unwrap_or_default();
        tell(&format!("request body {size}"));
        body.reverse();
        self.set_http_request_body(0, size, &body);
        Action::Continue
    }

    fn on_http_request_trailers(&mut self, count: usize) -> Action {
        self.set_http_request_trailer("x-sum", Some("8"));
        self.add_http_request_trailer("x-more", "1");
        let trailers = self.get_http_request_trailers();
        tell(&format!("request trailers {count} {trailers:?}"));
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _count: usize, _end: bool) -> Action {
        let path = self.get_property(vec!["rust.path"]);
        let code = self.get_property(vec!["response", "code"]);
        tell(&format!("response headers {code:?}"));
        self.set_http_response_header("content-length", None);
        self.add_http_response_header("x-of", &text(path));
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        let body = text(self.get_http_response_body(0, size).or(Some(vec![])));
        tell(&format!("response body {body:?} {end}"));
        if end {
            self.set_http_response_body(0, size, format!("{body}!").as_bytes());
        }
        Action::Continue
    }

    fn on_log(&mut self) {
        let of = self.get_http_response_header("x-of");
        let path = self.get_property(vec!["rust.path"]);
        tell(&format!("log {of:?} {}", text(path)));
    }
}
