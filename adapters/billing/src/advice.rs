//! What the log says of a configuration that is sound, and of requests that bring no record.

use crate::config::Config;
use crate::metering::{Metering, Once};
use crate::unreported::UNREPORTED;
use mixer_host::root;

/// What may be a mistake, when the plugin is configured.
pub fn of_configuration(config: &Config, meters: &[Metering]) {
    of_rates(config, meters);
    for field in config.early_fields() {
        root::log_warning(&format!(
            "billing: {field} reads response.*, which is not known yet with recordOn: request: \
             it has no value"
        ));
    }
}

/// A rate may be of another adapter's meter, or misspelt.
fn of_rates(config: &Config, meters: &[Metering]) {
    for (at, plan) in config.plans.iter().enumerate() {
        for rate in &plan.rates {
            if meters.iter().all(|meter| meter.name() != rate.meter) {
                root::log_warning(&format!(
                    "billing: plans[{at}].rates.{} is of a meter that is not counted here",
                    rate.meter
                ));
            }
        }
    }
}

/// There is no record of a request whose end nobody tells.
pub fn of_unreported() {
    root::log_warning(&format!(
        "billing: {UNREPORTED} requests have passed, and nobody told of the end of any: none was \
         recorded. With recordOn: log the service needs the proxy's access logs or reports \
         (docs/access-logs.md), or else set recordOn: request; said once"
    ));
}

/// There is no record of a request without a subject.
pub fn of_no_subject(told: &mut Once) {
    told.warn(
        "subject has no value that names anybody, and such requests are not recorded: does an \
         adapter before this one set it, do access logs tell it (of a header: \
         additional_request_headers_to_log), or were they refused (match: response.code < 400)? \
         billing_skipped_total counts them",
    );
}
