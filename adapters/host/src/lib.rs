//! What the adapters share: the host calls that the SDK lacks or that it answers with a
//! trap, CEL expressions, and reading a configuration with one clear message for a mistake.

pub mod attributes;
pub mod config;
pub mod json;
pub mod network;
pub mod path;
pub mod shared_data;
pub mod shared_queue;
mod time;
pub mod value;

#[cfg(target_arch = "wasm32")]
mod abi;
#[cfg(target_arch = "wasm32")]
pub mod batch;
#[cfg(target_arch = "wasm32")]
pub mod condition;
#[cfg(target_arch = "wasm32")]
pub mod declared;
#[cfg(target_arch = "wasm32")]
pub mod expression;
#[cfg(target_arch = "wasm32")]
pub mod foreign;
#[cfg(target_arch = "wasm32")]
pub mod metrics;
#[cfg(target_arch = "wasm32")]
pub mod properties;
#[cfg(target_arch = "wasm32")]
pub mod reading;
#[cfg(target_arch = "wasm32")]
pub mod request;
#[cfg(target_arch = "wasm32")]
pub mod response;
#[cfg(target_arch = "wasm32")]
pub mod root;
#[cfg(target_arch = "wasm32")]
pub mod source;
