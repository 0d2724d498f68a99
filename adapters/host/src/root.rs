//! What a plugin's root context does at its start.

use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, LogLevel};

/// The plugin's configuration; none is as an empty one. To be called in `on_configure`.
pub fn configuration(size: usize) -> Vec<u8> {
    let text = match size {
        0 => None,
        _ => hostcalls::get_buffer(BufferType::PluginConfiguration, 0, size)
            .ok()
            .flatten(),
    };
    text.unwrap_or_default()
}

pub fn log_error(message: &str) {
    let _ = hostcalls::log(LogLevel::Error, message);
}

pub fn log_warning(message: &str) {
    let _ = hostcalls::log(LogLevel::Warn, message);
}
