"""What is kept of how a decision was made."""

from typing import Any

from mixer.attributes import HeaderMap
from mixer.engine import Decision, Request, Verdict
from mixer.engine.cache.reads import AttributeRead, HeaderRead, PresenceRead, Read
from mixer.engine.story import Seen, Story, Wanted
from mixer.engine.story.changes import MAX_NAMES, Changes
from tests.engine.conftest import MakeEngine, Plugins, request
from tests.engine.world import World, asking
from tests.support import adapters as do
from tests.support.adapters import adapter


def wants_all(_request: Request) -> Wanted:
    return Wanted.LOG


def told(decision: Decision) -> Story:
    """Its story, which has ended."""
    assert decision.story is not None
    assert decision.story.duration is not None
    return decision.story


def turns(story: Story) -> list[tuple[str, str, str]]:
    return [(turn.adapter, turn.callback, turn.outcome) for turn in story.turns]


def test_nobody_asks(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Without a sampler, and where that wants nothing, no story is kept."""
    engine = make_engine(plugins.plugin("one", adapter()))
    for sampler in (None, lambda _request: Wanted.NOTHING):
        engine.sampler = sampler
        decision = engine.decide(request())
        assert isinstance(decision, Decision)
        assert decision.story is None
        exchange = engine.open(request())
        exchange.request_headers(end_of_stream=True)
        assert exchange.close().story is None


def test_turns_and_looks(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Each call of an adapter, and what each adapter looked at, are told under its name."""
    engine = make_engine(
        plugins.plugin("a", adapter(do.when("x-user")), priority=2),
        plugins.plugin("b", adapter(do.when("x-other"), do.deny(403, "no", "why")), priority=1),
    )
    engine.sampler = wants_all
    decision = engine.decide(request(("x-user", "ann")))
    assert isinstance(decision, Decision)
    story = told(decision)
    assert turns(story) == [
        ("a", "request_headers", "continue"), ("b", "request_headers", "answered")
    ]  # fmt: skip
    assert list(story.reads["a"]) == [HeaderRead(b"x-user")]
    assert list(story.reads["b"]) == [HeaderRead(b"x-other")]
    assert 0 < story.time_in("a") <= (story.duration or 0)


def test_a_failure(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A trap is told as one."""
    engine = make_engine(plugins.plugin("one", adapter(do.trap)))
    engine.sampler = wants_all
    decision = engine.decide(request())
    assert isinstance(decision, Decision)
    assert decision.verdict is Verdict.ERROR
    assert turns(told(decision)) == [("one", "request_headers", "failed")]


def test_a_decision_that_waits(make_engine: MakeEngine, plugins: Plugins) -> None:
    """The story goes on after the wait, which is none of the adapter's time."""
    world = World(make_engine, plugins.plugin("one", asking()))
    world.engine.sampler = wants_all
    pending = world.ask()
    world.answer()
    assert pending.decision is not None
    story = told(pending.decision)
    assert turns(story) == [("one", "request_headers", "pause"), ("one", "resumed", "continue")]
    assert list(story.beyond["one"]) == ["shared state"]


def test_the_cache(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A decision that was kept is told as such, with a story of its own; none is kept with it."""
    text = adapter(do.when("x-user"))
    engine = make_engine(plugins.plugin("one", text, annotations={"valid-duration": "1m"}))
    engine.sampler = wants_all
    first, second = engine.decide(request()), engine.decide(request())
    assert isinstance(first, Decision)
    assert isinstance(second, Decision)
    assert not told(first).from_cache
    assert told(second).from_cache
    assert not told(second).turns
    engine.sampler = None
    third = engine.decide(request())
    assert isinstance(third, Decision)
    assert third.story is None
    assert engine.cache.stats.hits == 2


def test_looks_after_something_volatile(make_engine: MakeEngine, plugins: Plugins) -> None:
    """What is looked at after a decision became uncacheable is told all the same."""
    text = adapter(
        do.when_shared("key"), do.when("x-user"), do.where_property("request\0host", "a")
    )
    engine = make_engine(plugins.plugin("one", text))
    engine.sampler = wants_all
    decision = engine.decide(request())
    assert isinstance(decision, Decision)
    reads = told(decision).reads["one"]
    assert list(reads) == [HeaderRead(b"x-user"), AttributeRead("request.host")]


def seen_last(make_engine: MakeEngine, plugins: Plugins, *documents: Any) -> dict[Read, Any]:
    """What an adapter saw of `x-user` and `request.path` after the others; `x-user: ann` came."""
    looks = (do.when("x-user"), do.where_property("request\0headers\0x-user", "a"),
             do.where_property("request\0path", "a"))  # fmt: skip
    engine = make_engine(*documents, plugins.plugin("last", adapter(*looks), priority=0))
    decision = engine.explain(request(("x-user", "ann")))
    assert isinstance(decision, Decision)
    reads = told(decision).reads["last"]
    assert reads.pop(PresenceRead("request.headers")) is None
    return dict(reads)


def by(plugins: Plugins, name: str, *steps: do.Step, **spec: Any) -> dict[str, Any]:
    return plugins.plugin(name, adapter(*steps), **{"priority": 9, **spec})


HEADER = HeaderRead(b"x-user")
OF_HEADER, PATH = AttributeRead("request.headers", ("x-user",)), AttributeRead("request.path")


def test_what_came_in_is_seen(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Where no adapter has changed it, or it is as it was, nothing is kept beside the look."""
    same = by(plugins, "one", do.replace("x-user", "eve"), do.replace("x-user", "ann"))
    other = by(plugins, "two", do.replace("x-other", "x"))
    found = seen_last(make_engine, plugins, same, other)
    assert found == {HEADER: None, OF_HEADER: None, PATH: None}


def test_what_others_changed_is_seen(make_engine: MakeEngine, plugins: Plugins) -> None:
    """With who changed it last; and the adapter that changes it saw what was there before."""
    first = by(plugins, "one", do.replace("x-user", "eve"), do.replace(":path", "/p"), priority=5)
    second = by(plugins, "two", do.replace("x-user", "e" * 2000), priority=4)
    found = seen_last(make_engine, plugins, first, second)
    assert found[HEADER] == Seen(b"e" * 1024, "two")
    assert found[OF_HEADER] == Seen("e" * 1024, "two")
    assert found[PATH] == Seen("/p", "")  # both changed something


def test_what_one_changed_is_seen(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A removal is told, and the one that changed anything has changed the attribute."""
    found = seen_last(
        make_engine, plugins, by(plugins, "one", do.remove("x-user"), do.replace(":path", "/p"))
    )
    assert found == {
        HEADER: Seen(None, "one"),
        OF_HEADER: Seen(None, "one"),
        PATH: Seen("/p", "one"),
    }


def test_the_first_look_counts(make_engine: MakeEngine, plugins: Plugins) -> None:
    """What an adapter looked at first, whatever it or others change later."""
    steps = (do.when("x-user"), do.replace("x-user", "eve"), do.when("x-user"))
    engine = make_engine(plugins.plugin("one", adapter(*steps)))
    decision = engine.explain(request(("x-user", "ann")))
    assert isinstance(decision, Decision)
    assert told(decision).reads["one"] == {HEADER: None}


def test_who_failed_has_changed_nothing(make_engine: MakeEngine, plugins: Plugins) -> None:
    """What a failed adapter made of a header is undone, and it is not told as who changed it."""
    first = by(plugins, "one", do.replace("x-user", "eve"))
    failed = by(plugins, "two", do.replace("x-user", "mallory"), do.trap, priority=4,
                failStrategy="FAIL_OPEN")  # fmt: skip
    found = seen_last(make_engine, plugins, first, failed)
    assert found[HEADER] == Seen(b"eve", "")


def test_what_is_kept_of_changes_is_bounded() -> None:
    """Beyond so many headers it is not known who changed one; a change of all begins anew."""
    asked = request()
    changes = Changes(asked)

    def change(by: str) -> None:
        for number in range(MAX_NAMES + 1):
            asked.headers.replace(b"x-%d" % number, b"1")
            changes.made(b"x-%d" % number, by)

    def who(number: int) -> str:
        seen = changes.seen(HeaderRead(b"x-%d" % number))
        assert seen is not None
        return seen.by

    change("one")
    assert (who(0), who(MAX_NAMES)) == ("one", "")
    changes.made(None, "two")
    assert (who(0), who(MAX_NAMES)) == ("two", "two")
    change("three")
    assert (who(0), who(MAX_NAMES)) == ("three", "")


def test_a_stream(make_engine: MakeEngine, plugins: Plugins) -> None:
    """The callbacks of both directions are told, until the stream ends."""
    text = adapter(request_body=[do.log("x")], response_headers=[do.log("y")])
    engine = make_engine(plugins.plugin("one", text))
    engine.sampler = wants_all
    exchange = engine.open(request())
    exchange.request_headers(end_of_stream=False)
    exchange.request_body(b"a", end_of_stream=True)
    exchange.response_headers(HeaderMap.of((":status", "200")), end_of_stream=True)
    assert turns(told(exchange.close())) == [
        ("one", "request_headers", "continue"),
        ("one", "request_body", "continue"),
        ("one", "response_headers", "continue"),
    ]


def test_explaining(make_engine: MakeEngine, plugins: Plugins) -> None:
    """It decides as a request would be decided, and counts for nothing."""
    engine = make_engine(plugins.plugin("one", adapter(do.deny(403, "no", "why"))))
    decision = engine.explain(request())
    assert isinstance(decision, Decision)
    assert (decision.verdict, decision.reason) == (Verdict.DENY, "why")
    assert turns(told(decision)) == [("one", "request_headers", "answered")]
    assert (engine.decisions, engine.verdicts.total) == (0, 0)
