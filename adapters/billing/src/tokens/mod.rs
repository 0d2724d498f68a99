//! How many tokens a response used, read from it while it passes.

mod json;
mod paths;
mod reader;
mod sse;
#[cfg(test)]
mod tests;

pub use json::MOST;
pub use paths::{Found, Paths, PARTS, PART_BYTES, SLOTS};
pub use reader::{Format, Reader};

/// What tells tokens where nothing else is configured: the names of meters, and where OpenAI,
/// Anthropic and Gemini have them, in a whole response and in the events of a stream.
pub const FIELDS: &[(&str, &[&str])] = &[
    (
        "input_tokens",
        &[
            "usage.prompt_tokens",
            "usage.input_tokens",
            "response.usage.input_tokens",
            "message.usage.input_tokens",
            "usageMetadata.promptTokenCount",
        ],
    ),
    (
        "output_tokens",
        &[
            "usage.completion_tokens",
            "usage.output_tokens",
            "response.usage.output_tokens",
            "message.usage.output_tokens",
            "usageMetadata.candidatesTokenCount",
        ],
    ),
    (
        TOTAL,
        &[
            "usage.total_tokens",
            "response.usage.total_tokens",
            "usageMetadata.totalTokenCount",
        ],
    ),
    (
        "cached_tokens",
        &[
            "usage.prompt_tokens_details.cached_tokens",
            "usage.input_tokens_details.cached_tokens",
            "response.usage.input_tokens_details.cached_tokens",
            "usageMetadata.cachedContentTokenCount",
        ],
    ),
    (
        "reasoning_tokens",
        &[
            "usage.completion_tokens_details.reasoning_tokens",
            "usage.output_tokens_details.reasoning_tokens",
            "response.usage.output_tokens_details.reasoning_tokens",
        ],
    ),
    (
        "cache_read_tokens",
        &[
            "usage.cache_read_input_tokens",
            "message.usage.cache_read_input_tokens",
        ],
    ),
    (
        "cache_write_tokens",
        &[
            "usage.cache_creation_input_tokens",
            "message.usage.cache_creation_input_tokens",
        ],
    ),
    ("thought_tokens", &["usageMetadata.thoughtsTokenCount"]),
];

pub const TOTAL: &str = "total_tokens";

/// Slots of `FIELDS` that are no part of one another, and of which one must be there: input and
/// output; and those that may be there too.
const OWN: [usize; 2] = [0, 1];
const FURTHER: [usize; 3] = [5, 6, 7];

/// All tokens of a response that does not tell their sum itself.
pub fn sum(found: &Found) -> Option<u64> {
    if OWN.iter().all(|slot| found[*slot].is_none()) {
        return None;
    }
    let parts = OWN.iter().chain(&FURTHER);
    Some(parts.filter_map(|slot| found[*slot]).sum())
}
