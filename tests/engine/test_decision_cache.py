"""Decisions that are kept: which, for whom, and for how long."""

from typing import Any

import pytest

from mixer.config import DecisionCacheLimits
from mixer.engine import Decision, Engine, Request, Verdict
from mixer.engine.cache import DecisionCache
from tests.engine.conftest import MakeEngine, Plugins, request
from tests.support import adapters as do
from tests.support.adapters import Step, adapter

MINUTE = do.set_property("mixer\0valid_duration", "1m")
ALWAYS = {"valid-duration": "1h"}


class Clock:
    """A clock that goes when it is told to; nanoseconds."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += int(seconds * 1e9)


def timed(engine: Engine, limits: DecisionCacheLimits | None = None) -> Clock:
    """Give an engine a cache with another clock."""
    clock = Clock()
    adapters = {a.name: a for a in engine.adapters}
    engine.cache = DecisionCache(limits or DecisionCacheLimits(), adapters, clock)
    engine.cache.in_use = True
    return clock


def decide(engine: Engine, asked: Request) -> Decision:
    decision = engine.decide(asked)
    assert isinstance(decision, Decision)
    return decision


def hits(engine: Engine, *requests: Request) -> int:
    """How many of these are answered from the cache."""
    before = engine.cache.stats.hits
    for one in requests:
        decide(engine, one)
    return engine.cache.stats.hits - before


def test_nothing_is_kept_unless_somebody_says_so(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Neither module nor configuration says how long an answer holds: each request is decided."""
    engine = make_engine(plugins.plugin("one", adapter(do.deny())))
    assert hits(engine, request(), request(), request()) == 0
    assert (len(engine.cache), engine.cache.in_use) == (0, False)


def test_a_module_says_how_long(make_engine: MakeEngine, plugins: Plugins) -> None:
    """The first answer with a validity has the next one noted, and that one is kept."""
    engine = make_engine(plugins.plugin("one", adapter(MINUTE, do.deny(418, "tea"))))
    first, second, third = (decide(engine, request()) for _ in range(3))
    assert first == second == third
    assert (engine.cache.stats.hits, engine.cache.stats.misses) == (1, 1)


def test_the_configuration_says_how_long(make_engine: MakeEngine, plugins: Plugins) -> None:
    """The annotation is for modules that do not say; what they say goes first."""
    silent = make_engine(plugins.plugin("one", adapter(), ALWAYS))
    clock = timed(silent)
    assert hits(silent, request(), request()) == 1
    clock.pass_seconds(3599)
    assert hits(silent, request()) == 1
    clock.pass_seconds(1)
    assert hits(silent, request()) == 0
    saying = make_engine(plugins.plugin("two", adapter(MINUTE), ALWAYS))
    clock = timed(saying)
    decide(saying, request())
    clock.pass_seconds(60)
    assert hits(saying, request()) == 0
    assert saying.cache.stats.expired == 1


def test_all_adapters_have_to_say(make_engine: MakeEngine, plugins: Plugins) -> None:
    """One adapter without validity makes the whole answer one that holds for one request."""
    one = plugins.plugin("one", adapter(MINUTE))
    two = plugins.plugin("two", adapter())
    engine = make_engine(one, two)
    timed(engine)
    assert hits(engine, request(), request()) == 0


