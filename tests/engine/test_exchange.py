"""One HTTP stream through the adapters, piece by piece."""

import gc
from functools import partial
from typing import Any

import pytest

from mixer.attributes import HeaderMap
from mixer.engine import Flow, HttpExchange, Sees, Verdict
from mixer.proxywasm import LifecycleError
from tests.engine.conftest import MakeEngine, Plugins, request
from tests.engine.world import PAUSE, World
from tests.support import adapters as do
from tests.support.adapters import adapter

HOLDING = {"allow-on-headers-stop-iteration": "true"}
HOLD = BUFFER = do.answer(1)
DROP = do.answer(3)
REWRITE = [*(do.add("x-late", "1"),), do.set_body("new")]


def response(status: str = "200", *headers: tuple[str, str]) -> HeaderMap:
    return HeaderMap.of((":status", status), *headers)


def changed(flow: Flow) -> dict[bytes, tuple[bytes, ...]]:
    return {c.name: c.values for c in flow.header_changes()}


def responded(exchange: HttpExchange) -> Flow:
    assert exchange.response is not None
    return exchange.response


def test_a_stream_without_adapters(make_engine: MakeEngine) -> None:
    """Everything comes through as it came in, at once."""
    exchange = make_engine().open(request())
    exchange.request_headers(end_of_stream=False)
    assert exchange.request.headers_passed
    exchange.request_body(b"one", end_of_stream=False)
    exchange.request_body(b"two", end_of_stream=False)
    assert exchange.request.take_body() == b"onetwo"
    assert not exchange.request.complete
    exchange.request_trailers(HeaderMap.of(("x-t", "1")))
    assert (exchange.request.trailers_passed, exchange.request.complete) == (True, True)
    exchange.response_headers(response(), end_of_stream=False)
    exchange.response_body(b"answer", end_of_stream=True)
    assert responded(exchange).take_body() == b"answer"
    assert responded(exchange).complete
    assert exchange.close().verdict is Verdict.ALLOW


def test_one_context_for_the_whole_stream(make_engine: MakeEngine, plugins: Plugins) -> None:
    """The request passes the adapters in order, the response in reverse; the log ends it."""

    def noting(name: str) -> str:
        return adapter(
            do.add("x-order", name),
            request_body=[do.log(f"{name} body")],
            response_headers=[do.add_to_response("x-order", name)],
            log=[do.count(f"{name}_logged", 1)],
        )

    engine = make_engine(
        plugins.plugin("a", noting("a"), priority=2), plugins.plugin("b", noting("b"), priority=1)
    )
    exchange = engine.open(request())
    exchange.request_headers(end_of_stream=True)
    assert changed(exchange.request) == {b"x-order": (b"a", b"b")}
    exchange.response_headers(response(), end_of_stream=True)
    assert changed(responded(exchange)) == {b"x-order": (b"b", b"a")}
    decision = exchange.close()
    assert (decision.verdict, decision.adapters) == (Verdict.ALLOW, ("a", "b"))
    assert engine.verdicts.allow == 1
    logged = {m.name: m.value for m in engine.services.metrics.snapshot()}
    assert (logged["a_logged"], logged["b_logged"]) == (1, 1)
    assert engine.decisions == 1


def test_changes_are_told_once(make_engine: MakeEngine, plugins: Plugins) -> None:
    """What was told is not told again; what was undone is told as it was."""
    text = adapter(do.add("x-early", "1"), do.replace("x-old", "2"), HOLD, request_body=[
        do.add("x-late", "1"), do.replace("x-old", "1"),
    ])  # fmt: skip
    engine = make_engine(plugins.plugin("one", text, HOLDING))
    exchange = engine.open(request(("x-old", "1")))
    exchange.request_headers(end_of_stream=False)
    assert (exchange.request.headers_passed, exchange.request.wants_body) == (False, True)
    assert changed(exchange.request) == {b"x-early": (b"1",), b"x-old": (b"2",)}
    exchange.request_body(b"body", end_of_stream=True)
    assert exchange.request.headers_passed
    assert changed(exchange.request) == {b"x-late": (b"1",), b"x-old": (b"1",)}
    assert changed(exchange.request) == {}


