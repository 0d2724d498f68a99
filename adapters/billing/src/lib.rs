//! Usage records of requests for a ledger as a Proxy-Wasm module. See the README beside this crate.

mod config;
mod entry;
mod price;
pub mod text;
pub mod tokens;
pub mod unreported;

pub use config::{Config, Meter, OnError, Plan, RecordOn, Source, UnknownSubject};
pub use entry::Usage;

#[cfg(target_arch = "wasm32")]
mod advice;
#[cfg(target_arch = "wasm32")]
mod billing;
#[cfg(target_arch = "wasm32")]
mod context;
#[cfg(target_arch = "wasm32")]
mod identity;
#[cfg(target_arch = "wasm32")]
mod metering;
#[cfg(target_arch = "wasm32")]
mod response;
#[cfg(target_arch = "wasm32")]
mod sender;

#[cfg(target_arch = "wasm32")]
proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(context::Root::default()));
}}
