"""From a request to a decision."""

import logging
from typing import Any

import pytest

from mixer.attributes import HeaderChange
from mixer.engine import AdapterState, Decision, HeaderOperation, Response, Verdict
from tests.engine.conftest import MakeEngine, Plugins, request
from tests.support import adapters as do
from tests.support.adapters import adapter

OPEN, CLOSE = "FAIL_OPEN", "FAIL_CLOSE"
HOLDING = {"allow-on-headers-stop-iteration": "true"}


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What adapters logged."""
    return [r.getMessage() for r in caplog.records if r.name.startswith("mixer.adapter.")]


def changed(decision: Decision) -> dict[bytes, tuple[bytes, ...]]:
    return {c.name: c.values for c in decision.request_headers}


def test_no_adapters_allow(make_engine: MakeEngine) -> None:
    """Without adapters everything passes, unchanged."""
    assert make_engine().decide(request()) == Decision(Verdict.ALLOW)


def test_allow_with_changes(make_engine: MakeEngine, plugins: Plugins) -> None:
    """An adapter that lets a request pass may change its headers."""
    text = adapter(do.add("x-new", "1"), do.replace("x-old", "2"), do.remove("x-gone"))
    engine = make_engine(plugins.plugin("one", text))
    decision = engine.decide(request(("x-old", "1"), ("x-gone", "1"), ("x-kept", "1")))
    assert (decision.verdict, decision.response) == (Verdict.ALLOW, None)
    assert (decision.adapters, decision.adapter) == (("one",), "one")
    assert set(decision.request_headers) == {
        HeaderChange(b"x-new", (b"1",)),
        HeaderChange(b"x-old", (b"2",)),
        HeaderChange(b"x-gone", ()),
    }
    assert (decision.body, decision.response_operations, decision.failed_open) == (None, (), ())


def test_deny(make_engine: MakeEngine, plugins: Plugins) -> None:
    """An adapter that answers denies with its answer, and what was changed before is no matter."""
    text = adapter(do.add("x-new", "1"), do.deny(401, "who?", "no token", grpc=16))
    engine = make_engine(plugins.plugin("one", text))
    decision = engine.decide(request())
    assert decision == Decision(
        Verdict.DENY,
        adapters=("one",),
        adapter="one",
        reason="no_token",
        response=Response(401, body=b"who?", grpc_status=16),
    )
    assert engine.adapters[0].stats.denied == 1


def test_order_is_phase_then_priority_then_name(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Adapters run by phase, in a phase by priority, and then by name."""
    documents = [
        plugins.plugin(name, adapter(do.add("x-order", name)), **spec)
        for name, spec in {
            "last": {},
            "stats": {"phase": "STATS"},
            "b-authz": {"phase": "AUTHZ"},
            "a-authz": {"phase": "AUTHZ"},
            "urgent-authz": {"phase": "AUTHZ", "priority": 10},
            "late-authz": {"phase": "AUTHZ", "priority": -1},
            "authn": {"phase": "AUTHN"},
        }.items()
    ]
    decision = make_engine(*documents).decide(request())
    expected = (
        "authn", "urgent-authz", "a-authz", "b-authz", "late-authz", "stats", "last",
    )  # fmt: skip
    assert decision.adapters == expected
    assert changed(decision)[b"x-order"] == tuple(name.encode() for name in expected)
    assert decision.adapter == "last"


def test_first_deny_ends_the_chain(make_engine: MakeEngine, plugins: Plugins) -> None:
    """After an adapter answered, no other one is asked."""
    engine = make_engine(
        plugins.plugin("a", adapter()),
        plugins.plugin("b", adapter(do.deny(402))),
        plugins.plugin("c", adapter(do.deny(403))),
    )
    decision = engine.decide(request())
    assert (decision.adapter, decision.adapters) == ("b", ("a", "b"))
    assert decision.response == Response(402)
    assert [a.stats.requests for a in engine.adapters] == [1, 1, 0]


def test_later_adapters_see_earlier_changes(make_engine: MakeEngine, plugins: Plugins) -> None:
    """What one adapter changed the next one finds."""
    engine = make_engine(
        plugins.plugin("a", adapter(do.replace("x-user", "alice"))),
        plugins.plugin("b", adapter(do.when("x-user", do.add("x-seen", "1")))),
    )
    assert changed(engine.decide(request())) == {b"x-user": (b"alice",), b"x-seen": (b"1",)}