def test_a_body_that_is_held_back(make_engine: MakeEngine, plugins: Plugins) -> None:
    """An adapter may keep pieces until it has seen the last one; later adapters see none before."""
    buffering = adapter(request_body=[
        do.where_body("onetwo", do.set_body("both"), do.answer(0)), BUFFER,
    ])  # fmt: skip
    engine = make_engine(
        plugins.plugin("a", buffering, priority=2),
        plugins.plugin("b", adapter(request_body=[do.where_body("both", do.set_body("seen"))])),
    )
    exchange = engine.open(request())
    exchange.request_headers(end_of_stream=False)
    assert exchange.request.headers_passed
    exchange.request_body(b"one", end_of_stream=False)
    assert (exchange.request.take_body(), exchange.request.holds) == (b"", True)
    assert exchange.held_by == "a"
    exchange.request_body(b"two", end_of_stream=True)
    assert (exchange.request.take_body(), exchange.request.complete) == (b"seen", True)
    assert not exchange.request.holds


def test_a_response_body_is_changed(make_engine: MakeEngine, plugins: Plugins) -> None:
    """With its headers, which wait for it where the adapter holds them."""
    text = adapter(
        response_headers=[HOLD],
        response_body=[do.add_to_response("x-late", "1"), do.set_body("new", kind=1)],
    )
    exchange = make_engine(plugins.plugin("one", text, HOLDING)).open(request())
    exchange.request_headers(end_of_stream=True)
    exchange.response_headers(response(), end_of_stream=False)
    assert not responded(exchange).headers_passed
    exchange.response_body(b"old", end_of_stream=True)
    assert changed(responded(exchange)) == {b"x-late": (b"1",)}
    assert responded(exchange).take_body() == b"new"


def test_pieces_that_are_dropped(make_engine: MakeEngine, plugins: Plugins) -> None:
    """What an adapter drops goes nowhere."""
    text = adapter(request_body=[do.where_body("secret", DROP)])
    exchange = make_engine(plugins.plugin("one", text)).open(request())
    exchange.request_headers(end_of_stream=False)
    for piece in (b"a", b"secret", b"b"):
        exchange.request_body(piece, end_of_stream=False)
    assert exchange.request.take_body() == b"ab"


def test_a_stop_holds_everything(make_engine: MakeEngine, plugins: Plugins) -> None:
    """While an adapter waits with the headers it sees no body; then it sees all of it at once."""
    text = adapter(
        do.callout("auth"),
        PAUSE,
        request_body=[do.where_body("onetwo", do.set_body("all"))],
        http_call_response=[do.in_stream(do.add("x-user", "alice"), do.resume)],
    )
    world = World(make_engine, plugins.plugin("one", text))
    told: list[str] = []
    exchange = world.open()
    exchange.on_change = lambda: told.append("changed")
    exchange.request_headers(end_of_stream=False)
    exchange.request_body(b"one", end_of_stream=False)
    exchange.request_body(b"two", end_of_stream=True)
    assert (exchange.request.headers_passed, told) == (False, [])
    world.answer()
    assert told == ["changed"]
    assert changed(exchange.request) == {b"x-user": (b"alice",)}
    assert (exchange.request.take_body(), exchange.request.complete) == (b"all", True)


def test_request_and_response_are_held_at_once(make_engine: MakeEngine, plugins: Plugins) -> None:
    """An upstream may answer while an adapter still holds the request's body."""
    text = adapter(
        request_body=[do.where_body("ab", do.answer(0)), BUFFER],
        response_headers=[do.callout("log"), PAUSE],
        http_call_response=[do.in_stream(do.resume_response)],
    )
    world = World(make_engine, plugins.plugin("one", text))
    exchange = world.open()
    exchange.request_headers(end_of_stream=False)
    exchange.request_body(b"a", end_of_stream=False)
    exchange.response_headers(response(), end_of_stream=True)
    assert not responded(exchange).headers_passed
    exchange.request_body(b"b", end_of_stream=True)
    assert exchange.request.take_body() == b"ab"
    assert not responded(exchange).headers_passed
    world.answer()
    assert responded(exchange).complete


