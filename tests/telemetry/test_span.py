"""What the spans of a call tell."""

import re
from pathlib import Path

from mixer.engine import Decision, Engine, Request, Verdict
from mixer.engine.story import Story, Turn, Wanted
from mixer.telemetry import HttpKind, SpanCounts
from mixer.telemetry.span import MAX_SPANS, MAX_STORIES, CallSpan, Span
from mixer.telemetry.tracing import MAX_WAITING, SpanQueue, Tracer
from mixer.transport.measured import span_attributes
from mixer.transport.spans import listen
from tests.engine.conftest import MakeEngine, Plugins, request
from tests.engine.world import World, asking
from tests.support import adapters as do
from tests.support.adapters import adapter

SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
LEFT_ALONE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"


class Traced:
    """An engine whose calls get spans."""

    def __init__(self, engine: Engine, sampling: float = 1.0, chance: float = 0.5) -> None:
        self.counts = SpanCounts()
        self.queue = SpanQueue(self.counts)
        self.tracer = Tracer(self.queue, sampling, lambda: chance)
        self.engine = engine
        listen(engine, self.tracer)

    def call(self, *requests: Request, **headers: str) -> list[Span]:
        """One call that asks some questions; its spans, the call's own first."""
        span = self.tracer.begin("a.B/C", headers.get)
        if span is None:
            for one in requests:
                decision = self.engine.decide(one)
                assert isinstance(decision, Decision)
                assert decision.story is None
            return []
        self.tracer.enter(span)
        for one in requests:
            self.engine.decide(one)
        self.tracer.end(span, {"x": "y"}, error=False)
        return self.queue.take()


