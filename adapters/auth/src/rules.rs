//! Ordered rules: the first one whose paths and methods match decides.

use crate::claims::Requirement;
use mixer_host::network::Network;
use std::collections::BTreeSet;

pub struct Rule {
    /// Empty means every path.
    pub paths: Vec<PathPattern>,
    /// Empty means every method.
    pub methods: Vec<String>,
    /// Empty means every address.
    pub addresses: Vec<Network>,
    /// The place of a condition among those of the configuration.
    pub condition: Option<usize>,
    pub who: Who,
}

/// Who may pass.
pub enum Who {
    /// Anyone with a valid credential that meets the conditions.
    Authenticated(Conditions),
    /// Anyone at all.
    Anyone,
    /// No one.
    NoOne,
}

#[derive(Default)]
pub struct Conditions {
    /// Empty means every consumer.
    pub consumers: BTreeSet<String>,
    /// All have to hold.
    pub claims: Vec<Requirement>,
    /// The place of a condition among those of the configuration.
    pub condition: Option<usize>,
}

/// Patterns are compared with a normalised path.
#[derive(Debug, PartialEq, Eq)]
pub enum PathPattern {
    Any,
    Exact(Vec<u8>),
    /// The path itself and everything below it.
    Below(Vec<u8>),
    Suffix(Vec<u8>),
}

impl PathPattern {
    pub fn matches(&self, path: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => path == exact,
            Self::Below(parent) => path
                .strip_prefix(parent.as_slice())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/")),
            Self::Suffix(suffix) => path.ends_with(suffix),
        }
    }
}

impl Rule {
    /// Whether it is for such requests, whoever and wherever they come from.
    pub fn matches(&self, path: &[u8], method: &[u8]) -> bool {
        let path_fits = || self.paths.iter().any(|p| p.matches(path));
        let method_fits = || self.methods.iter().any(|m| m.as_bytes() == method);
        (self.paths.is_empty() || path_fits()) && (self.methods.is_empty() || method_fits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let below = PathPattern::Below(b"/x".to_vec());
        assert!(below.matches(b"/x") && below.matches(b"/x/y") && !below.matches(b"/xy"));
        let exact = PathPattern::Exact(b"/x".to_vec());
        assert!(exact.matches(b"/x") && !exact.matches(b"/x/y"));
        let suffix = PathPattern::Suffix(b".css".to_vec());
        assert!(suffix.matches(b"/a/b.css") && !suffix.matches(b"/b.css/a"));
        assert!(PathPattern::Any.matches(b"/"));
    }

    #[test]
    fn methods() {
        let rule = Rule {
            paths: Vec::new(),
            methods: vec!["GET".to_owned()],
            addresses: Vec::new(),
            condition: None,
            who: Who::NoOne,
        };
        assert!(rule.matches(b"/", b"GET") && !rule.matches(b"/", b"get"));
        assert!(!rule.matches(b"/", b"POST"));
    }
}
