//! What can be read of a request whose record is made before there is a response.

use super::meters::OF_THE_LOG;
use super::{Config, Read, RecordOn, Source};
use mixer_host::config::ConfigError;
use mixer_host::path::read_unasked;

/// Refuses what no record, or no unit of a meter, would ever come about by.
pub fn check(config: &Config) -> Read<()> {
    if config.record_on == RecordOn::Log {
        return Ok(());
    }
    refuse("subject", Some(&config.subject))?;
    refuse("match", config.condition.as_deref())?;
    for meter in &config.meters {
        if let Source::Expression(text) = &meter.source {
            refuse(&format!("{}.value", meter.path), Some(text))?;
        }
        refuse(&format!("{}.match", meter.path), meter.condition.as_deref())?;
    }
    Ok(())
}

fn refuse(field: &str, text: Option<&str>) -> Read<()> {
    if text.is_some_and(reads_response) {
        let message = format!("reads response.*, which {OF_THE_LOG}");
        return Err(ConfigError::new(field, message));
    }
    Ok(())
}

/// The others that read the response: there is a record, and something else in place of them.
pub fn fields(config: &Config) -> Vec<String> {
    if config.record_on == RecordOn::Log {
        return Vec::new();
    }
    let own = [("plan", &config.plan), ("idempotencyKey", &config.key)];
    let own = own
        .into_iter()
        .filter(|(_, text)| text.as_deref().is_some_and(reads_response))
        .map(|(field, _)| field.to_owned());
    let labels = config
        .labels
        .iter()
        .filter(|(_, text)| reads_response(text))
        .map(|(name, _)| format!("labels.{name}"));
    own.chain(labels).collect()
}

/// Whether it does so without `has()`.
fn reads_response(text: &str) -> bool {
    let paths = read_unasked(text);
    paths.iter().any(|path| path[0] == "response")
}