def test_the_shortest_validity_counts(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Of several adapters the shortest duration and the smallest use count hold."""
    uses = do.set_property("mixer.valid_use_count", "3")
    engine = make_engine(
        plugins.plugin("one", adapter(do.set_property("mixer.valid_duration", "5s"))),
        plugins.plugin("two", adapter(MINUTE, uses)),
    )
    clock = timed(engine)
    validity = decide(engine, request()).validity
    assert validity is not None
    assert (validity.duration, validity.use_count) == (5_000_000_000, 3)
    clock.pass_seconds(2)
    left = decide(engine, request()).validity
    assert left is not None
    assert (left.duration, left.use_count) == (3_000_000_000, 2)


def test_a_use_count_ends_it(make_engine: MakeEngine, plugins: Plugins) -> None:
    """An answer is used as often as it may be, and then made anew; with 0 it is not kept."""
    engine = make_engine(
        plugins.plugin("one", adapter(MINUTE), {"valid-use-count": "2"}),
    )
    timed(engine)
    assert hits(engine, *(request() for _ in range(6))) == 4
    never = make_engine(plugins.plugin("two", adapter(MINUTE), {"valid-use-count": "0"}))
    timed(never)
    assert hits(never, request(), request()) == 0
    assert len(never.cache) == 0


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("mixer.valid_duration", "5"),
        ("mixer.valid_duration", "-5s"),
        ("mixer.valid_duration", "\x00"),
        ("mixer.valid_use_count", "many"),
        ("mixer.valid_use_count", "2147483648"),
        ("mixer.quota.granted", "1.5"),
        ("mixer.quota.granted", "9223372036854775808"),
        ("mixer.deny.code", "0"),
        ("mixer.deny.code", "17"),
    ],
)
def test_what_makes_no_sense_is_a_failure(
    make_engine: MakeEngine, plugins: Plugins, caplog: pytest.LogCaptureFixture,
    path: str, value: str,
) -> None:  # fmt: skip
    """A validity that is none is logged and counted, and the answer stands for this request."""
    code = adapter(MINUTE, do.set_property(path, value), do.deny())
    engine = make_engine(plugins.plugin("one", code))
    decision = decide(engine, request())
    assert (decision.verdict, decision.validity, decision.code) == (Verdict.DENY, None, None)
    assert path in caplog.text
    assert engine.adapters[0].stats.failures >= 1


def test_what_makes_no_sense_is_not_what_the_configuration_says(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """A module that wanted to say how long its answer holds is not overruled where it failed to."""
    code = adapter(do.set_property("mixer.valid_duration", "0"))
    engine = make_engine(plugins.plugin("one", code, ALWAYS))
    timed(engine)
    assert hits(engine, request(), request()) == 0
    assert decide(engine, request()).validity is None


def test_mutations_are_kept_with_the_verdict(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A use changes the headers and the body as the decision did."""
    code = adapter(
        MINUTE, do.add("x-new", "1"), do.remove("x-old"),
        do.set_property("mixer.response_header.x-told", "2"),
        request_body=[do.set_body("other")],
    )  # fmt: skip
    engine = make_engine(plugins.plugin("one", code))
    timed(engine)
    made, used = (decide(engine, request(("x-old", "1"), body=b"body")) for _ in range(2))
    assert engine.cache.stats.hits == 1
    assert made == used
    assert used.body == b"other"
    assert {c.name for c in used.request_headers} == {b"x-new", b"x-old"}


def test_every_request_counts(
    make_engine: MakeEngine, plugins: Plugins, caplog: pytest.LogCaptureFixture
) -> None:
    """Metrics, messages and the counts of the adapter are those of a service without a cache."""
    code = adapter(
        MINUTE, do.count("seen", 2), do.log("asked"), do.deny(), done=[do.count("ended", 1)]
    )
    caplog.set_level("INFO")
    engine = make_engine(plugins.plugin("one", code))
    timed(engine)
    for _ in range(5):
        decide(engine, request())
    assert engine.cache.stats.hits == 4
    values = {m.name: m.value for m in engine.services.metrics.snapshot()}
    assert values == {"seen": 10, "ended": 5}
    assert [r.getMessage() for r in caplog.records].count("asked") == 5
    stats = engine.adapters[0].stats
    assert (stats.requests, stats.denied, engine.verdicts.deny) == (5, 5, 5)


VOLATILE: dict[str, tuple[Step, ...]] = {
    "the clock": (do.read_clock,),
    "randomness": (do.read_random,),
    "a metric": (do.count("m", 1), do.read_metric),
    "shared data, read": (do.when_shared("k"),),
    "shared data, set": (do.set_shared("k", "v"),),
    "a queue": (do.register_queue("q"),),
    "a message": (do.register_queue("q"), do.enqueue(None, "x")),
    "a callout": (do.callout("nobody"),),
    "ticks": (do.tick(1000),),
    "its memory": (do.where_property("plugin_vm_memory", None),),
    "its memory, in an expression": (do.where_true("plugin_vm_memory > 1"),),
    "a message on a stream": (do.grpc_send(3),),
    "the end of a stream": (do.grpc_close(3),),
    "more metrics than there may be": (do.count("m" * 4097, 1),),
    "a signature": (do.where_true("true"), do.call_foreign("sign", "")),
}


@pytest.mark.parametrize("steps", VOLATILE.values(), ids=VOLATILE)
def test_what_changes_by_itself_is_never_kept(
    make_engine: MakeEngine, plugins: Plugins, steps: tuple[Step, ...]
) -> None:
    """An answer that follows from more than the request is made anew, whatever else is said."""
    engine = make_engine(plugins.plugin("one", adapter(*steps), ALWAYS))
    timed(engine)
    assert hits(engine, request(), request(), request()) == 0
    assert engine.cache.stats.uncacheable == 3


def test_callers_are_not_told_what_cannot_hold(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A validity of the configuration is withheld from callers too; a module may say it."""
    configured = make_engine(plugins.plugin("one", adapter(do.read_random), ALWAYS))
    assert decide(configured, request()).validity is None
    saying = make_engine(plugins.plugin("two", adapter(do.read_random, MINUTE)))
    for _ in range(2):
        validity = decide(saying, request()).validity
        assert validity is not None
        assert validity.duration == 60_000_000_000
    assert len(saying.cache) == 0


def test_a_cache_of_no_entries(make_engine: MakeEngine, plugins: Plugins) -> None:
    """With 0 entries nothing is kept, and callers are told what holds all the same."""
    engine = make_engine(plugins.plugin("one", adapter(), ALWAYS))
    timed(engine, DecisionCacheLimits(max_entries=0))
    assert hits(engine, request(), request()) == 0
    assert decide(engine, request()).validity is not None


def test_a_module_that_heeds_the_time_may_say_how_long(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """Who looks at the clock and says how long the answer holds has thought of it."""
    heeding = make_engine(plugins.plugin("one", adapter(do.read_clock, MINUTE)))
    timed(heeding)
    assert hits(heeding, request(), request()) == 1
    other = make_engine(
        plugins.plugin("one", adapter(do.read_clock, MINUTE)),
        plugins.plugin("two", adapter(do.read_clock), ALWAYS),
    )
    timed(other)
    assert hits(other, request(), request()) == 0


def test_the_time_after_the_decision_is_no_matter(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """A module that looks at the clock when the stream has ended decides nothing by it."""
    code = adapter(done=[do.read_clock], delete=[do.read_clock])
    engine = make_engine(plugins.plugin("one", code, ALWAYS))
    timed(engine)
    assert hits(engine, request(), request()) == 1


def test_another_streams_data_is_volatile(make_engine: MakeEngine, plugins: Plugins) -> None:
    """What is read on behalf of another stream is not known to follow from this request."""
    code = adapter(do.note_stream, do.in_noted_stream(do.when("a")))
    own = make_engine(plugins.plugin("one", code, ALWAYS))
    timed(own)
    assert hits(own, request(), request()) == 1, "its own stream is no other"


def test_failures_are_never_kept(make_engine: MakeEngine, plugins: Plugins) -> None:
    """An answer without the adapter that trapped is that of one request."""
    trapping = plugins.plugin("trapping", adapter(do.trap), ALWAYS, failStrategy="FAIL_OPEN")
    engine = make_engine(trapping, plugins.plugin("two", adapter(), ALWAYS))
    timed(engine)
    assert hits(engine, request(), request()) == 0
    at_the_end = plugins.plugin("late", adapter(delete=[do.trap]), ALWAYS)
    engine = make_engine(at_the_end)
    timed(engine)
    assert hits(engine, request(), request()) == 0
    assert engine.adapters[0].stats.failures == 2


def test_entries_are_bounded(make_engine: MakeEngine, plugins: Plugins) -> None:
    """The one that was used longest ago makes room, and what it left in the tree goes with it."""
    engine = make_engine(plugins.plugin("one", adapter(do.when("x")), ALWAYS))
    timed(engine, DecisionCacheLimits(max_entries=2))
    one, two, three = (lambda n=n: request(("x", str(n))) for n in range(3))
    decide(engine, one())
    decide(engine, two())
    assert hits(engine, one()) == 1
    decide(engine, three())
    assert (len(engine.cache), engine.cache.stats.evicted) == (2, 1)
    assert hits(engine, one(), three()) == 2
    assert hits(engine, two()) == 0


def test_bytes_are_bounded(make_engine: MakeEngine, plugins: Plugins) -> None:
    """What answers take is counted; one that is too large is not kept at all."""
    code = adapter(do.when("x"), do.deny(403, "b" * 10_000))
    engine = make_engine(plugins.plugin("one", code, ALWAYS))
    timed(engine, DecisionCacheLimits(max_bytes=64 << 10))
    for n in range(50):
        decide(engine, request(("x", str(n))))
    assert 30_000 < engine.cache.bytes <= 64 << 10
    assert 3 <= len(engine.cache) <= 6
    large = make_engine(plugins.plugin("two", adapter(do.deny(403, "b" * 100_000)), ALWAYS))
    timed(large, DecisionCacheLimits(max_bytes=64 << 10))
    assert hits(large, request(), request()) == 0
    assert (len(large.cache), large.cache.bytes) == (0, 0)


def test_the_clock_of_the_day_is_no_matter(
    make_engine: MakeEngine, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entries end by a clock that does not jump."""
    monkeypatch.setattr("time.time_ns", lambda: 0)
    monkeypatch.setattr("time.time", lambda: 0.0)
    engine = make_engine(plugins.plugin("one", adapter(MINUTE)))
    assert hits(engine, request(), request(), request()) == 1
    monkeypatch.setattr("time.time_ns", lambda: 1 << 62)
    monkeypatch.setattr("time.time", lambda: 4e9)
    assert hits(engine, request()) == 1


def test_a_million_keys(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Distinct requests do not make the cache grow beyond its bounds, nor its tree."""
    engine = make_engine(plugins.plugin("one", adapter(do.when("x")), ALWAYS))
    timed(engine, DecisionCacheLimits(max_entries=100))
    for n in range(3000):
        decide(engine, request(("x", str(n))))
    [root] = engine.cache._roots.values()
    assert (len(engine.cache), sum(1 for _ in _nodes(root))) == (100, 102)


def _nodes(node: Any) -> Any:
    yield node
    for branch in node.branches:
        for twig in branch.twigs.values():
            yield from _nodes(twig)


def test_a_new_configuration_begins_anew(make_engine: MakeEngine, plugins: Plugins) -> None:
    """What one configuration decided is nothing to the next one, even of the same module."""
    allow = plugins.plugin("one", adapter(), ALWAYS)
    deny = plugins.plugin("two", adapter(do.deny()), ALWAYS)
    before, after = make_engine(allow), make_engine(deny)
    timed(before)
    timed(after)
    assert decide(before, request()).verdict is Verdict.ALLOW
    assert decide(after, request()).verdict is Verdict.DENY
    assert hits(before, request()) == hits(after, request()) == 1


def test_a_module_with_a_memory_gets_a_branch_of_its_own(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """A module that reads now this, now that, is found by either."""
    code = adapter(
        do.if_remembered(do.when("a", do.deny(401))), do.when("b", do.deny(402)), do.remember
    )
    engine = make_engine(plugins.plugin("one", code, ALWAYS))
    timed(engine)
    statuses = [
        getattr(decide(engine, request(header)).response, "status", 200)
        for header in (("b", "1"), ("a", "1"), ("a", "1"), ("b", "1"))
    ]
    assert statuses == [402, 401, 401, 402]
    assert engine.cache.stats.hits == 2
