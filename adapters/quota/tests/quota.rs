//! Quotas over a store in memory that can be slow, full, gone, and raced for.

use mixer_host::shared_data::{Set, Unavailable};
use mixer_quota::store::Store;
use mixer_quota::{
    order, Allocation, Answer, Asked, Bucket, Config, Counters, Grant, Order, Plan, Request,
    Shared, Told, Verdict,
};
use serde_json::{json, Value};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Mutex;

const S: u64 = 1_000_000_000;
const BEGIN: u64 = 1_700_000_000 * S;

type Entries = BTreeMap<Vec<u8>, (Vec<u8>, u32)>;

/// As Envoy's shared data: the number is compared only where there is a value.
#[derive(Default)]
struct Memory {
    entries: Mutex<Entries>,
}

impl Memory {
    fn get(&self, key: &[u8]) -> Option<(Vec<u8>, u32)> {
        self.entries.lock().unwrap().get(key).cloned()
    }

    fn set(&self, key: &[u8], value: &[u8], cas: u32) -> Set {
        let mut entries = self.entries.lock().unwrap();
        let number = entries.get(key).map_or(0, |(_, number)| *number);
        if number != 0 && cas != 0 && number != cas {
            return Set::Raced;
        }
        entries.insert(key.to_vec(), (value.to_vec(), number + 1));
        Set::Done
    }

    fn bytes(&self) -> usize {
        let entries = self.entries.lock().unwrap();
        entries.iter().map(|(k, (v, _))| k.len() + v.len()).sum()
    }
}

struct Local<'a> {
    memory: &'a Memory,
    now: Cell<Option<u64>>,
    /// Sets that lose to another one before one gets through.
    races: Cell<usize>,
    /// Gets and sets that are answered before the store is gone.
    answers: Cell<usize>,
    sets: Cell<usize>,
}

impl<'a> Local<'a> {
    fn new(memory: &'a Memory) -> Self {
        Self {
            memory,
            now: Cell::new(Some(BEGIN)),
            races: Cell::new(0),
            answers: Cell::new(usize::MAX),
            sets: Cell::new(0),
        }
    }

    fn at(&self, seconds: f64) {
        self.now
            .set(Some(BEGIN.wrapping_add_signed((seconds * S as f64) as i64)));
    }

    fn is_there(&self) -> bool {
        let left = self.answers.get();
        self.answers.set(left.saturating_sub(1));
        left > 0
    }
}

impl Store for Local<'_> {
    fn now(&self) -> Option<u64> {
        self.now.get()
    }

    fn get(&self, key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, Unavailable> {
        match self.is_there() {
            true => Ok(self.memory.get(key)),
            false => Err(Unavailable),
        }
    }

    fn set(&self, key: &[u8], value: &[u8], cas: u32) -> Set {
        if !self.is_there() {
            return Set::Failed;
        }
        if self.races.get() > 0 {
            self.races.set(self.races.get() - 1);
            return Set::Raced;
        }
        self.sets.set(self.sets.get() + 1);
        self.memory.set(key, value, cas)
    }
}

/// The values of dimensions by their expressions; a match is true where its text is.
#[derive(Default)]
struct Attributes<'a> {
    values: BTreeMap<String, String>,
    config: Option<&'a Config>,
}

impl Request for Attributes<'_> {
    fn holds(&self, quota: usize) -> bool {
        let matches = &self.config.unwrap().quotas[quota].matches;
        matches.as_ref().is_none_or(|text| text == "true")
    }

    fn cost(&self, _quota: usize) -> u64 {
        1
    }

    fn dimensions(&self, quota: usize) -> Vec<Vec<u8>> {
        let dimensions = &self.config.unwrap().quotas[quota].dimensions;
        let value = |text: &String| self.values.get(text).cloned().unwrap_or_default();
        let values = dimensions.iter().map(|d| value(&d.expression));
        values.map(String::into_bytes).collect()
    }
}

fn attributes<'a>(config: &'a Config, values: &[(&str, &str)]) -> Attributes<'a> {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Attributes {
        values: values.iter().map(own).collect(),
        config: Some(config),
    }
}

