//! Limits by domain and descriptor: what is granted and told, and who counts together.

use mixer_host::shared_data::{Set, Unavailable};
use mixer_quota::store::Store;
use mixer_quota::{
    order, unit_length, Algorithm, Allocation, Answer, Asked, Config, Counters, Descriptor, Grant,
    Limit, Order, Request, Shared, Told,
};
use serde_json::json;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

const S: u64 = 1_000_000_000;

/// In memory, with a clock that stands still, and nobody else.
#[derive(Default)]
struct Memory {
    entries: RefCell<BTreeMap<Vec<u8>, Vec<u8>>>,
    now: Cell<u64>,
    gone: Cell<bool>,
}

impl Store for Memory {
    fn now(&self) -> Option<u64> {
        Some(S + self.now.get())
    }

    fn get(&self, key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, Unavailable> {
        match self.gone.get() {
            true => Err(Unavailable),
            false => Ok(self.entries.borrow().get(key).map(|v| (v.clone(), 1))),
        }
    }

    fn set(&self, key: &[u8], value: &[u8], _cas: u32) -> Set {
        self.entries
            .borrow_mut()
            .insert(key.to_vec(), value.to_vec());
        Set::Done
    }
}

/// For every quota, with the same dimensions.
struct Anything;

impl Request for Anything {
    fn holds(&self, _quota: usize) -> bool {
        true
    }

    fn cost(&self, _quota: usize) -> u64 {
        1
    }

