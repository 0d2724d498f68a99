//! API keys and JWTs as a Proxy-Wasm module. See the README beside this crate.

mod api_key;
mod claims;
mod config;
mod decide;
mod jwk;
#[cfg(test)]
mod jwk_tests;
mod jwt;
mod path;
mod reason;
mod request;
mod response;
mod rsa;
mod rules;
mod source;
mod token_cache;

pub use config::{Config, ConfigError};
pub use decide::{decide, Outcome};
pub use reason::Reason;
pub use request::{Change, Request};
pub use response::{denial, Accepts, Denial};

#[cfg(target_arch = "wasm32")]
mod context;
#[cfg(target_arch = "wasm32")]
mod host;

#[cfg(target_arch = "wasm32")]
proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(context::Root::default()));
}}
