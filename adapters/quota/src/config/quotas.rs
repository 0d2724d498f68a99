//! `quotas`.

use super::fields::{self, duration, expression, name, MAX_AMOUNT};
use crate::bucket::MAX_CELLS;
use crate::limit::{Algorithm, Cost, Dimension, Limit, Override, Quota, Records};
use mixer_host::config::{ConfigError, Node, Object};
use std::collections::BTreeSet;

const MAX_QUOTAS: usize = 256;
const MAX_DIMENSIONS: usize = 16;
const MAX_OVERRIDES: usize = 1024;
pub const KEYS: u64 = 16_384;
pub const MAX_KEYS: u64 = 1 << 20;
/// Half of what a bucket holds: by chance some get more than others.
const KEYS_OF_BUCKET: u64 = MAX_CELLS as u64 / 2;

const QUOTA: [&str; 11] = [
    "name",
    "max",
    "window",
    "algorithm",
    "burst",
    "match",
    "dimensions",
    "cost",
    "shadow",
    "overrides",
    "maxKeys",
];

pub fn quotas(node: Node) -> Result<Vec<Quota>, ConfigError> {
    let path = node.path.clone();
    let quotas = node.each(1..=MAX_QUOTAS, quota)?;
    let mut names = BTreeSet::new();
    for (at, quota) in quotas.iter().enumerate() {
        if !names.insert(&quota.name) {
            let path = format!("{path}[{at}].name");
            return Err(ConfigError::new(path, "is the name of another quota too"));
        }
    }
    Ok(quotas)
}

fn quota(node: Node) -> Result<Quota, ConfigError> {
    let mut object = node.object(&QUOTA)?;
    let name = name(object.required("name")?)?;
    let (max, window) = (max(&mut object)?, window(object.required("window")?)?);
    let limit = fields::counting(&mut object, max, window, Algorithm::FixedWindow)?;
    let dimensions = dimensions(&mut object)?;
    Ok(Quota {
        limit,
        matches: object.optional("match").map(expression).transpose()?,
        cost: cost(&mut object)?,
        shadow: object.bool_or("shadow", false)?,
        overrides: overrides(&mut object, limit, &dimensions)?,
        records: Records::new(&name, buckets(&mut object, &dimensions)?),
        name,
        dimensions,
    })
}

fn cost(object: &mut Object) -> Result<Cost, ConfigError> {
    match object.optional("cost") {
        None => Ok(Cost::Constant(1)),
        Some(node) if node.is_string() => expression(node).map(Cost::Expression),
        Some(node) => node.whole(0..=MAX_AMOUNT).map(Cost::Constant),
    }
}

fn max(object: &mut Object) -> Result<u64, ConfigError> {
    object.required("max")?.whole(1..=MAX_AMOUNT)
}

fn window(node: Node) -> Result<u64, ConfigError> {
    duration(node, "1ms", "8760h")
}

fn dimensions(object: &mut Object) -> Result<Vec<Dimension>, ConfigError> {
    let Some(node) = object.optional("dimensions") else {
        return Ok(Vec::new());
    };
    let mut dimensions = Vec::new();
    for (name, node) in node.members(0..=MAX_DIMENSIONS)? {
        let expression = expression(node)?;
        dimensions.push(Dimension { name, expression });
    }
    Ok(dimensions)
}

/// Without dimensions there is one window to keep.
fn buckets(object: &mut Object, dimensions: &[Dimension]) -> Result<u32, ConfigError> {
    let keys = match object.optional("maxKeys") {
        Some(_) if dimensions.is_empty() => {
            return Err(object.error("needs dimensions, or no maxKeys"));
        }
        Some(node) => node.whole(1..=MAX_KEYS)?,
        None if dimensions.is_empty() => 1,
        None => KEYS,
    };
    Ok(buckets_for(keys))
}

/// How many records have room for so many windows.
pub fn buckets_for(keys: u64) -> u32 {
    keys.div_ceil(KEYS_OF_BUCKET) as u32
}

fn overrides(
    object: &mut Object,
    limit: Limit,
    dimensions: &[Dimension],
) -> Result<Vec<Override>, ConfigError> {
    let read = |node| override_of(node, limit, dimensions);
    let overrides = object.each("overrides", 0..=MAX_OVERRIDES, read)?;
    Ok(overrides.unwrap_or_default())
}

fn override_of(
    node: Node,
    limit: Limit,
    dimensions: &[Dimension],
) -> Result<Override, ConfigError> {
    let mut object = node.object(&["dimensions", "max", "window", "algorithm", "burst"])?;
    let mut wanted = Vec::new();
    for (name, node) in object.required("dimensions")?.members(1..=MAX_DIMENSIONS)? {
        let at = dimensions.iter().position(|d| d.name == name);
        let at = at.ok_or_else(|| node.error("is not one of the quota's dimensions"))?;
        let error = node.error("must be text, such as \"10\"");
        wanted.push((at, node.string().map_err(|_| error)?));
    }
    let max = max(&mut object)?;
    let window = match object.optional("window") {
        Some(node) => window(node)?,
        None => limit.window,
    };
    Ok(Override {
        dimensions: wanted,
        limit: fields::counting(&mut object, max, window, limit.algorithm)?,
    })
}
