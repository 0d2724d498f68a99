//! `meters`: what is counted of a request.

use super::{expression, name, Meter, Read, RecordOn, Source, TokenField};
use mixer_host::config::{ConfigError, Node, Object};

const METERS: usize = 32;
pub const OF_THE_LOG: &str = "is known when a request is over: it needs recordOn: log";

pub fn meters(root: &mut Object, tokens: &[TokenField], on: RecordOn) -> Read<Vec<Meter>> {
    let read = |node| meter(node, tokens, on);
    let found = root.each("meters", 1..=METERS, read)?;
    let meters = found.unwrap_or_else(|| vec![calls()]);
    for (at, one) in meters.iter().enumerate() {
        if let Some(same) = meters[..at].iter().find(|other| other.name == one.name) {
            let message = format!("must not be the same as that of {}", same.path);
            return Err(ConfigError::new(format!("{}.name", one.path), message));
        }
    }
    Ok(meters)
}

fn calls() -> Meter {
    Meter {
        path: "meters".to_owned(),
        name: "calls".to_owned(),
        source: Source::One,
        condition: None,
    }
}

/// The name of a meter that is known, or an object.
fn meter(node: Node, tokens: &[TokenField], on: RecordOn) -> Read<Meter> {
    let path = node.path.clone();
    if node.is_string() {
        let name = name(node)?;
        let source = known(&path, &name, tokens, on)?;
        return Ok(Meter {
            path,
            name,
            source,
            condition: None,
        });
    }
    let mut meter = node.object(&["name", "value", "match"])?;
    let name = name(meter.required("name")?)?;
    let source = match meter.optional("value") {
        Some(value) => Source::Expression(expression(value)?),
        None => known(&path, &name, tokens, on)?,
    };
    Ok(Meter {
        path,
        name,
        source,
        condition: meter.optional("match").map(expression).transpose()?,
    })
}

fn known(path: &str, name: &str, tokens: &[TokenField], on: RecordOn) -> Read<Source> {
    let source = match name {
        "calls" => return Ok(Source::One),
        "request_bytes" => Source::RequestBytes,
        "response_bytes" => Source::ResponseBytes,
        "total_bytes" => Source::TotalBytes,
        _ => match tokens.iter().position(|one| one.name == name) {
            Some(slot) => Source::Tokens(slot),
            None => return Err(ConfigError::new(path, unknown(tokens))),
        },
    };
    match on {
        RecordOn::Log => Ok(source),
        RecordOn::Request => Err(ConfigError::new(path, OF_THE_LOG)),
    }
}

fn unknown(tokens: &[TokenField]) -> String {
    let names: Vec<&str> = tokens.iter().map(|one| one.name.as_str()).collect();
    format!(
        "needs a value: without one a meter is calls, request_bytes, response_bytes, \
         total_bytes, {}",
        names.join(", ")
    )
}
