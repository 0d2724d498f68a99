//! Limits by domain and descriptor, for those who ask by these: Envoy's rate limit protocols.
//!
//! The rules are a tree over the entries of a descriptor. At each level a rule for the entry's key
//! and value comes before one for the key alone; a limit counts only where the last entry ends at
//! it. Source: the configuration of envoyproxy/ratelimit.

use crate::limit::{Limit, Records};

pub struct Domain {
    pub name: String,
    pub rules: Vec<Rule>,
    /// Over which the descriptors are spread.
    pub records: Records,
}

pub struct Rule {
    pub key: String,
    /// None is any.
    pub value: Option<String>,
    pub rate: Option<Rate>,
    /// Counts, and never refuses.
    pub shadow: bool,
    /// For the next entry.
    pub rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Rate {
    Unlimited,
    Limited {
        /// None where none is configured.
        name: Option<String>,
        limit: Limit,
    },
}

/// A key and its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// What a limit is asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Descriptor {
    pub entries: Vec<Entry>,
    /// Whether the order of the entries is part of it.
    pub ordered: bool,
    /// In place of the configured one.
    pub limit: Option<Limit>,
}

/// What holds for a descriptor.
pub struct Found<'a> {
    pub rate: Rate,
    pub shadow: bool,
    /// In the order of the rules.
    pub entries: Vec<&'a Entry>,
}

impl Domain {
    pub fn has_shadows(&self) -> bool {
        any_shadow(&self.rules)
    }

    /// None where nothing is configured for the descriptor.
    pub fn find<'a>(&self, descriptor: &'a Descriptor) -> Option<Found<'a>> {
        let all: Vec<&Entry> = descriptor.entries.iter().collect();
        if let Some(limit) = descriptor.limit {
            let rate = Rate::Limited { name: None, limit };
            return Some(Found {
                rate,
                shadow: false,
                entries: all,
            });
        }
        let mut path = Vec::with_capacity(all.len());
        let rule = search(&self.rules, &all, descriptor.ordered, &mut path)?;
        Some(Found {
            rate: rule.rate.clone()?,
            shadow: rule.shadow,
            entries: path,
        })
    }
}

fn any_shadow(rules: &[Rule]) -> bool {
    rules.iter().any(|one| one.shadow || any_shadow(&one.rules))
}

/// The rule with a rate at the end of those that fit the entries; `path` has the entries in their order.
fn search<'a, 'r>(
    rules: &'r [Rule],
    entries: &[&'a Entry],
    ordered: bool,
    path: &mut Vec<&'a Entry>,
) -> Option<&'r Rule> {
    let next = if ordered { 1 } else { entries.len() };
    for (at, entry) in entries.iter().enumerate().take(next) {
        let Some(rule) = pick(rules, entry) else {
            continue;
        };
        path.push(entry);
        let found = if entries.len() == 1 {
            rule.rate.is_some().then_some(rule)
        } else {
            let rest = [&entries[..at], &entries[at + 1..]].concat();
            search(&rule.rules, &rest, ordered, path)
        };
        if found.is_some() {
            return found;
        }
        path.pop();
    }
    None
}

fn pick<'r>(rules: &'r [Rule], (key, value): &Entry) -> Option<&'r Rule> {
    let of_key = |rule: &&Rule| rule.key.as_bytes() == key;
    let is = |rule: &&Rule| rule.value.as_ref().is_some_and(|v| v.as_bytes() == value);
    let exact = rules.iter().filter(of_key).find(is);
    exact.or_else(|| {
        rules
            .iter()
            .filter(of_key)
            .find(|rule| rule.value.is_none())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(key: &str, value: Option<&str>, max: Option<u64>, rules: Vec<Rule>) -> Rule {
        let limit = |max| Rate::Limited {
            name: None,
            limit: Limit::fixed(max, 1),
        };
        Rule {
            key: key.to_owned(),
            value: value.map(str::to_owned),
            rate: max.map(limit),
            shadow: false,
            rules,
        }
    }

    fn domain() -> Domain {
        let nested = vec![
            rule("b", Some("x"), Some(3), vec![]),
            rule("b", None, Some(4), vec![rule("c", None, Some(5), vec![])]),
        ];
        Domain {
            name: "d".to_owned(),
            rules: vec![
                rule("a", Some("1"), Some(1), nested),
                rule("a", None, Some(2), vec![]),
                rule("z", None, None, vec![]),
            ],
            records: Records::new("d", 1),
        }
    }

    fn descriptor(entries: &[(&str, &str)], ordered: bool) -> Descriptor {
        let own = |(k, v): &(&str, &str)| (k.as_bytes().to_vec(), v.as_bytes().to_vec());
        Descriptor {
            entries: entries.iter().map(own).collect(),
            ordered,
            limit: None,
        }
    }

    fn max(entries: &[(&str, &str)], ordered: bool) -> Option<u64> {
        match domain().find(&descriptor(entries, ordered))?.rate {
            Rate::Limited { limit, .. } => Some(limit.max),
            Rate::Unlimited => None,
        }
    }

    #[test]
    fn the_value_comes_before_the_key_alone() {
        assert_eq!(max(&[("a", "1")], true), Some(1));
        assert_eq!(max(&[("a", "2")], true), Some(2));
        assert_eq!(max(&[("a", "1"), ("b", "x")], true), Some(3));
        assert_eq!(max(&[("a", "1"), ("b", "y")], true), Some(4));
        assert_eq!(max(&[("a", "1"), ("b", "y"), ("c", "")], true), Some(5));
    }

    #[test]
    fn what_does_not_end_at_a_limit_has_none() {
        for entries in [
            &[][..],
            &[("z", "1")],
            &[("y", "1")],
            &[("a", "2"), ("b", "x")],
            &[("a", "1"), ("b", "x"), ("c", "1")],
            &[("b", "x"), ("a", "1")],
            &[("a", "1"), ("a", "1")],
        ] {
            assert_eq!(max(entries, true), None, "{entries:?}");
        }
    }

    #[test]
    fn without_an_order_the_rules_say_it() {
        let asked = descriptor(&[("c", "3"), ("b", "y"), ("a", "1")], false);
        let domain = domain();
        let found = domain.find(&asked).unwrap();
        let keys: Vec<&[u8]> = found.entries.iter().map(|(k, _)| k.as_slice()).collect();
        assert_eq!(keys, [b"a", b"b", b"c"]);
        assert_eq!(max(&[("b", "x"), ("a", "1")], false), Some(3));
        assert_eq!(max(&[("b", "x"), ("z", "1")], false), None);
    }

    #[test]
    fn a_limit_that_is_asked_for_needs_no_rule() {
        let limit = Limit::fixed(0, 7);
        let asked = Descriptor {
            limit: Some(limit),
            ..descriptor(&[("other", "1")], true)
        };
        let found = domain().find(&asked).unwrap().rate;
        assert_eq!(found, Rate::Limited { name: None, limit });
    }
}
