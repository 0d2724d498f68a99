//! Metrics and log entries of requests as a Proxy-Wasm module. See the README beside this crate.

mod config;
pub mod conventions;
mod entry;
mod hashing;
pub mod istio;
mod labels;
pub mod otlp;
mod recent;
pub mod sampling;
mod series;
pub mod trace;

pub use config::{
    Amount, Config, Dimension, Format, Istio, Kind, Log, Metric, Origin, Otlp, Output, Propagation,
    Severity, Tracing,
};
pub use entry::{json_entry, text_entry, Field};
pub use labels::metric_name;
pub use recent::Recent;
pub use series::{Key, Series};

#[cfg(target_arch = "wasm32")]
mod context;
#[cfg(target_arch = "wasm32")]
mod counting;
#[cfg(target_arch = "wasm32")]
mod exporting;
#[cfg(target_arch = "wasm32")]
mod logging;
#[cfg(target_arch = "wasm32")]
mod standard;
#[cfg(target_arch = "wasm32")]
mod tracing;

#[cfg(target_arch = "wasm32")]
proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(context::Root::default()));
}}