fn config(value: Value) -> Config {
    match Config::parse(value.to_string().as_bytes()) {
        Ok(config) => config,
        Err(error) => panic!("{error}"),
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

/// The same for a request of which nobody says what it asks for.
fn charge<'a, S: Store>(config: &'a Config, request: &Attributes, store: &S) -> Verdict<'a> {
    let plan = Plan::new(config, request, false);
    match Shared::new(config, store).ask(&plan.take) {
        Answer::Now(standings) => plan.conclude(config, &standings),
        later => panic!("{later:?}"),
    }
}

/// Five a second for each source.
fn five() -> Config {
    config(json!({"quotas": [
        {"name": "q", "max": 5, "window": "1s", "dimensions": {"source": "source"}},
    ]}))
}

fn asked(amount: i64) -> Asked {
    Asked {
        quota: "q".to_owned(),
        amount,
        ..Asked::default()
    }
}

fn best_effort(amount: i64) -> Asked {
    Asked {
        best_effort: true,
        ..asked(amount)
    }
}

fn once(amount: i64, caller: &str, id: &str) -> Asked {
    Asked {
        dedup_id: id.to_owned(),
        caller: caller.to_owned(),
        ..best_effort(amount)
    }
}

fn granted(amount: u64, valid: u64) -> Allocation {
    Allocation::Granted(Grant {
        amount,
        valid,
        told: Told::Nothing,
    })
}

/// Without what is told of the limit.
fn bare(allocation: Allocation) -> Allocation {
    match allocation {
        Allocation::Granted(grant) => granted(grant.amount, grant.valid),
        other => other,
    }
}

fn take(config: &Config, store: &Local, source: &str, asked: &Asked) -> Allocation {
    let attributes = attributes(config, &[("source", source)]);
    bare(allocate(config, &attributes, store, asked))
}

#[test]
fn an_amount_is_granted_for_the_rest_of_the_window() {
    let (config, memory) = (five(), Memory::default());
    let store = Local::new(&memory);
    assert_eq!(take(&config, &store, "a", &asked(2)), granted(2, S));
    store.at(0.25);
    assert_eq!(take(&config, &store, "a", &asked(2)), granted(2, 3 * S / 4));
    assert_eq!(take(&config, &store, "a", &asked(2)), granted(0, 0));
    assert_eq!(
        take(&config, &store, "a", &best_effort(2)),
        granted(1, 3 * S / 4)
    );
    assert_eq!(
        take(&config, &store, "a", &best_effort(2)),
        granted(0, 3 * S / 4)
    );
    assert_eq!(take(&config, &store, "b", &asked(5)), granted(5, S));
    store.at(1.0);
    assert_eq!(take(&config, &store, "a", &asked(5)), granted(5, S));
}

#[test]
fn amounts_that_make_no_sense_change_nothing() {
    let (config, memory) = (five(), Memory::default());
    let store = Local::new(&memory);
    for amount in [0, -1, -5, i64::MIN, i64::MIN + 1] {
        assert_eq!(
            take(&config, &store, "a", &best_effort(amount)),
            granted(0, 0)
        );
    }
    assert_eq!(take(&config, &store, "a", &asked(i64::MAX)), granted(0, 0));
    assert_eq!(store.sets.get(), 0);
    assert_eq!(
        take(&config, &store, "a", &best_effort(i64::MAX)),
        granted(5, S)
    );
    assert_eq!(
        take(&config, &store, "a", &best_effort(i64::MAX)),
        granted(0, S)
    );
}

#[test]
fn a_quota_that_nobody_configured_is_not_granted() {
    let (config, memory) = (five(), Memory::default());
    let store = Local::new(&memory);
    let other = Asked {
        quota: "other".to_owned(),
        ..asked(1)
    };
    assert_eq!(take(&config, &store, "a", &other), Allocation::Unknown);
}

#[test]
fn what_a_quota_is_not_for_is_granted_in_full() {
    let config = config(json!({"checkValidity": "5s", "quotas": [
        {"name": "q", "max": 5, "window": "1s", "match": "false"},
    ]}));
    let memory = Memory::default();
    let store = Local::new(&memory);
    assert_eq!(take(&config, &store, "a", &asked(50)), granted(50, 5 * S));
    assert_eq!(take(&config, &store, "a", &asked(-50)), granted(0, 0));
    assert_eq!(memory.bytes(), 0);
}