def test_headers_of_all_then_the_body_of_all(
    make_engine: MakeEngine, plugins: Plugins, caplog: pytest.LogCaptureFixture
) -> None:
    """The headers pass through every adapter before the body does."""
    documents = [
        plugins.plugin(
            name, adapter(do.log(f"{name} headers"), request_body=[do.log(f"{name} body")])
        )
        for name in "ab"
    ]
    engine = make_engine(*documents)
    with caplog.at_level(logging.INFO):
        assert engine.decide(request(body=b"x")).verdict is Verdict.ALLOW
    assert said(caplog) == ["a headers", "b headers", "a body", "b body"]


def test_held_headers_see_the_body_first(make_engine: MakeEngine, plugins: Plugins) -> None:
    """An adapter that holds the headers back gets the body before the next one gets headers."""
    held = adapter(do.answer(1), request_body=[do.add("x-from-body", "1")])
    engine = make_engine(
        plugins.plugin("a", held, HOLDING),
        plugins.plugin("b", adapter(do.when("x-from-body", do.add("x-seen", "1")))),
    )
    assert changed(engine.decide(request(body=b"x"))) == {
        b"x-from-body": (b"1",),
        b"x-seen": (b"1",),
    }


def test_body_can_be_changed(make_engine: MakeEngine, plugins: Plugins) -> None:
    """The new body of the last adapter that changed it is in the decision."""
    engine = make_engine(
        plugins.plugin("a", adapter(request_body=[do.set_body("first")])),
        plugins.plugin("b", adapter(request_body=[do.set_body("second")])),
        plugins.plugin("c", adapter()),
    )
    assert engine.decide(request(body=b"x")).body == b"second"
    assert engine.decide(request()).body is None


def test_deny_for_the_body(make_engine: MakeEngine, plugins: Plugins) -> None:
    """An adapter may deny when it has seen the body; requests without one are not asked about."""
    engine = make_engine(plugins.plugin("a", adapter(request_body=[do.deny(413)])))
    assert engine.decide(request(body=b"x")).response == Response(413)
    assert engine.decide(request(body=b"")).response == Response(413)
    assert engine.decide(request()).verdict is Verdict.ALLOW
    assert engine.decide(request(has_body=True)).verdict is Verdict.ALLOW


