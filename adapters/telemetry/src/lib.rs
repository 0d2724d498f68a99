//! Metrics and log entries of requests as a Proxy-Wasm module. See the README beside this crate.

mod config;
mod entry;
mod labels;
mod series;

pub use config::{Amount, Config, Dimension, Format, Kind, Log, Metric, Severity};
pub use entry::{json_entry, text_entry, Field};
pub use labels::metric_name;
pub use series::{Key, Series};

#[cfg(target_arch = "wasm32")]
mod context;
#[cfg(target_arch = "wasm32")]
mod counting;
#[cfg(target_arch = "wasm32")]
mod logging;

#[cfg(target_arch = "wasm32")]
proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(context::Root::default()));
}}