#[test]
fn overrides_have_their_own_limit() {
    let config = config(json!({"quotas": [{
        "name": "q", "max": 5, "window": "1s", "dimensions": {"source": "source"},
        "overrides": [{"dimensions": {"source": "x"}, "max": 1, "window": "10s"}],
    }]}));
    let memory = Memory::default();
    let store = Local::new(&memory);
    assert_eq!(
        take(&config, &store, "x", &best_effort(3)),
        granted(1, 10 * S)
    );
    store.at(5.0);
    assert_eq!(take(&config, &store, "x", &asked(1)), granted(0, 0));
    assert_eq!(take(&config, &store, "y", &asked(3)), granted(3, S));
}

#[test]
fn a_request_that_comes_again_gets_its_first_answer() {
    let (config, memory) = (five(), Memory::default());
    let store = Local::new(&memory);
    assert_eq!(
        take(&config, &store, "a", &once(4, "c", "1")),
        granted(4, S)
    );
    store.at(0.5);
    assert_eq!(
        take(&config, &store, "a", &once(4, "c", "1")),
        granted(4, S / 2)
    );
    assert_eq!(
        take(&config, &store, "a", &once(4, "c", "2")),
        granted(1, S / 2)
    );
    assert_eq!(
        take(&config, &store, "a", &once(4, "c", "3")),
        granted(0, S / 2)
    );
    store.at(2.0);
    assert_eq!(
        take(&config, &store, "a", &once(4, "c", "1")),
        granted(4, 0)
    );
    assert_eq!(
        take(&config, &store, "a", &once(4, "c", "3")),
        granted(0, 0)
    );
    store.at(10.0);
    assert_eq!(
        take(&config, &store, "a", &once(4, "c", "1")),
        granted(4, S)
    );
}

#[test]
fn an_answer_is_given_again_only_to_whom_it_was_given() {
    let (config, memory) = (five(), Memory::default());
    let store = Local::new(&memory);
    assert_eq!(
        take(&config, &store, "a", &once(4, "c", "1")),
        granted(4, S)
    );
    assert_eq!(
        take(&config, &store, "b", &once(2, "c", "1")),
        granted(2, S)
    );
    assert_eq!(
        take(&config, &store, "a", &once(4, "d", "1")),
        granted(1, S)
    );
    assert_eq!(take(&config, &store, "b", &once(2, "", "")), granted(2, S));
    assert_eq!(take(&config, &store, "b", &once(2, "", "")), granted(1, S));
}

#[test]
fn another_quota_knows_nothing_of_it() {
    let config = config(json!({"quotas": [
        {"name": "q", "max": 5, "window": "1s"}, {"name": "r", "max": 3, "window": "1s"},
    ]}));
    let memory = Memory::default();
    let store = Local::new(&memory);
    let other = Asked {
        quota: "r".to_owned(),
        ..once(5, "c", "1")
    };
    assert_eq!(take(&config, &store, "", &once(5, "c", "1")), granted(5, S));
    assert_eq!(take(&config, &store, "", &other), granted(3, S));
}

#[test]
fn so_many_answers_are_remembered() {
    let config = config(json!({
        "quotas": [{"name": "q", "max": 1000, "window": "1h"}],
        "deduplication": {"window": "1h", "entries": 10},
    }));
    let memory = Memory::default();
    let store = Local::new(&memory);
    for id in 0..100 {
        take(&config, &store, "", &once(1, "c", &id.to_string()));
    }
    let size = memory.bytes();
    assert!(size < 600, "{size}");
    take(&config, &store, "", &once(1, "c", "95"));
    assert_eq!(
        take(&config, &store, "", &best_effort(1000)),
        granted(900, 3600 * S)
    );
    let again = take(&config, &store, "", &once(7, "c", "5"));
    assert_eq!(again, granted(0, 3600 * S), "forgotten");
}