    fn dimensions(&self, _quota: usize) -> Vec<Vec<u8>> {
        Vec::new()
    }
}

/// Asks the counters, and settles at once.
fn allocate<R: Request, S: Store>(
    config: &Config,
    request: &R,
    store: &S,
    asked: &Asked,
) -> Allocation {
    match order(config, request, asked) {
        Order::Settled(allocation) => allocation,
        Order::Ask(errand) => match Shared::new(config, store).ask(&errand.take) {
            Answer::Now(standings) => errand.settle(config, &standings),
            later => panic!("{later:?}"),
        },
    }
}

fn config() -> Config {
    let minute = json!({"unit": "minute", "requests_per_unit": 5});
    let text = json!({
        "quotas": [{"name": "cel", "max": 3, "window": "1s"}],
        "domains": [{"domain": "edge", "descriptors": [
            {"key": "user", "rate_limit": minute, "descriptors": [
                {"key": "path", "rate_limit": {"name": "paths", "unit": "hour", "requests_per_unit": 2}},
            ]},
            {"key": "user", "value": "root", "rate_limit": {"unlimited": true}},
            {"key": "trial", "shadow_mode": true, "rate_limit": {
                "unit": "second", "requests_per_unit": 2, "algorithm": "TOKEN_BUCKET", "burst": 3,
            }},
            {"key": "blocked", "rate_limit": {"unit": "second", "requests_per_unit": 0}},
        ]}],
    });
    match Config::parse(text.to_string().as_bytes()) {
        Ok(config) => config,
        Err(error) => panic!("{error}"),
    }
}

fn descriptor(entries: &[(&str, &str)]) -> Descriptor {
    let own = |(k, v): &(&str, &str)| (k.as_bytes().to_vec(), v.as_bytes().to_vec());
    Descriptor {
        entries: entries.iter().map(own).collect(),
        ordered: true,
        limit: None,
    }
}

fn ask(store: &Memory, quota: &str, amount: i64, descriptor: Descriptor) -> Allocation {
    let asked = Asked {
        quota: quota.to_owned(),
        amount,
        descriptor: Some(descriptor),
        ..Asked::default()
    };
    allocate(&config(), &Anything, store, &asked)
}

fn of(store: &Memory, amount: i64, entries: &[(&str, &str)]) -> Grant {
    match ask(store, "edge", amount, descriptor(entries)) {
        Allocation::Granted(grant) => grant,
        other => panic!("{other:?}"),
    }
}

/// What is granted, and what is left.
fn left(grant: &Grant) -> (u64, u64) {
    match grant.told {
        Told::Limited {
            standing: Some((left, _)),
            ..
        } => (grant.amount, left),
        _ => panic!("{grant:?}"),
    }
}

#[test]
fn each_value_has_its_own_window() {
    let store = Memory::default();
    let alice = &[("user", "alice")];
    let grant = of(&store, 2, alice);
    let minute = Limit::fixed(5, 60 * S);
    let told = Told::Limited {
        policy: "user".to_owned(),
        limit: minute,
        standing: Some((3, 60 * S)),
    };
    assert_eq!((grant.amount, grant.told), (2, told));
    store.now.set(10 * S);
    assert_eq!(left(&of(&store, 4, alice)), (0, 3));
    assert_eq!(left(&of(&store, 3, alice)), (3, 0));
    assert_eq!(left(&of(&store, 5, &[("user", "bob")])), (5, 0));
    store.now.set(60 * S);
    assert_eq!(left(&of(&store, 5, alice)), (5, 0));
}

#[test]
fn nothing_is_taken_by_a_look_and_what_was_taken_can_come_back() {
    let store = Memory::default();
    let alice = &[("user", "alice")];
    assert_eq!(left(&of(&store, 0, alice)), (0, 5));
    assert!(store.entries.borrow().is_empty());
    assert_eq!(left(&of(&store, -7, alice)), (0, 5));
    assert!(store.entries.borrow().is_empty());
    of(&store, 4, alice);
    assert_eq!(left(&of(&store, -1, alice)), (0, 2));
    assert_eq!(left(&of(&store, i64::MIN, alice)), (0, 5));
}

#[test]
fn a_limit_can_be_none_or_nothing() {
    let store = Memory::default();
    let root = of(&store, 9, &[("user", "root")]);
    assert_eq!((root.amount, root.told), (9, Told::Unlimited));
    let other = of(&store, 9, &[("other", "x")]);
    assert_eq!((other.amount, other.told), (9, Told::Nothing));
    assert_eq!(left(&of(&store, 1, &[("blocked", "x")])), (0, 0));
    assert_eq!(left(&of(&store, 0, &[("blocked", "x")])), (0, 0));
}

#[test]
fn a_limit_is_called_by_its_name_or_its_keys() {
    let store = Memory::default();
    let policy = |entries: &[(&str, &str)]| match of(&store, 1, entries).told {
        Told::Limited { policy, .. } => policy,
        other => panic!("{other:?}"),
    };
    assert_eq!(policy(&[("user", "a"), ("path", "/")]), "paths");
    assert_eq!(policy(&[("user", "a")]), "user");
}

#[test]
fn the_limit_that_is_asked_for_holds() {
    let store = Memory::default();
    let hour = unit_length("hour").unwrap();
    let asked = Descriptor {
        limit: Some(Limit::fixed(7, hour)),
        ..descriptor(&[("user", "root")])
    };
    let Allocation::Granted(grant) = ask(&store, "edge", 1, asked) else {
        panic!("refused")
    };
    assert_eq!(left(&grant), (1, 6));
}

#[test]
fn a_shadow_counts_and_grants_in_full() {
    let store = Memory::default();
    let trial = &[("trial", "a")];
    assert_eq!(left(&of(&store, 2, trial)), (2, 1));
    assert_eq!(left(&of(&store, 2, trial)), (2, 0));
    store.now.set(S / 2);
    let grant = of(&store, 0, trial);
    assert_eq!(left(&grant), (0, 1));
    let Told::Limited { limit, .. } = grant.told else {
        panic!("{grant:?}")
    };
    assert_eq!((limit.algorithm, limit.burst), (Algorithm::TokenBucket, 3));
    store.gone.set(true);
    assert_eq!(of(&store, 2, trial).amount, 2);
}

#[test]
fn the_order_of_a_bucket_does_not_matter_to_what_it_shares() {
    let store = Memory::default();
    assert_eq!(
        left(&of(&store, 1, &[("user", "a"), ("path", "/")])),
        (1, 1)
    );
    let bucket = Descriptor {
        ordered: false,
        ..descriptor(&[("path", "/"), ("user", "a")])
    };
    let Allocation::Granted(grant) = ask(&store, "edge", 1, bucket) else {
        panic!("refused")
    };
    assert_eq!(left(&grant), (1, 0));
}

#[test]
fn a_quota_can_answer_for_a_domain() {
    let store = Memory::default();
    let amount = |amount| match ask(&store, "cel", amount, descriptor(&[("k", "v")])) {
        Allocation::Granted(grant) => left(&grant),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        [amount(0), amount(2), amount(2), amount(-1)],
        [(0, 3), (2, 1), (0, 1), (0, 2)]
    );
}

#[test]
fn what_cannot_be_told_is_refused() {
    let store = Memory::default();
    let user = || descriptor(&[("user", "a")]);
    assert_eq!(ask(&store, "other", 1, user()), Allocation::Unknown);
    assert_eq!(
        ask(&store, "edge", 1, descriptor(&[])),
        Allocation::Unavailable
    );
    let plain = Asked {
        quota: "edge".to_owned(),
        amount: 1,
        ..Asked::default()
    };
    let found = allocate(&config(), &Anything, &store, &plain);
    assert_eq!(found, Allocation::Unknown);
    store.gone.set(true);
    assert_eq!(ask(&store, "edge", 1, user()), Allocation::Unavailable);
}
