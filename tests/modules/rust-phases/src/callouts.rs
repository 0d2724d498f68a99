//! Asking others while a request waits.

use crate::stream::Stream;
use crate::{tell, text};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, Status};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(5);
const HEALTH: &str = "grpc.health.v1.Health";

impl Stream {
    /// Makes the callout that a path stands for, if it does.
    pub fn ask(&self, path: &str) -> Action {
        let sent = match path {
            "/http" => self.ask_http(&self.clusters.http),
            "/http-unknown" => self.ask_http("no such cluster"),
            "/grpc" => self.ask_grpc(&self.clusters.grpc, "Check"),
            "/grpc-fails" => self.ask_grpc(&self.clusters.grpc, "Nothing"),
            "/grpc-unknown" => self.ask_grpc("no such cluster", "Check"),
            _ => return Action::Continue,
        };
        tell(&format!("sent {:?}", sent.map(drop)));
        match sent {
            Ok(_) => Action::Pause,
            Err(_) => Action::Continue,
        }
    }

    fn ask_http(&self, cluster: &str) -> Result<u32, Status> {
        let headers = vec![
            (":method", "POST"),
            (":path", "/rust"),
            (":authority", "callout.test"),
            ("x-asks", "rust"),
        ];
        self.dispatch_http_call(cluster, headers, Some(b"question"), vec![], TIMEOUT)
    }

    fn ask_grpc(&self, cluster: &str, method: &str) -> Result<u32, Status> {
        let metadata = vec![("x-asks", b"rust".as_slice())];
        self.dispatch_grpc_call(cluster, HEALTH, method, metadata, None, TIMEOUT)
    }

    pub fn on_http_answer(&self, size: usize, trailers: usize) {
        let status = self.get_http_call_response_header(":status");
        let extra = self.get_http_call_response_header("x-extra");
        tell(&format!("answered {status:?} {extra:?} {size} {trailers}"));
        let body = text(self.get_http_call_response_body(0, size));
        self.add_http_request_header("x-answer", &body);
        self.resume_http_request();
    }

    pub fn on_grpc_answer(&self, status: u32, size: usize) {
        let message = self.get_grpc_call_response_body(0, size);
        tell(&format!("grpc {status} {size} {message:?}"));
        self.add_http_request_header("x-grpc", &status.to_string());
        self.resume_http_request();
    }
}