def test_trailers(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A body that was held back goes on with the trailers, which adapters may change."""
    text = adapter(
        request_body=[BUFFER],
        request_trailers=[do.add_to_trailers("x", "1")],
    )
    exchange = make_engine(plugins.plugin("one", text)).open(request())
    exchange.request_headers(end_of_stream=False)
    exchange.request_body(b"body", end_of_stream=False)
    assert exchange.request.take_body() == b""
    exchange.request_trailers(HeaderMap.of(("x-t", "1")))
    assert exchange.request.take_body() == b"body"
    assert [c.name for c in exchange.request.trailer_changes()] == [b"x"]
    assert exchange.request.complete


@pytest.mark.parametrize("phase", ["request_headers", "request_body", "request_trailers"])
def test_an_answer_to_a_request(make_engine: MakeEngine, plugins: Plugins, phase: str) -> None:
    """It ends the stream, and passes the response callbacks of those that saw the request."""
    steps: dict[str, Any] = {phase: [do.deny(403, "no", "who")]}
    first = steps.pop("request_headers", ())
    seeing = adapter(response_headers=[do.add_to_response("x-seen", "1")])
    engine = make_engine(
        plugins.plugin("a", seeing, priority=2),
        plugins.plugin("b", adapter(*first, **steps), priority=1),
        plugins.plugin("c", seeing),
    )
    exchange = engine.open(request())
    exchange.request_headers(end_of_stream=False)
    exchange.request_body(b"body", end_of_stream=False)
    exchange.request_trailers(HeaderMap.of())
    answer = exchange.answer
    assert answer is not None
    assert (answer.verdict, answer.adapter, answer.reason) == (Verdict.DENY, "b", "who")
    assert answer.response is not None
    seen = 1 if phase == "request_headers" else 2
    assert [pair for pair in answer.response.headers if pair[0] == b"x-seen"] == [
        (b"x-seen", b"1")
    ] * seen
    assert (answer.response.status, answer.response.body) == (403, b"no")
    assert exchange.close() is answer
    assert (engine.verdicts.deny, engine.verdicts.total) == (1, 1)


def test_an_answer_in_place_of_a_response(make_engine: MakeEngine, plugins: Plugins) -> None:
    """An adapter may answer while the response's headers are held; the body too late."""
    text = adapter(response_headers=[do.where_header("x-early", None, do.deny(502, "bad"))],
                   response_body=[do.deny(502, "late")])  # fmt: skip
    engine = make_engine(plugins.plugin("one", text))
    exchange = engine.open(request())
    exchange.request_headers(end_of_stream=True)
    exchange.response_headers(response(), end_of_stream=False)
    assert responded(exchange).headers_passed
    exchange.response_body(b"x", end_of_stream=True)
    assert exchange.answer is not None
    assert exchange.answer.verdict is Verdict.ERROR
    assert responded(exchange).take_body() == b""

    text = adapter(response_headers=[do.deny(502, "bad")])
    exchange = make_engine(plugins.plugin("two", text)).open(request())
    exchange.request_headers(end_of_stream=True)
    exchange.response_headers(response(), end_of_stream=False)
    assert exchange.answer is not None
    assert exchange.answer.response is not None
    assert (exchange.answer.response.status, exchange.answer.response.body) == (502, b"bad")
    assert not responded(exchange).headers_passed


@pytest.mark.parametrize("strategy", ["FAIL_OPEN", "FAIL_CLOSE"])
@pytest.mark.parametrize("phase", ["request_headers", "request_body", "response_body"])
def test_a_trap(make_engine: MakeEngine, plugins: Plugins, strategy: str, phase: str) -> None:
    """One that fails open is passed over with all that it held; else the stream is refused."""
    steps: dict[str, Any] = {phase: [do.add("x-half", "1"), do.trap]}
    first = steps.pop("request_headers", ())
    engine = make_engine(
        plugins.plugin("a", adapter(*first, **steps), failStrategy=strategy, priority=1),
        plugins.plugin("b", adapter(do.add("x-b", "1"))),
    )
    exchange = engine.open(request())
    exchange.request_headers(end_of_stream=False)
    exchange.request_body(b"body", end_of_stream=True)
    if strategy == "FAIL_CLOSE" and phase != "response_body":
        assert exchange.answer is not None
        assert exchange.answer.verdict is Verdict.ERROR
        assert exchange.request.take_body() == b""
        exchange.close()
        return
    assert changed(exchange.request) == {b"x-b": (b"1",)}
    assert exchange.request.take_body() == b"body"
    exchange.response_headers(response(), end_of_stream=False)
    exchange.response_body(b"answer", end_of_stream=True)
    if strategy == "FAIL_CLOSE":
        assert exchange.answer is not None
        return
    assert responded(exchange).take_body() == b"answer"
    decision = exchange.close()
    assert (decision.verdict, decision.failed_open) == (Verdict.ALLOW, ("a",))


def test_what_a_failed_adapter_held_goes_on(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A trap in the middle of a body loses nothing of it where the adapter fails open."""
    text = adapter(request_body=[do.where_body("onetwo", do.trap), BUFFER])
    engine = make_engine(plugins.plugin("one", text, failStrategy="FAIL_OPEN"))
    exchange = engine.open(request())
    exchange.request_headers(end_of_stream=False)
    exchange.request_body(b"one", end_of_stream=False)
    assert exchange.request.take_body() == b""
    exchange.request_body(b"two", end_of_stream=False)
    assert exchange.request.take_body() == b"onetwo"
    exchange.request_body(b"three", end_of_stream=True)
    assert (exchange.request.take_body(), exchange.request.complete) == (b"three", True)


def test_nothing_can_resume_it(make_engine: MakeEngine, plugins: Plugins) -> None:
    """An adapter that waits for nothing lets nothing pass, with headers or at the end of a body."""
    engine = make_engine(plugins.plugin("one", adapter(PAUSE)))
    exchange = engine.open(request())
    exchange.request_headers(end_of_stream=False)
    assert exchange.answer is not None
    assert exchange.answer.reason == "paused_for_ever"
    engine = make_engine(plugins.plugin("two", adapter(request_body=[BUFFER])))
    exchange = engine.open(request())
    exchange.request_headers(end_of_stream=False)
    exchange.request_body(b"a", end_of_stream=False)
    assert exchange.answer is None
    exchange.request_body(b"b", end_of_stream=True)
    assert exchange.answer is not None
    assert exchange.answer.reason == "paused_for_ever"


def test_too_much_is_held_back(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Beyond the bound a request is answered as Envoy does; what goes on is not bounded."""
    text = adapter(request_body=[do.where_header("x", None, do.answer(0)), BUFFER])
    exchange = make_engine(plugins.plugin("one", text)).open(request())
    exchange.request_headers(end_of_stream=False)
    exchange.request_body(bytes(1 << 20), end_of_stream=False)
    assert exchange.answer is None
    exchange.request_body(b"x", end_of_stream=False)
    assert exchange.answer is not None
    assert exchange.answer.response is not None
    assert exchange.answer.response.status == 413
    assert exchange.answer.reason == "request_payload_too_large"
    flowing = make_engine(plugins.plugin("two", adapter())).open(request())
    flowing.request_headers(end_of_stream=False)
    for _ in range(3):
        flowing.request_body(bytes(1 << 20), end_of_stream=False)
        assert len(flowing.request.take_body()) == 1 << 20


def test_it_is_given_up(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Nobody waits any longer: it is refused, and later answers change nothing."""
    text = adapter(do.callout("auth"), PAUSE, http_call_response=[do.in_stream(do.resume)])
    world = World(make_engine, plugins.plugin("one", text))
    exchange = world.open()
    exchange.request_headers(end_of_stream=True)
    exchange.give_up("decision_timed_out")
    assert exchange.answer is not None
    assert (exchange.answer.adapter, exchange.answer.reason) == ("one", "decision_timed_out")
    world.answer()
    assert not exchange.request.headers_passed
    assert exchange.close() is exchange.answer
    assert world.engine.verdicts.total == 1


@pytest.mark.parametrize(
    "calls",
    [
        [("request_body", b"", True)],
        [("request_headers", True), ("request_body", b"", True)],
        [("request_headers", False), ("request_headers", False)],
        [("response_body", b"", True)],
    ],
)
def test_an_order_that_cannot_be(make_engine: MakeEngine, calls: list[Any]) -> None:
    """A part after the end, without headers, or twice is an error of the front end."""
    exchange = make_engine().open(request())
    steps = [
        partial(getattr(exchange, name), *given[:-1], end_of_stream=given[-1])
        for name, *given in calls
    ]
    for step in steps[:-1]:
        step()
    with pytest.raises(LifecycleError):
        steps[-1]()


def test_what_a_stream_shows(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A front end learns what is left to be asked; what was said of the response counts."""
    engine = make_engine(
        plugins.plugin("a", adapter(request_body=[do.log("x")])),
        plugins.plugin("b", adapter(response_headers=[do.log("x")], log=[do.log("x")])),
    )
    shown = Sees.REQUEST_BODY | Sees.RESPONSE_HEADERS | Sees.LOG
    assert engine.open(request()).sees == shown
    text = adapter(do.set_property("mixer.response_header.x-said", "1"))
    exchange = make_engine(plugins.plugin("c", text)).open(request())
    assert exchange.sees is Sees.NOTHING
    exchange.request_headers(end_of_stream=True)
    assert exchange.sees is Sees.RESPONSE_HEADERS
    exchange.response_headers(response(), end_of_stream=True)
    assert changed(responded(exchange)) == {b"x-said": (b"1",)}


def test_what_may_go_on_by_itself(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A callout may let go what is held back; where only the rest of a body can, it is told."""
    text = adapter(
        do.callout("auth"),
        PAUSE,
        request_body=[BUFFER],
        http_call_response=[do.in_stream(do.resume)],
    )
    world = World(make_engine, plugins.plugin("one", text))
    exchange = world.open()
    exchange.request_headers(end_of_stream=False)
    assert exchange.may_go_on
    world.answer()
    assert (exchange.request.headers_passed, exchange.request.holds) == (True, False)
    exchange.request_body(b"x", end_of_stream=False)
    assert (exchange.request.holds, exchange.may_go_on) == (True, False)
    assert exchange.decision.verdict is Verdict.ALLOW


def test_an_answer_waits_on_its_way_back(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A response callback may hold the answer of an adapter for a callout of its own."""
    text = adapter(
        do.deny(403, "no"),
        response_headers=[do.callout("log"), PAUSE],
        http_call_response=[do.in_stream(do.add_to_response("x-logged", "1"), do.resume_response)],
    )
    world = World(make_engine, plugins.plugin("one", text))
    exchange, told = world.open(), list[bool]()
    exchange.on_change = lambda: told.append(exchange.answer is not None)
    exchange.request_headers(end_of_stream=False)
    assert (exchange.is_answering, exchange.held_by) == (True, "one")
    exchange.request_body(b"late", end_of_stream=True)
    assert exchange.request.take_body() == b""
    world.answer()
    assert told == [True]
    assert exchange.answer is not None
    assert exchange.answer.response is not None
    assert (b"x-logged", b"1") in exchange.answer.response.headers


def test_what_may_go_on_goes_before_what_comes(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A piece that comes right after a resume is not held with those that were let go."""
    text = adapter(
        request_body=[do.where_body("a", do.callout("auth")), BUFFER],
        http_call_response=[do.in_stream(do.resume)],
    )
    world = World(make_engine, plugins.plugin("one", text))
    exchange = world.open()
    exchange.request_headers(end_of_stream=False)
    exchange.request_body(b"a", end_of_stream=False)
    exchange.request_body(b"b", end_of_stream=False)
    world.callouts.http_calls[0].respond(200)
    exchange.request_body(b"c", end_of_stream=False)
    assert exchange.request.take_body() == b"ab"
    assert exchange.request.held_bytes == 1


def test_a_trap_undoes_what_was_half_done(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Of a response too; trailers go past an adapter that failed open."""
    half = do.set_property("mixer.response_header.x-said", "1")
    text = adapter(response_headers=[half, do.add_to_response("x-half", "1"), do.trap])
    engine = make_engine(plugins.plugin("one", text, failStrategy="FAIL_OPEN"))
    exchange = engine.open(request())
    exchange.request_headers(end_of_stream=True)
    exchange.response_headers(response(), end_of_stream=False)
    assert changed(responded(exchange)) == {}
    exchange.response_body(b"x", end_of_stream=False)
    exchange.response_trailers(HeaderMap.of(("x-t", "1")))
    assert responded(exchange).trailers_passed
    assert responded(exchange).complete


def test_what_the_log_is_told(make_engine: MakeEngine, plugins: Plugins) -> None:
    """The bytes that came of the request, and those that went on of the response."""

    def eight(number: int) -> bytes:
        return number.to_bytes(8, "little")

    text = adapter(
        response_body=[do.set_body("longer", kind=1)],
        log=[
            do.where_property("response\0size", eight(6), do.count("sent", 1)),
            do.where_property("response\0code", eight(201), do.count("created", 1)),
        ],
    )
    engine = make_engine(plugins.plugin("one", text))
    exchange = engine.open(request())
    exchange.request_headers(end_of_stream=True)
    exchange.response_headers(response("201"), end_of_stream=False)
    exchange.response_body(b"x", end_of_stream=True)
    exchange.close()
    counted = {m.name: m.value for m in engine.services.metrics.snapshot()}
    assert counted == {"sent": 1, "created": 1}


def test_a_stream_that_ends_before_it_is_decided(make_engine: MakeEngine, plugins: Plugins) -> None:
    """What no adapter let pass counts as refused, whoever ended it."""
    world = World(make_engine, plugins.plugin("one", adapter(do.callout("auth"), PAUSE)))
    exchange = world.open()
    exchange.request_headers(end_of_stream=True)
    decision = exchange.close()
    assert (decision.verdict, decision.adapter) == (Verdict.ERROR, "one")
    assert decision.reason == "caller_gone"
    assert (world.engine.verdicts.allow, world.engine.verdicts.error) == (0, 1)


def test_nothing_happens_after_the_end(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A callout that is answered too late changes nothing, and nobody is told."""
    text = adapter(do.callout("auth"), PAUSE, http_call_response=[do.in_stream(do.resume)])
    world = World(make_engine, plugins.plugin("one", text))
    exchange, told = world.open(), list[int]()
    exchange.on_change = lambda: told.append(1)
    exchange.request_headers(end_of_stream=True)
    world.callouts.http_calls[0].respond(200)
    exchange.give_up("caller_gone")
    world.time.advance()
    exchange.close()
    world.time.advance()
    assert told == []
    assert exchange.answer is not None
    assert exchange.answer.reason == "caller_gone"


def test_rules_change_what_has_come_through(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Headers of the request, and of the response too, where even removals are possible."""
    rule = {
        "apiVersion": "mixer.dev/v1alpha1",
        "kind": "MixerRule",
        "metadata": {"name": "rule"},
        "spec": {
            "requestHeaderOperations": [{"name": "x-rule", "values": ["request.headers['x-a']"]}],
            "responseHeaderOperations": [
                {"name": "server", "operation": "REMOVE"},
                {"name": "x-to", "values": ["request.headers['x-a']"]},
            ],
        },
    }
    engine = make_engine(plugins.plugin("one", adapter(do.add("x-a", "1"))), rule)
    exchange = engine.open(request())
    exchange.request_headers(end_of_stream=False)
    assert changed(exchange.request) == {b"x-a": (b"1",), b"x-rule": (b"1",)}
    assert Sees.RESPONSE_HEADERS in exchange.sees
    exchange.response_headers(response("200", ("server", "s")), end_of_stream=False)
    exchange.response_body(b"x", end_of_stream=True)
    assert changed(responded(exchange)) == {b"server": (), b"x-to": (b"1",)}


def test_a_stream_that_is_over_leaves_nothing(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Its memory is free at once, without a search for circles of references."""
    engine = make_engine(plugins.plugin("a", adapter(response_headers=[])))

    def run() -> None:
        exchange = engine.open(request())
        seen: list[HttpExchange] = [exchange]
        exchange.on_change = seen.clear  # one more circle
        exchange.request_headers(end_of_stream=True)
        exchange.response_headers(response(), end_of_stream=True)
        exchange.close()

    gc.collect()
    gc.disable()
    try:
        run()
        assert not any(isinstance(one, HttpExchange | Flow) for one in gc.get_objects())
    finally:
        gc.enable()


def test_what_a_module_may_not_hear_is_not_shown(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A callback that its plugin does not allow is none that a front end has to ask for."""
    text = adapter(response_headers=[do.log("x")], log=[do.log("x")])
    allowed = {"allowed-capabilities": "proxy_log, proxy_on_log"}
    engine = make_engine(plugins.plugin("one", text, allowed))
    assert engine.open(request()).sees is Sees.LOG
