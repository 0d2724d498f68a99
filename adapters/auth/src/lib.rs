//! Authentication and authorization as a Proxy-Wasm module. See the README beside this crate.

mod address;
mod answers;
mod api_key;
mod basic;
mod claims;
mod condition;
mod config;
mod decide;
mod forwarded_certificate;
mod introspection;
mod jwk;
#[cfg(test)]
mod jwk_tests;
mod jwks_remote;
mod jwt;
mod mtls;
mod path;
mod reason;
mod remote;
mod replay;
mod request;
mod response;
mod rsa;
mod rules;
mod signature;
mod source;
mod spiffe;
mod token_cache;
#[cfg(any(test, target_arch = "wasm32"))]
mod waiting;

pub use config::{Config, ConfigError};
pub use decide::{decide, Outcome, Refusal};
pub use reason::Reason;
pub use remote::{Answer, Wanted};
pub use replay::Shared;
pub use request::{Change, Expected, Request};
pub use response::{denial, Accepts, Denial};

#[cfg(target_arch = "wasm32")]
mod context;
#[cfg(target_arch = "wasm32")]
mod fetch;
#[cfg(target_arch = "wasm32")]
mod host;

#[cfg(target_arch = "wasm32")]
proxy_wasm::main! {{
    proxy_wasm::set_root_context(|id| Box::new(context::Root::new(id)));
}}
