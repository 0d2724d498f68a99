//! Rules that deny, and lists to check against, as a Proxy-Wasm module. See the README beside
//! this crate.

mod code;
mod config;
mod decide;
mod duration;
mod list;

pub use config::{Action, Check, Config, Denial, Protocol, Rule};
pub use decide::{decide, Evaluate, Refusal};
pub use mixer_host::value::{Truth, Value};

#[cfg(target_arch = "wasm32")]
mod context;

#[cfg(target_arch = "wasm32")]
proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(context::Root::default()));
}}