#[test]
fn races_are_tried_anew_and_not_for_ever() {
    let (config, memory) = (five(), Memory::default());
    let store = Local::new(&memory);
    store.races.set(200);
    assert_eq!(take(&config, &store, "a", &asked(1)), granted(1, S));
    store.races.set(usize::MAX);
    assert_eq!(
        take(&config, &store, "a", &asked(1)),
        Allocation::Unavailable
    );
}

const ALGORITHMS: [&str; 3] = ["FIXED_WINDOW", "SLIDING_WINDOW", "TOKEN_BUCKET"];

#[test]
fn threads_that_race_take_exactly_what_there_is() {
    for algorithm in ALGORITHMS {
        let config = config(json!({"quotas": [{
            "name": "q", "max": 500, "window": "1h", "algorithm": algorithm,
            "dimensions": {"source": "source"},
        }]}));
        let memory = Memory::default();
        let hammer = || {
            let store = Local::new(&memory);
            let one = |_: &u64| {
                let taken = take(&config, &store, "a", &asked(1));
                matches!(taken, Allocation::Granted(Grant { amount: 1, .. }))
            };
            (0..400).filter(one).count()
        };
        let total: usize = std::thread::scope(|scope| {
            let all: Vec<_> = (0..4).map(|_| scope.spawn(hammer)).collect();
            all.into_iter().map(|t| t.join().unwrap()).sum()
        });
        assert_eq!(total, 500, "{algorithm}");
    }
}

/// Each takes of two limits at once, of which now the one and now the other is the tighter.
#[test]
fn threads_that_race_for_several_limits_take_exactly_what_there_is() {
    for algorithm in ALGORITHMS {
        let quota = |name: &str, max: u64| json!({"name": name, "max": max, "window": "1h", "algorithm": algorithm});
        let config = config(json!({"quotas": [quota("wide", 400), quota("tight", 300)]}));
        let memory = Memory::default();
        let hammer = || {
            let store = Local::new(&memory);
            let attributes = attributes(&config, &[]);
            let one =
                |_: &u64| matches!(charge(&config, &attributes, &store), Verdict::Passed { .. });
            (0..200).filter(one).count() as u64
        };
        let total: u64 = std::thread::scope(|scope| {
            let all: Vec<_> = (0..4).map(|_| scope.spawn(hammer)).collect();
            all.into_iter().map(|t| t.join().unwrap()).sum()
        });
        assert_eq!(total, 300, "{algorithm}");
        let all_of = Asked {
            quota: "wide".to_owned(),
            ..best_effort(1_000)
        };
        let left = take(&config, &Local::new(&memory), "", &all_of);
        assert!(
            matches!(left, Allocation::Granted(Grant { amount: 100, .. })),
            "{left:?}"
        );
    }
}

#[test]
fn a_store_that_is_gone_denies_or_allows() {
    for (on_error, expected) in [("deny", Allocation::Unavailable), ("allow", granted(3, S))] {
        let config = config(json!({
            "quotas": [{"name": "q", "max": 5, "window": "1s"}], "onError": on_error,
        }));
        let memory = Memory::default();
        for answers in [0, 1] {
            let store = Local::new(&memory);
            store.answers.set(answers);
            assert_eq!(take(&config, &store, "a", &asked(3)), expected);
        }
        let store = Local::new(&memory);
        store.now.set(None);
        assert_eq!(take(&config, &store, "a", &asked(3)), expected);
    }
}

#[test]
fn a_clock_that_jumps_neither_grants_twice_nor_blocks_for_ever() {
    let (config, memory) = (five(), Memory::default());
    let store = Local::new(&memory);
    take(&config, &store, "a", &asked(5));
    for back in [-0.5, -1.0, -3600.0, -3600.0 * 24.0 * 365.0] {
        store.at(back);
        assert_eq!(
            take(&config, &store, "a", &asked(1)),
            granted(0, 0),
            "{back}"
        );
    }
    let back = -3600.0 * 24.0 * 365.0;
    store.at(back + 0.9);
    assert_eq!(take(&config, &store, "a", &asked(1)), granted(0, 0));
    store.at(back + 1.0);
    assert_eq!(take(&config, &store, "a", &asked(5)), granted(5, S));
    store.at(3600.0);
    assert_eq!(take(&config, &store, "a", &asked(5)), granted(5, S));
}

