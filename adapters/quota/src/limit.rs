//! A quota as it is configured, and which of its limits holds for a request.

/// How much, and in what time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limit {
    pub max: u64,
    /// Nanoseconds.
    pub window: u64,
}

pub struct Quota {
    pub name: String,
    pub limit: Limit,
    /// CEL: the quota is for requests for which it is true.
    pub matches: Option<String>,
    /// In the order of their names.
    pub dimensions: Vec<Dimension>,
    pub overrides: Vec<Override>,
    /// Records in shared data over which the dimensions' values are spread.
    pub buckets: u32,
}

pub struct Dimension {
    pub name: String,
    /// CEL: its value.
    pub expression: String,
}

pub struct Override {
    /// Indices of dimensions, and the values that they must have.
    pub dimensions: Vec<(usize, String)>,
    pub limit: Limit,
}

impl Quota {
    /// The limit for dimensions of these values: that of the first override that fits.
    pub fn limit_for(&self, values: &[Vec<u8>]) -> Limit {
        let fits = |o: &&Override| {
            o.dimensions
                .iter()
                .all(|(at, value)| values.get(*at).is_some_and(|v| v == value.as_bytes()))
        };
        self.overrides
            .iter()
            .find(fits)
            .map_or(self.limit, |o| o.limit)
    }
}
