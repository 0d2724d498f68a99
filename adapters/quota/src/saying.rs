//! What callers are told by properties and local responses.

use crate::allocation::{Grant, Told};
use crate::config::Config;
use crate::duration;
use crate::host;
use crate::refusal::{whole_seconds, Refusal};
use mixer_host::properties;
use proxy_wasm::types::Action;

const UNLIMITED: &str = "-1";
/// More than any limit, and exact in every number.
const ENDLESS: &str = "9007199254740991";

/// A check takes nothing, and its answer follows from nothing: it may be kept.
pub fn say_check(config: &Config) -> Action {
    properties::set(
        "mixer.valid_duration",
        &duration::format(config.check_validity),
    );
    properties::set("mixer.valid_use_count", UNLIMITED);
    Action::Continue
}

pub fn say(grant: &Grant) {
    properties::set("mixer.quota.granted", &grant.amount.to_string());
    properties::set("mixer.valid_duration", &duration::format(grant.valid));
    match &grant.told {
        Told::Nothing => {}
        Told::Unlimited => {
            properties::set("mixer.quota.remaining", ENDLESS);
        }
        Told::Limited {
            policy,
            limit,
            standing,
        } => {
            properties::set("mixer.quota.policy", policy);
            properties::set("mixer.quota.limit", &limit.max.to_string());
            properties::set("mixer.quota.window", &duration::format(limit.window));
            if let Some((left, reset)) = standing {
                properties::set("mixer.quota.remaining", &left.to_string());
                properties::set("mixer.quota.reset", &whole_seconds(*reset).to_string());
            }
        }
    }
}

pub fn refuse_quota(refusal: &Refusal) -> Action {
    say(&Grant {
        amount: 0,
        valid: 0,
        told: Told::Nothing,
    });
    refuse(refusal)
}

pub fn refuse(refusal: &Refusal) -> Action {
    host::refuse(refusal);
    // Also for a host that failed to send the response: never let it pass.
    Action::Pause
}
