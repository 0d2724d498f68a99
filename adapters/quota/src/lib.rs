//! Quotas as a Proxy-Wasm module. See the README beside this crate.

mod allocation;
mod bucket;
mod config;
mod counters;
mod domain;
pub mod duration;
mod identity;
mod ledger;
mod limit;
pub mod pairs;
mod plan;
mod rate;
pub mod refusal;
mod request;
mod shared;
mod state;
pub mod store;
mod unit;
pub mod value;
mod window;
pub mod wire;

pub use allocation::{order, Allocation, Asked, Errand, Grant, Order, Told};
pub use bucket::Bucket;
pub use config::{Config, ConfigError, OnError};
pub use counters::{Account, Answer, Charge, Counters, Standing, Take, MAX_CHARGES};
pub use domain::{Descriptor, Domain, Entry, Rate, Rule};
pub use limit::{Algorithm, Cost, Dimension, Limit, Quota};
pub use plan::{Item, Plan, Verdict};
pub use request::Request;
pub use shared::Shared;
pub use unit::length as unit_length;

#[cfg(target_arch = "wasm32")]
mod context;
#[cfg(target_arch = "wasm32")]
mod host;
#[cfg(target_arch = "wasm32")]
mod host_counters;
#[cfg(target_arch = "wasm32")]
mod saying;
#[cfg(target_arch = "wasm32")]
mod shadows;
#[cfg(target_arch = "wasm32")]
mod source;

#[cfg(target_arch = "wasm32")]
proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(context::Root::default()));
}}
