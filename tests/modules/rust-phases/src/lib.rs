//! Conformance test module that uses what the Rust SDK offers. The README beside it says how.

mod callouts;
mod shared;
mod stream;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{ContextType, LogLevel};
use shared::{Metrics, QUEUE};
use std::rc::Rc;
use std::time::Duration;
use stream::Stream;

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Root::default()));
}}

/// Where callouts go: the clusters of the configuration, `HTTP GRPC`.
#[derive(Default)]
struct Clusters {
    http: String,
    grpc: String,
}

#[derive(Default)]
struct Root {
    clusters: Rc<Clusters>,
    metrics: Rc<Metrics>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_vm_start(&mut self, size: usize) -> bool {
        tell(&format!("vm start {size} {:?}", self.get_vm_configuration()));
        true
    }

    fn on_configure(&mut self, _size: usize) -> bool {
        let text = self.get_plugin_configuration().unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let Some((http, grpc)) = text.split_once(' ') else {
            return false;
        };
        self.clusters = Rc::new(Clusters {
            http: http.to_owned(),
            grpc: grpc.to_owned(),
        });
        self.metrics = Rc::new(Metrics::define());
        self.register_shared_queue(QUEUE);
        self.set_tick_period(Duration::from_millis(50));
        true
    }

    fn on_tick(&mut self) {
        self.set_tick_period(Duration::ZERO);
        tell("tick");
    }

    fn on_queue_ready(&mut self, queue: u32) {
        let message = self.dequeue_shared_queue(queue).unwrap_or_default();
        tell(&format!("message {}", text(message)));
    }

    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        let stream = Stream::new(self.clusters.clone(), self.metrics.clone());
        Some(Box::new(stream))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

fn tell(line: &str) {
    let _ = hostcalls::log(LogLevel::Warn, line);
}

fn text(bytes: Option<Vec<u8>>) -> String {
    bytes.map_or("none".to_owned(), |b| String::from_utf8_lossy(&b).into_owned())
}
