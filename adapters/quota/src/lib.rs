//! Quotas over shared data as a Proxy-Wasm module. See the README beside this crate.

mod allocation;
mod bucket;
mod charge;
mod config;
mod domain;
pub mod duration;
mod identity;
mod ledger;
mod limit;
pub mod pairs;
pub mod refusal;
mod request;
pub mod store;
mod unit;
pub mod value;
mod window;

pub use allocation::{allocate, Allocation, Asked, Grant, Told};
pub use bucket::Bucket;
pub use charge::{charge, Charge, Standing};
pub use config::{Config, ConfigError, OnError};
pub use domain::{Descriptor, Domain, Entry, Rate, Rule};
pub use limit::{Dimension, Limit, Quota};
pub use request::Request;
pub use unit::length as unit_length;

#[cfg(target_arch = "wasm32")]
mod context;
#[cfg(target_arch = "wasm32")]
mod host;

#[cfg(target_arch = "wasm32")]
proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(context::Root::default()));
}}
