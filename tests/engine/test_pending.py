"""Decisions that wait for callouts."""

import logging

import pytest

from mixer.engine import AdapterState, Decision, PendingDecision, Response, Verdict
from mixer.testing.callouts import FakeCallouts
from tests.engine.conftest import MakeEngine, Plugins, request
from tests.engine.world import PAUSE, World, asking
from tests.support import adapters as do
from tests.support.adapters import adapter


def decided(pending: PendingDecision) -> Decision:
    """The decision, which is made by now."""
    assert pending.decision is not None
    return pending.decision


def test_a_request_waits_for_its_callout(make_engine: MakeEngine, plugins: Plugins) -> None:
    """The decision is made when the module resumes the request, with its changes of both times."""
    text = asking(do.add("x-late", "2"), do.resume, before=[do.add("x-early", "1")])
    world = World(make_engine, plugins.plugin("one", text))
    seen: list[Decision] = []
    pending = world.ask()
    pending.then(seen.append)
    assert not seen
    world.answer()
    assert seen == [decided(pending)]
    assert seen[0].verdict is Verdict.ALLOW
    assert [c.name for c in seen[0].request_headers] == [b"x-early", b"x-late"]


def test_then_after_the_decision(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Who asks late is told at once."""
    world = World(make_engine, plugins.plugin("one", asking()))
    pending = world.ask()
    world.answer()
    seen: list[Decision] = []
    pending.then(seen.append)
    assert seen == [decided(pending)]


def test_an_answer_from_a_callout(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A module may answer when its callout does; the adapters after it never see the request."""
    text = asking(do.if_called("4", do.deny(403, "no", "denied by auth")), do.resume)
    world = World(
        make_engine,
        plugins.plugin("first", text, priority=2),
        plugins.plugin("second", adapter(do.add("x-second", "1")), priority=1),
    )
    pending = world.ask()
    world.answer(status=401)
    decision = decided(pending)
    assert (decision.verdict, decision.adapter) == (Verdict.DENY, "first")
    assert decision.reason == "denied_by_auth"
    assert decision.adapters == ("first",)
    allowed = world.ask()
    world.answer(status=200)
    assert decided(allowed).adapters == ("first", "second")


def test_adapters_after_a_pause(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Each adapter waits in its turn; the body passes all of them afterwards."""
    world = World(
        make_engine,
        plugins.plugin("a", asking(do.add("x", "a"), do.resume), priority=3),
        plugins.plugin("b", asking(do.add("x", "b"), do.resume), priority=2),
        plugins.plugin("c", adapter(request_body=[do.add("x", "no"), do.log("body")]), priority=1),
    )
    pending = world.ask(body=b"body")
    world.answer()
    assert pending.decision is None
    world.answer()
    (change,) = decided(pending).request_headers
    assert change.values == (b"a", b"b")


def test_a_pause_in_the_body(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A module that waits with the body may change it when it goes on."""
    text = adapter(
        request_body=[do.callout("auth"), do.answer(1)],
        http_call_response=[do.in_stream(do.set_body("new"), do.resume)],
    )
    world = World(make_engine, plugins.plugin("one", text))
    pending = world.ask(body=b"old")
    world.answer()
    assert decided(pending).body == b"new"


def test_a_pause_in_the_response(make_engine: MakeEngine, plugins: Plugins) -> None:
    """The answer of an adapter waits too, where a response callback asks another service."""
    text = adapter(
        do.deny(403, "no"),
        response_headers=[do.callout("log"), PAUSE],
        http_call_response=[do.in_stream(do.add_to_response("x-logged", "1"), do.resume_response)],
    )
    world = World(make_engine, plugins.plugin("one", text))
    pending = world.ask()
    world.answer()
    response = decided(pending).response
    assert response is not None
    assert (response.status, response.body) == (403, b"no")
    assert (b"x-logged", b"1") in response.headers


def test_many_requests_wait_at_once(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Answers in any order reach the request that asked."""
    text = asking(do.if_called("4", do.deny(403)), do.resume)
    world = World(make_engine, plugins.plugin("one", text))
    pending = [world.ask() for _ in range(20)]
    for number in (7, 3, 19, 0, *(n for n in range(20) if n not in (7, 3, 19, 0))):
        world.answer(number, 403 if number % 3 == 0 else 200)
        assert pending[number].decision is not None
    verdicts = [decided(p).verdict for p in pending]
    assert verdicts == [Verdict.DENY if n % 3 == 0 else Verdict.ALLOW for n in range(20)]


def test_who_gives_up(
    make_engine: MakeEngine, plugins: Plugins, caplog: pytest.LogCaptureFixture
) -> None:
    """A request that nobody waits for ends as an error; its callout is told to the plugin still."""
    caplog.set_level(logging.INFO)
    text = asking(delete=[do.log("deleted")])
    world = World(make_engine, plugins.plugin("one", text))
    pending = world.ask()
    seen: list[Decision] = []
    pending.then(seen.append)
    assert "deleted" not in caplog.text
    decision = pending.give_up("too_slow")
    assert "deleted" in caplog.text
    assert (decision.verdict, decision.reason) == (Verdict.ERROR, "too_slow")
    assert decision.response == Response(503)
    world.answer()
    assert not seen
    assert pending.give_up("again") is decision
    assert world.engine.adapters[0].stats.failures == 1
    assert world.engine.verdicts.error == 1
    assert world.engine.adapters[0].state is AdapterState.READY


def test_giving_up_what_is_decided(make_engine: MakeEngine, plugins: Plugins) -> None:
    """What is decided stands."""
    world = World(make_engine, plugins.plugin("one", asking()))
    pending = world.ask()
    assert world.engine.verdicts.allow == 0
    world.answer()
    assert pending.give_up("too_slow").verdict is Verdict.ALLOW
    assert (world.engine.verdicts.allow, world.engine.verdicts.error) == (1, 0)


@pytest.mark.parametrize(
    ("strategy", "verdict"), [("FAIL_CLOSE", Verdict.ERROR), ("FAIL_OPEN", Verdict.ALLOW)]
)
def test_a_trap_in_the_answer_ends_all_who_wait(
    make_engine: MakeEngine, plugins: Plugins, strategy: str, verdict: Verdict
) -> None:
    """Every request that waits in a VM that falls is answered by the failStrategy, and no later."""
    text = asking(do.if_called("5", do.trap), do.resume, before=[do.add("x-early", "1")])
    world = World(make_engine, plugins.plugin("one", text, failStrategy=strategy))
    waiting = [world.ask() for _ in range(3)]
    world.answer(1, 500)
    for pending in waiting:
        decision = decided(pending)
        assert decision.verdict is verdict
        assert not decision.request_headers
    assert world.engine.adapters[0].state is AdapterState.FAILED


def test_a_vm_that_fell_while_another_adapter_waits(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """A stream's context in a VM that is gone is not entered: not for the body, not at the end."""
    fragile = adapter(do.when("x-trap", do.trap), request_body=[do.add("x-body", "1")])
    world = World(
        make_engine,
        plugins.plugin("fragile", fragile, priority=2),
        plugins.plugin("asks", asking(), priority=1),
    )
    pending = world.ask(body=b"body")
    assert isinstance(world.engine.decide(request(("x-trap", "1"))), Decision)
    world.answer()
    decision = decided(pending)
    assert (decision.verdict, decision.reason) == (Verdict.ERROR, "lost_its_vm")


def test_a_request_that_nothing_can_resume(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Without a callout, a tick, a queue or another stream a pause is an error at once."""
    world = World(make_engine, plugins.plugin("one", adapter(PAUSE)))
    decision = world.engine.decide(request())
    assert isinstance(decision, Decision)
    assert decision.reason == "paused_for_ever"


def test_an_answer_that_does_not_resume(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A request that its module leaves paused stays so until somebody gives it up."""
    text = asking(do.log("seen"))
    world = World(make_engine, plugins.plugin("one", text))
    pending = world.ask()
    world.answer()
    assert pending.decision is None
    assert pending.give_up("decision_timed_out").reason == "decision_timed_out"


def test_a_callout_that_is_refused(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A module that pauses without a callout, since that was refused, waits for nothing."""
    callouts = FakeCallouts(clusters=["another"])
    engine = make_engine(plugins.plugin("one", asking()), callouts=callouts)
    decision = engine.decide(request())
    assert isinstance(decision, Decision)
    assert decision.reason == "paused_for_ever"


def test_resumed_by_a_tick(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A plugin may resume its streams from a tick."""
    text = adapter(
        do.note_stream, PAUSE, configure=[do.tick(100)], tick=[do.in_noted_stream(do.resume)]
    )
    world = World(make_engine, plugins.plugin("one", text))
    pending = world.ask()
    world.time.advance(0.05)
    assert pending.decision is None
    world.time.advance(0.1)
    assert decided(pending).verdict is Verdict.ALLOW


def test_a_closed_engine_leaves_nothing(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Closing the engine gives up the callouts."""
    world = World(make_engine, plugins.plugin("one", asking()))
    world.ask()
    world.engine.close()
    assert world.callouts.http_calls[0].over


def test_a_held_body_that_does_not_come(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Headers that are held for a callout go on with it, also where the proxy sends no body."""
    text = adapter(
        do.callout("auth"),
        do.answer(1),
        http_call_response=[do.in_stream(do.resume)],
    )
    document = plugins.plugin("one", text, {"allow-on-headers-stop-iteration": "true"})
    world = World(make_engine, document)
    pending = world.ask(has_body=True)
    world.answer()
    assert decided(pending).verdict is Verdict.ALLOW


def test_requests_do_not_wait_for_each_other(make_engine: MakeEngine, plugins: Plugins) -> None:
    """While one request waits, others are decided."""
    text = adapter(
        do.when("x-ask", do.callout("auth"), PAUSE), http_call_response=[do.in_stream(do.resume)]
    )
    world = World(make_engine, plugins.plugin("one", text))
    pending = world.ask(("x-ask", "1"))
    other: Decision | PendingDecision = world.engine.decide(request())
    assert isinstance(other, Decision)
    assert other.verdict is Verdict.ALLOW
    world.answer()
    assert decided(pending).verdict is Verdict.ALLOW


@pytest.mark.parametrize(
    ("step", "verdict"), [(do.deny(403), Verdict.DENY), (do.close, Verdict.ERROR)]
)
def test_what_was_decided_before_the_vm_fell_stands(
    make_engine: MakeEngine, plugins: Plugins, step: do.Step, verdict: Verdict
) -> None:
    """A denial counts though the VM traps before it is carried out, with FAIL_OPEN too."""
    text = asking(step, before=[do.when("x-trap", do.trap)])
    world = World(make_engine, plugins.plugin("one", text, failStrategy="FAIL_OPEN"))
    pending = world.ask()
    world.callouts.http_calls[0].respond()
    assert isinstance(world.engine.decide(request(("x-trap", "1"))), Decision)
    world.time.advance()
    assert decided(pending).verdict is verdict


@pytest.mark.parametrize("body", [None, b"body"])
def test_a_late_denial_is_not_lost_with_the_failure_of_another_adapter(
    make_engine: MakeEngine, plugins: Plugins, body: bytes | None
) -> None:
    """An adapter that let a request go on may still deny it, whoever fails open meanwhile."""
    late = adapter(do.callout("auth"), http_call_response=[do.in_stream(do.deny(403))])
    fragile = asking(before=[do.when("x-trap", do.trap)])
    world = World(
        make_engine,
        plugins.plugin("late", late, priority=2),
        plugins.plugin("fragile", fragile, priority=1, failStrategy="FAIL_OPEN"),
    )
    pending = world.ask(body=body)
    world.answer(0)
    world.engine.decide(request(("x-trap", "1")))
    world.time.advance()
    decision = decided(pending)
    assert (decision.verdict, decision.response) == (Verdict.DENY, Response(403))


@pytest.mark.parametrize(
    ("step", "verdict"), [(do.deny(403), Verdict.DENY), (do.close, Verdict.ERROR)]
)
def test_a_late_end_does_not_wait_for_another_adapter(
    make_engine: MakeEngine, plugins: Plugins, step: do.Step, verdict: Verdict
) -> None:
    """An adapter that let a request go on can end it at once while it waits in another."""
    late = adapter(do.callout("auth"), http_call_response=[do.in_stream(step)])
    world = World(
        make_engine,
        plugins.plugin("late", late, priority=2),
        plugins.plugin("asks", asking(), priority=1),
    )
    pending = world.ask()
    world.answer(0)
    assert decided(pending).verdict is verdict


def test_who_hands_over_too_much_is_not_waited_for(
    make_engine: MakeEngine, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream that its module overburdens while it waits ends at once, not with its time."""
    monkeypatch.setattr("mixer.proxywasm.http_stream.MAX_WRITTEN_BYTES", 100)
    world = World(make_engine, plugins.plugin("one", asking(do.set_property("a", "b" * 100))))
    pending = world.ask()
    world.answer()
    decision = decided(pending)
    assert (decision.verdict, decision.reason) == (Verdict.ERROR, "closed_the_stream")