/// Five a second of which each comes back by itself.
fn bucket() -> Config {
    config(json!({"quotas": [{
        "name": "q", "max": 5, "window": "1s", "algorithm": "TOKEN_BUCKET",
        "dimensions": {"source": "source"}, "maxKeys": 32,
    }]}))
}

#[test]
fn a_clock_that_jumps_lets_no_bucket_grant_twice_nor_block_for_ever() {
    let (config, memory) = (bucket(), Memory::default());
    let store = Local::new(&memory);
    take(&config, &store, "a", &asked(5));
    let year = -3600.0 * 24.0 * 365.0;
    for back in [-0.5, -1.0, -3600.0, year] {
        store.at(back);
        let taken = take(&config, &store, "a", &asked(1));
        assert_eq!(taken, granted(0, 0), "{back}");
    }
    store.at(year + 0.1);
    assert_eq!(take(&config, &store, "a", &asked(1)), granted(0, 0));
    store.at(year + 0.25);
    let one = bare(take(&config, &store, "a", &best_effort(5)));
    assert!(
        matches!(one, Allocation::Granted(Grant { amount: 1, .. })),
        "{one:?}"
    );
    for forward in [0.0, 3600.0] {
        store.at(forward);
        assert_eq!(take(&config, &store, "a", &asked(5)), granted(5, S));
        assert_eq!(take(&config, &store, "a", &asked(1)), granted(0, 0));
    }
}

fn bucket_of(window: &str) -> Config {
    counting("TOKEN_BUCKET", window)
}

fn counting(algorithm: &str, window: &str) -> Config {
    config(json!({"quotas": [{
        "name": "q", "max": 5, "window": window, "algorithm": algorithm,
        "dimensions": {"source": "source"}, "maxKeys": 32,
    }]}))
}

#[test]
fn a_shorter_window_holds_at_once_for_what_is_counted() {
    let (day, second, memory) = (bucket_of("24h"), bucket_of("1s"), Memory::default());
    let store = Local::new(&memory);
    take(&day, &store, "a", &asked(5));
    assert_eq!(take(&second, &store, "a", &asked(1)), granted(0, 0));
    store.at(1.0);
    assert_eq!(take(&second, &store, "a", &asked(5)), granted(5, S));
}

#[test]
fn plugins_with_different_limits_let_no_more_pass_than_the_looser_one() {
    let (long, short, memory) = (bucket_of("10s"), bucket_of("1s"), Memory::default());
    let store = Local::new(&memory);
    let one = |config: &Config, most| match take(config, &store, "a", &best_effort(most)) {
        Allocation::Granted(grant) => grant.amount,
        other => panic!("{other:?}"),
    };
    let mut passed = 0;
    for tenth in 0..20 {
        store.at(f64::from(tenth) / 10.0);
        passed += one(&short, 1) + one(&long, 5);
    }
    assert!((5..=15).contains(&passed), "{passed}");
}

#[test]
fn a_window_and_a_bucket_of_one_name_count_apart() {
    let (window, bucket) = (counting("FIXED_WINDOW", "1h"), bucket_of("1h"));
    let memory = Memory::default();
    let store = Local::new(&memory);
    for _ in 0..2 {
        take(&window, &store, "a", &asked(5));
        take(&bucket, &store, "a", &asked(5));
    }
    for config in [&window, &bucket] {
        assert_eq!(take(config, &store, "a", &asked(1)), granted(0, 0));
    }
}

#[test]
fn whoever_floods_has_no_counter_of_others_forgotten() {
    let (config, memory) = (bucket(), Memory::default());
    let store = Local::new(&memory);
    assert_eq!(take(&config, &store, "victim", &asked(5)), granted(5, S));
    let flood = |from: u32| {
        let one = |i: &u32| {
            let taken = take(&config, &store, &format!("flood-{i}"), &asked(1));
            taken != Allocation::Unavailable
        };
        (from..from + 1_000).filter(one).count()
    };
    assert_eq!(flood(0), 63, "one of the record's 64 places is taken");
    assert_eq!(take(&config, &store, "victim", &asked(1)), granted(0, 0));
    assert_eq!(
        take(&config, &store, "new", &asked(1)),
        Allocation::Unavailable
    );
    store.at(0.2);
    assert_eq!(take(&config, &store, "new", &asked(1)), granted(1, S / 5));
    assert_eq!(
        flood(5_000),
        62,
        "what has come back makes room, and no more"
    );
    assert_eq!(take(&config, &store, "victim", &asked(2)), granted(0, 0));
    assert!(memory.bytes() < 4_000);
}

