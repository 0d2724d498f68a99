//! A quota as it is configured, and which of its limits holds for a request.

use std::sync::Arc;

/// How a limit counts. Source: `mixer.quota.v1.Algorithm`, in its order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Algorithm {
    /// So much in each window, which begins with the first amount that is taken.
    FixedWindow,
    /// The generic cell rate algorithm.
    SlidingWindow,
    /// The same by another name: tokens that come evenly.
    TokenBucket,
}

/// How much, and in what time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limit {
    pub max: u64,
    /// Nanoseconds.
    pub window: u64,
    pub algorithm: Algorithm,
    /// What can be taken at once; of a fixed window, `max`.
    pub burst: u64,
}

impl Limit {
    pub const fn fixed(max: u64, window: u64) -> Self {
        Self {
            max,
            window,
            algorithm: Algorithm::FixedWindow,
            burst: max,
        }
    }

    pub fn is_fixed(&self) -> bool {
        self.algorithm == Algorithm::FixedWindow
    }

    /// Nanoseconds in which so much comes back, rounded up; of a fixed window, all of it.
    pub fn time_for(&self, amount: u64) -> u64 {
        if self.is_fixed() {
            return self.window;
        }
        let units = u128::from(amount) * u128::from(self.window);
        let nanoseconds = units.div_ceil(u128::from(self.max.max(1)));
        u64::try_from(nanoseconds).unwrap_or(u64::MAX)
    }
}

pub struct Quota {
    pub name: String,
    pub limit: Limit,
    /// CEL: the quota is for requests for which it is true.
    pub matches: Option<String>,
    /// In the order of their names.
    pub dimensions: Vec<Dimension>,
    /// What a request takes.
    pub cost: Cost,
    /// Counts, and never refuses.
    pub shadow: bool,
    pub overrides: Vec<Override>,
    pub records: Records,
}

pub enum Cost {
    Constant(u64),
    /// CEL.
    Expression(String),
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

/// The records in shared data over which the values of dimensions are spread.
#[derive(Clone)]
pub struct Records {
    /// Of their keys.
    prefix: Arc<str>,
    pub count: u32,
}

impl Records {
    pub fn new(name: &str, count: u32) -> Self {
        Self {
            prefix: format!("mixer.quota/{name}/").into(),
            count,
        }
    }

    pub fn key(&self, record: u32) -> Vec<u8> {
        format!("{}{record:x}", self.prefix).into_bytes()
    }
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