def test_a_call_with_one_decision(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Each callback is a child of the call, which tells who decided."""
    engine = make_engine(
        plugins.plugin("a", adapter(), priority=2),
        plugins.plugin("b", adapter(do.deny(403, "no", "why")), priority=1),
    )
    call, first, second = Traced(engine).call(request(), traceparent=SAMPLED, tracestate="k=v")
    assert (call.trace_id, call.parent_id) == (
        0x0AF7651916CD43DD8448EB211C80319C,
        0xB7AD6B7169203331,
    )
    assert (call.is_server, call.remote, call.state) == (True, True, "k=v")
    assert call.attributes == {
        "x": "y",
        "mixer.verdict": "deny",
        "mixer.adapter": "b",
        "mixer.reason": "why",
        "mixer.cache.hit": False,
    }
    for child, name, outcome in ((first, "a", "continue"), (second, "b", "answered")):
        assert (child.trace_id, child.parent_id) == (call.trace_id, call.span_id)
        assert child.name == f"{name} request_headers"
        assert child.attributes == {
            "mixer.adapter": name,
            "mixer.callback": "request_headers",
            "mixer.outcome": outcome,
        }
        assert call.began <= child.began <= child.ended <= call.ended
    assert len({call.span_id, first.span_id, second.span_id}) == 3


def test_a_caller_that_decides_without_a_span(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Its decision holds, whatever the share is."""
    engine = make_engine(plugins.plugin("a", adapter()))
    assert Traced(engine, sampling=1).call(b3="0") == []
    assert len(Traced(engine, sampling=0).call(b3="1")) == 1


def test_a_call_with_several_decisions(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Each decision has a span of its own, in which its adapters are."""
    engine = make_engine(plugins.plugin("a", adapter()))
    call, one, _, two, last = Traced(engine).call(request(), request(), traceparent=SAMPLED)
    assert [one.name, two.name] == ["decision", "decision"]
    assert {one.parent_id, two.parent_id} == {call.span_id}
    assert last.parent_id == two.span_id
    assert two.attributes["mixer.verdict"] == "allow"
    assert "mixer.verdict" not in call.attributes


def test_very_many_decisions(make_engine: MakeEngine, plugins: Plugins) -> None:
    """What is kept of one call is bounded, and how much was left out is told."""
    engine = make_engine(plugins.plugin("a", adapter()))
    asked = [request() for _ in range(MAX_STORIES + 5)]
    call, *rest = Traced(engine).call(*asked, traceparent=SAMPLED)
    assert call.attributes["mixer.decisions.left_out"] == 5
    assert len(rest) == 2 * MAX_STORIES < MAX_SPANS


def test_a_failure(make_engine: MakeEngine, plugins: Plugins) -> None:
    """The callback that trapped is an error."""
    engine = make_engine(plugins.plugin("a", adapter(do.trap)))
    call, trapped = Traced(engine).call(request(), traceparent=SAMPLED)
    assert (call.attributes["mixer.verdict"], trapped.error) == ("error", True)


def test_from_the_cache(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A decision that was kept is told as one, without callbacks."""
    text = adapter(do.when("x-user"))
    engine = make_engine(plugins.plugin("a", text, annotations={"valid-duration": "1m"}))
    traced = Traced(engine)
    traced.call(request(), traceparent=SAMPLED)
    [call] = traced.call(request(), traceparent=SAMPLED)
    assert call.attributes["mixer.cache.hit"] is True


def test_who_is_sampled(make_engine: MakeEngine, plugins: Plugins) -> None:
    """The caller's decision counts, and else the share; the others have no story."""
    engine = make_engine(plugins.plugin("a", adapter()))
    never, seldom = Traced(engine, sampling=0.0), Traced(engine, sampling=0.5, chance=0.5)
    often = Traced(engine, sampling=0.5, chance=0.49)
    assert never.call(request(), traceparent=SAMPLED)
    assert not often.call(request(), traceparent=LEFT_ALONE)
    assert not never.call(request())
    assert not seldom.call(request())
    [root, *_] = often.call(request())
    assert (root.parent_id, root.remote) == (0, False)
    assert root.trace_id > 0
    assert not never.call(request(), b3="0")


def test_nobody_takes_them(make_engine: MakeEngine) -> None:
    """What waits is bounded; a call's spans are dropped as a whole, and counted."""
    traced = Traced(make_engine())
    [span] = traced.call(request(), traceparent=SAMPLED)
    for _ in range(MAX_WAITING + 10):
        traced.queue.put([span])
    assert (len(traced.queue), traced.counts.dropped) == (MAX_WAITING, 10)


def documented_attributes() -> set[str]:
    """Those in the table of the telemetry page."""
    page = (Path(__file__).parents[2] / "docs" / "telemetry.md").read_text()
    table = page.partition("| attribute | on | meaning |")[2].partition("\n\n")[0]
    return set(re.findall(r"^\| `([a-z_.]+)`", table, flags=re.MULTILINE))


def test_every_attribute_is_documented() -> None:
    """The telemetry page lists the attributes of spans as the code has them."""
    story = Story(Wanted.SPANS)
    story.turns.append(Turn("a", "a-rule", "request_headers", 1, 1, "answered"))
    story.end(Decision(Verdict.DENY, adapter="a", rule="a-rule", reason="why"))
    call = CallSpan("name", None)
    for _ in range(MAX_STORIES + 1):
        call.add(story)
    told = {name for span in call.end({}, error=False) for name in span.attributes}
    told |= span_attributes("a.B/C", "INTERNAL", "unix").keys()
    told |= dict(HttpKind("GET", "http", "/a", 503).labels()).keys()
    assert told == documented_attributes()


def test_an_allowed_call_names_no_adapter(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Nobody in particular let it pass."""
    engine = make_engine(plugins.plugin("a", adapter()))
    call, _ = Traced(engine).call(request(), traceparent=SAMPLED)
    assert call.attributes == {"x": "y", "mixer.verdict": "allow", "mixer.cache.hit": False}


def test_a_caller_that_waits_no_longer(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A decision that was given up is told as the failure that it is."""
    world = World(make_engine, plugins.plugin("a", asking()))
    traced = Traced(world.engine)
    span = traced.tracer.begin("a.B/C", {"traceparent": SAMPLED}.get)
    assert span is not None
    traced.tracer.enter(span)
    world.ask().give_up("late")
    traced.tracer.end(span, {}, error=False)
    call, paused = traced.queue.take()
    assert (call.attributes["mixer.verdict"], call.attributes["mixer.reason"]) == ("error", "late")
    assert paused.attributes["mixer.outcome"] == "pause"


def test_other_listeners_are_told_too(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Whoever wanted stories before still gets those that it wants."""
    engine = make_engine(plugins.plugin("a", adapter()))
    told: list[Story] = []
    engine.sampler, engine.on_story = lambda _request: Wanted.LOG, told.append
    traced = Traced(engine)
    assert len(traced.call(request(), traceparent=SAMPLED)) == 2
    decision = engine.decide(request())
    assert isinstance(decision, Decision)
    assert decision.story is not None
    assert [story.wanted for story in told] == [Wanted.LOG | Wanted.SPANS, Wanted.LOG]
    assert not traced.queue