#[test]
fn what_the_store_holds_is_bounded_however_many_values_there_are() {
    let config = config(json!({"quotas": [{
        "name": "q", "max": 5, "window": "1s", "dimensions": {"source": "source"}, "maxKeys": 320,
    }]}));
    let memory = Memory::default();
    let store = Local::new(&memory);
    let mut results = BTreeMap::new();
    for i in 0..20_000 {
        let allocation = take(&config, &store, &format!("source-{i}"), &asked(1));
        *results.entry(format!("{allocation:?}")).or_insert(0) += 1;
    }
    assert_eq!(memory.entries.lock().unwrap().len(), 10);
    assert!(memory.bytes() < 40_000);
    assert_eq!(results[&format!("{:?}", granted(1, S))], 640);
    assert_eq!(results["Unavailable"], 20_000 - 640);
    assert_eq!(take(&config, &store, "source-0", &asked(4)), granted(4, S));
    store.at(1.0);
    assert_eq!(
        take(&config, &store, "source-19999", &asked(1)),
        granted(1, S)
    );
}

#[test]
fn as_many_keys_as_configured_have_room() {
    let config = config(json!({"quotas": [
        {"name": "q", "max": 5, "window": "1s", "dimensions": {"source": "source"}},
    ]}));
    let memory = Memory::default();
    let store = Local::new(&memory);
    for i in 0..16_384 {
        let allocation = take(&config, &store, &format!("source-{i}"), &asked(1));
        assert_eq!(allocation, granted(1, S), "{i}");
    }
}

#[test]
fn foreign_bytes_under_the_key_are_replaced() {
    let (config, memory) = (five(), Memory::default());
    let store = Local::new(&memory);
    take(&config, &store, "a", &asked(1));
    let key = memory
        .entries
        .lock()
        .unwrap()
        .keys()
        .next()
        .unwrap()
        .clone();
    memory.set(&key, b"something else", 0);
    assert_eq!(take(&config, &store, "a", &asked(5)), granted(5, S));
    assert!(Bucket::decode(&memory.get(&key).unwrap().0).is_some());
}

fn two() -> Config {
    config(json!({"quotas": [
        {"name": "all", "max": 5, "window": "1m"},
        {"name": "each", "max": 2, "window": "10s", "dimensions": {"source": "source"}},
        {"name": "none", "max": 1, "window": "1s", "match": "false"},
    ]}))
}

fn pass(config: &Config, store: &Local, source: &str) -> Result<(u64, u64), (String, u64)> {
    match charge(config, &attributes(config, &[("source", source)]), store) {
        Verdict::Passed { items, .. } => {
            let names: Vec<_> = items.iter().map(|s| s.quota).collect();
            assert_eq!(names, ["all", "each"]);
            Ok((items[0].left, items[1].left))
        }
        Verdict::Exhausted { item, retry_after } => {
            assert_eq!(retry_after, Some(item.reset));
            Err((item.quota.to_owned(), item.reset))
        }
        Verdict::Unavailable(quota) => Err((quota.to_owned(), 0)),
    }
}

#[test]
fn a_request_takes_one_of_each_quota_or_none_of_any() {
    let (config, memory) = (two(), Memory::default());
    let store = Local::new(&memory);
    assert_eq!(pass(&config, &store, "a"), Ok((4, 1)));
    assert_eq!(pass(&config, &store, "a"), Ok((3, 0)));
    store.at(1.0);
    let sets = store.sets.get();
    assert_eq!(pass(&config, &store, "a"), Err(("each".to_owned(), 9 * S)));
    assert_eq!(store.sets.get(), sets, "a refusal writes nothing");
    assert_eq!(pass(&config, &store, "b"), Ok((2, 1)));
    assert_eq!(pass(&config, &store, "c"), Ok((1, 1)));
    assert_eq!(pass(&config, &store, "d"), Ok((0, 1)));
    assert_eq!(pass(&config, &store, "e"), Err(("all".to_owned(), 59 * S)));
    store.at(60.0);
    assert_eq!(pass(&config, &store, "e"), Ok((4, 1)));
}