def test_part_of_a_body_is_not_its_end(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A body that the proxy cut is not told as the end of the stream."""
    told = """(func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
      (if (local.get 2) (then unreachable)) (i32.const 0))"""
    text = adapter().removesuffix(")") + told + ")"
    engine = make_engine(plugins.plugin("a", text))
    cut = request(body=b"x")
    cut.body_complete = False
    assert engine.decide(cut).verdict is Verdict.ALLOW
    assert engine.decide(request(body=b"x")).verdict is Verdict.ERROR


@pytest.mark.parametrize(
    ("text", "annotations", "options", "reason"),
    [
        (adapter(do.answer(1)), {}, {}, "paused_for_ever"),
        (adapter(do.answer(3)), {}, {"body": b"x"}, "paused_for_ever"),
        (adapter(do.answer(1)), HOLDING, {}, "paused_for_ever"),
        (adapter(request_body=[do.answer(1)]), {}, {"body": b"x"}, "paused_for_ever"),
        (
            adapter(do.answer(1)),
            HOLDING,
            {"has_body": True},
            "waits_for_a_body_that_the_proxy_did_not_send",
        ),
        (adapter(do.close), {}, {}, "closed_the_stream"),
        (adapter(do.trap), {}, {}, "trap_unreachable"),
        (adapter(do.recurse), {}, {}, "trap_stack_overflow"),
        (adapter(do.spin), {"cpu-limit": "20ms"}, {}, "trap_deadline"),
        (adapter(request_body=[do.trap]), {}, {"body": b"x"}, "trap_unreachable"),
        (adapter(context_create=[do.trap_in_a_stream]), {}, {}, "trap_unreachable"),
    ],
)
def test_failures(
    make_engine: MakeEngine,
    plugins: Plugins,
    text: str,
    annotations: dict[str, str],
    options: dict[str, Any],
    reason: str,
) -> None:
    """A failure is a 503 that says why, or is passed over and named, as the adapter is set up."""
    after = plugins.plugin("b", adapter(do.add("x-after", "1")))
    engine = make_engine(plugins.plugin("a", text, annotations, failStrategy=CLOSE), after)
    decision = engine.decide(request(**options))
    assert (decision.verdict, decision.adapter) == (Verdict.ERROR, "a")
    assert (decision.reason, decision.response) == (reason, Response(503))
    assert (decision.request_headers, decision.failed_open) == ((), ())
    assert engine.adapters[0].stats.failures == 1

    engine = make_engine(plugins.plugin("a", text, annotations, failStrategy=OPEN), after)
    decision = engine.decide(request(**options))
    if reason.startswith("trap"):
        assert (decision.verdict, decision.failed_open) == (Verdict.ALLOW, ("a",))
        assert changed(decision)[b"x-after"] == (b"1",)
    else:  # the module works, and did not let the request pass: failing open is not for that
        assert (decision.verdict, decision.reason) == (Verdict.ERROR, reason)
        assert decision.failed_open == ()


def test_an_adapter_that_is_passed_over_leaves_nothing(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """What a FAIL_OPEN adapter changed in the callback in which it failed is undone."""
    text = adapter(do.add("x-new", "admin"), do.trap)
    engine = make_engine(
        plugins.plugin("a", adapter(do.add("x-before", "1")), priority=2),
        plugins.plugin("b", text, failStrategy=OPEN),
    )
    decision = engine.decide(request())
    assert (decision.verdict, decision.failed_open) == (Verdict.ALLOW, ("b",))
    assert changed(decision) == {b"x-before": (b"1",)}


def test_a_header_that_the_proxy_withheld_is_removed_all_the_same(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """A removal counts where the front end may not have seen every header."""
    engine = make_engine(plugins.plugin("a", adapter(do.remove("x-consumer"))))
    partial = request()
    partial.headers_are_complete = False
    assert changed(engine.decide(partial)) == {b"x-consumer": ()}
    assert changed(engine.decide(request())) == {}


def test_pause_that_was_resumed_is_none(make_engine: MakeEngine, plugins: Plugins) -> None:
    """An adapter that pauses and resumes in the same callback lets the request pass."""
    engine = make_engine(plugins.plugin("a", adapter(do.resume, do.answer(1))))
    assert engine.decide(request()).verdict is Verdict.ALLOW


def test_answer_of_a_module_that_then_trapped_is_void(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """What a module answered before it trapped does not count, open or closed."""
    text = adapter(do.deny(200, "welcome"), do.trap)
    for strategy, verdict in ((CLOSE, Verdict.ERROR), (OPEN, Verdict.ALLOW)):
        engine = make_engine(plugins.plugin("a", text, failStrategy=strategy))
        assert engine.decide(request()).verdict is verdict


def test_trap_after_the_decision_does_not_change_it(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """A module that traps when the stream ends has decided already; only its VM is replaced."""
    engine = make_engine(plugins.plugin("a", adapter(do.deny(403), delete=[do.trap])))
    assert engine.decide(request()).response == Response(403)
    assert engine.adapters[0].state is AdapterState.FAILED


def test_adapters_before_a_failure_are_finished(
    make_engine: MakeEngine, plugins: Plugins, caplog: pytest.LogCaptureFixture
) -> None:
    """When an adapter fails, the streams of those before it are deleted."""
    engine = make_engine(
        plugins.plugin("a", adapter(delete=[do.log("deleted")])),
        plugins.plugin("b", adapter(do.trap)),
    )
    with caplog.at_level(logging.INFO):
        engine.decide(request())
    assert said(caplog) == ["deleted"]


def test_response_headers_by_property(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A property names headers for the upstream's response, in either way to write its path."""
    prefix = "mixer.response_header."
    engine = make_engine(
        plugins.plugin(
            "a",
            adapter(
                do.set_property(f"{prefix}X-One", "1"),
                do.set_property("mixer\0response_header\0x-two", "2"),
                do.set_property("mixer.other", "3"),
            ),
        )
    )
    assert engine.decide(request()).response_operations == (
        HeaderOperation(b"x-one", b"1"),
        HeaderOperation(b"x-two", b"2"),
    )


def selector(mode: str | None = None, *ports: int) -> dict[str, Any]:
    spec: dict[str, Any] = {"ports": [{"number": p} for p in ports]} if ports else {}
    return spec | ({"mode": mode} if mode else {})


INBOUND, OUTBOUND = {"xds.listener_direction": 1}, {"xds.listener_direction": 2}


@pytest.mark.parametrize(
    ("match", "attributes", "runs"),
    [
        ([], {}, True),
        ([selector("SERVER")], INBOUND, True),
        ([selector("SERVER")], OUTBOUND, False),
        ([selector("CLIENT")], INBOUND, False),
        ([selector("CLIENT")], OUTBOUND, True),
        ([selector("CLIENT")], {}, True),
        ([selector("CLIENT_AND_SERVER")], OUTBOUND, True),
        ([selector("UNDEFINED")], INBOUND, True),
        ([selector(None, 80, 443)], {"destination.port": 443}, True),
        ([selector(None, 80, 443)], {"destination.port": 8080}, False),
        ([selector(None, 80)], {}, True),
        ([selector("SERVER", 80)], {"destination.port": 80, **OUTBOUND}, False),
        ([selector("SERVER", 80)], {"destination.port": 80, **INBOUND}, True),
        ([selector("SERVER", 80), selector("CLIENT")], {"destination.port": 1, **OUTBOUND}, True),
        ([selector("SERVER", 80), selector("CLIENT")], {"destination.port": 1, **INBOUND}, False),
    ],
)
def test_match(
    make_engine: MakeEngine,
    plugins: Plugins,
    match: list[dict[str, Any]],
    attributes: dict[str, Any],
    runs: bool,
) -> None:
    """An adapter runs for the direction and ports it is for; what is not known excludes nothing."""
    spec = {"match": match} if match else {}
    engine = make_engine(plugins.plugin("a", adapter(do.deny()), **spec))
    decision = engine.decide(request(attributes=attributes))
    assert decision.adapters == (("a",) if runs else ())
    assert engine.adapters[0].stats.requests == int(runs)


def test_nothing_is_left_in_the_vm(make_engine: MakeEngine, plugins: Plugins) -> None:
    """However requests end, only the root context lives on."""
    text = adapter(
        do.when("x-deny", do.deny()), do.when("x-pause", do.answer(1)), do.when("x-close", do.close)
    )
    engine = make_engine(plugins.plugin("a", text), plugins.plugin("b", adapter()))
    for _ in range(5):
        for name in ("x-none", "x-deny", "x-pause", "x-close"):
            engine.decide(request((name, "1"), body=b"b"))
    assert [len(a._root.vm.contexts) for a in engine.adapters if a._root] == [1, 1]


def test_an_answer_at_the_creation_of_the_context_counts(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """A module that denies before it sees the headers has denied."""
    engine = make_engine(plugins.plugin("a", adapter(context_create=[do.deny(403, "no", "early")])))
    decision = engine.decide(request())
    assert (decision.verdict, decision.reason) == (Verdict.DENY, "early")


def test_a_request_over_its_bound_is_not_let_pass(
    make_engine: MakeEngine, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module whose answer the host cannot keep any more did not allow the request."""
    monkeypatch.setattr("mixer.proxywasm.http_stream.MAX_WRITTEN_BYTES", 100)
    engine = make_engine(
        plugins.plugin("a", adapter(do.add("x-a", "y" * 90)), priority=2),
        plugins.plugin("b", adapter(do.deny(403, "no" * 20, "why")), failStrategy=OPEN),
    )
    decision = engine.decide(request())
    assert (decision.verdict, decision.adapter) == (Verdict.ERROR, "b")


def test_what_a_failed_adapter_handed_over_is_forgotten(
    make_engine: MakeEngine, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An adapter that is passed over does not use up what the others may hand over."""
    monkeypatch.setattr("mixer.proxywasm.http_stream.MAX_WRITTEN_BYTES", 100)
    engine = make_engine(
        plugins.plugin(
            "a", adapter(do.add("x-a", "y" * 90), do.trap), priority=2, failStrategy=OPEN
        ),
        plugins.plugin("b", adapter(do.deny(403, "no" * 20, "why"))),
    )
    assert engine.decide(request()).reason == "why"