/// Another service comes in between: before a get or a set of this one, counted from 1.
struct Between<'a> {
    local: Local<'a>,
    config: &'a Config,
    calls: Cell<usize>,
    /// Before which call, at which second, how much of which quota.
    others: Vec<(usize, f64, i64, &'a str)>,
}

impl<'a> Between<'a> {
    fn new(memory: &'a Memory, config: &'a Config, others: &[(usize, f64, i64, &'a str)]) -> Self {
        Self {
            local: Local::new(memory),
            config,
            calls: Cell::new(0),
            others: others.to_vec(),
        }
    }

    fn let_others_in(&self) {
        self.calls.set(self.calls.get() + 1);
        for (call, second, amount, quota) in &self.others {
            if *call == self.calls.get() {
                self.local.at(*second);
                let other = Local::new(self.local.memory);
                other.at(*second);
                let asked = Asked {
                    quota: (*quota).to_owned(),
                    ..asked(*amount)
                };
                let found = take(self.config, &other, "a", &asked);
                assert!(matches!(
                    found,
                    Allocation::Granted(Grant { amount: 1.., .. })
                ));
            }
        }
    }
}

impl Store for Between<'_> {
    fn now(&self) -> Option<u64> {
        self.local.now()
    }

    fn get(&self, key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, Unavailable> {
        self.let_others_in();
        self.local.get(key)
    }

    fn set(&self, key: &[u8], value: &[u8], cas: u32) -> Set {
        self.let_others_in();
        self.local.set(key, value, cas)
    }
}

#[test]
fn what_another_service_takes_in_between_is_counted() {
    let config = five();
    let attributes = attributes(&config, &[("source", "a")]);
    for taken_before in [0, 1] {
        let memory = Memory::default();
        take(&config, &Local::new(&memory), "a", &asked(taken_before));
        let store = Between::new(&memory, &config, &[(2, 0.0, 3, "q")]);
        let allocation = allocate(&config, &attributes, &store, &best_effort(5));
        assert_eq!(bare(allocation), granted(5 - 3 - taken_before as u64, S));
        assert_eq!(store.calls.get(), 4, "get and set, twice");
    }
}

#[test]
fn a_request_that_is_there_twice_at_once_takes_once() {
    let (config, memory) = (five(), Memory::default());
    let attributes = attributes(&config, &[("source", "a")]);
    let first = Local::new(&memory);
    take(&config, &first, "a", &asked(1));
    let asked = once(3, "c", "1");
    // The same request, sent again, is answered while the first one is on its way.
    struct Twice<'a>(Local<'a>, &'a Config, &'a Asked, Cell<bool>);
    impl Store for Twice<'_> {
        fn now(&self) -> Option<u64> {
            self.0.now()
        }
        fn get(&self, key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, Unavailable> {
            self.0.get(key)
        }
        fn set(&self, key: &[u8], value: &[u8], cas: u32) -> Set {
            if !self.3.replace(true) {
                let again = take(self.1, &Local::new(self.0.memory), "a", self.2);
                assert_eq!(again, granted(3, S));
            }
            self.0.set(key, value, cas)
        }
    }
    let store = Twice(Local::new(&memory), &config, &asked, Cell::new(false));
    let found = bare(allocate(&config, &attributes, &store, &asked));
    assert_eq!(found, granted(3, S));
    assert_eq!(take(&config, &first, "a", &best_effort(5)), granted(1, S));
}

#[test]
fn what_was_taken_of_a_bucket_is_given_back_too() {
    let config = config(json!({"quotas": [
        {"name": "all", "max": 5, "window": "1m", "algorithm": "SLIDING_WINDOW"},
        {"name": "shadow", "max": 1, "window": "1m", "shadow": true},
        {"name": "each", "max": 2, "window": "10s", "dimensions": {"source": "source"}},
    ]}));
    let memory = Memory::default();
    let store = Between::new(&memory, &config, &[(5, 0.0, 2, "each")]);
    let refused = charge(&config, &attributes(&config, &[("source", "a")]), &store);
    assert!(matches!(refused, Verdict::Exhausted { item, .. } if item.quota == "each"));
    assert_eq!(store.calls.get(), 7, "and nothing is asked of the shadow");
    let passed = charge(
        &config,
        &attributes(&config, &[("source", "b")]),
        &store.local,
    );
    let Verdict::Passed { items, shadows } = passed else {
        panic!("{passed:?}")
    };
    assert_eq!((items[0].left, items[1].left, shadows.len()), (4, 1, 0));
}

// A charge of `two` looks at both quotas (calls 1 and 2), takes of the first (3 and 4), asks for
// the second (5), and gives the first one back (6 and 7).

#[test]
fn what_was_taken_is_given_back_when_a_later_quota_refuses() {
    let (config, memory) = (two(), Memory::default());
    let store = Between::new(&memory, &config, &[(5, 0.0, 2, "each")]);
    let refused = charge(&config, &attributes(&config, &[("source", "a")]), &store);
    assert!(matches!(refused, Verdict::Exhausted { item, .. } if item.quota == "each"));
    assert_eq!(store.calls.get(), 7);
    assert_eq!(pass(&config, &store.local, "b"), Ok((4, 1)));
}

#[test]
fn nothing_is_given_back_to_another_window() {
    let (config, memory) = (two(), Memory::default());
    let others = [(5, 0.0, 2, "each"), (6, 60.0, 5, "all")];
    let store = Between::new(&memory, &config, &others);
    let refused = charge(&config, &attributes(&config, &[("source", "a")]), &store);
    assert!(matches!(refused, Verdict::Exhausted { item, .. } if item.quota == "each"));
    assert_eq!(
        pass(&config, &store.local, "b"),
        Err(("all".to_owned(), 60 * S))
    );
}

#[test]
fn a_store_that_fails_for_one_quota_denies_or_passes_it_over() {
    let memory = Memory::default();
    for (on_error, expected) in [("deny", Err(("each".to_owned(), 0))), ("allow", Ok(1))] {
        let mut config = two();
        config.on_error = match on_error {
            "deny" => mixer_quota::OnError::Deny,
            _ => mixer_quota::OnError::Allow,
        };
        let store = Local::new(&memory);
        // Two looks, and what the first quota takes.
        store.answers.set(4);
        let attributes = attributes(&config, &[("source", "a")]);
        let found = match charge(&config, &attributes, &store) {
            Verdict::Passed { items, .. } => Ok(items.len()),
            Verdict::Unavailable(quota) => Err((quota.to_owned(), 0)),
            other => panic!("{other:?}"),
        };
        assert_eq!(found, expected);
    }
}

/// Against the plainest account of the rules: a sum for each window of each source.
#[test]
fn random_requests_are_granted_as_the_rules_say() {
    let (config, memory) = (five(), Memory::default());
    let store = Local::new(&memory);
    let mut state = 7_u64;
    let mut next = |bound: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) % bound
    };
    let mut windows: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    let mut now = 0_u64;
    for _ in 0..20_000 {
        now += next(S / 4);
        store.now.set(Some(BEGIN + now));
        let (source, amount, effort) = (next(20), next(8), next(2) == 1);
        let (start, used) = windows.entry(source).or_insert((0, 0));
        if *used == 0 || now >= *start + S {
            (*start, *used) = (now, 0);
        }
        let expected = match amount <= 5 - *used {
            true => amount,
            false if effort => 5 - *used,
            false => 0,
        };
        *used += expected;
        let valid = match amount > 0 && (expected > 0 || effort) {
            true => *start + S - now,
            false => 0,
        };
        let asked = Asked {
            best_effort: effort,
            ..asked(amount as i64)
        };
        let found = take(&config, &store, &source.to_string(), &asked);
        assert_eq!(found, granted(expected, valid));
    }
}
