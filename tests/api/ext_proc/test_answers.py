"""What a stream answers, mode by mode."""

import tracemalloc

import pytest
from envoy.service.ext_proc.v3 import external_processor_pb2
from google.protobuf import struct_pb2

from mixer.engine import Verdict
from tests.api.ext_proc.proxy import PATIENCE_S, Mode, Proxy, immediate, kinds, set_headers
from tests.engine.conftest import MakeEngine, Plugins
from tests.engine.world import World, asking
from tests.support import adapters as do
from tests.support.adapters import adapter

HOLDING = {"allow-on-headers-stop-iteration": "true"}
HOLD = BUFFER = do.answer(1)
BOTH = [do.add("x-late", "1"), do.set_body("new")]
RESPONDING = [do.add_to_response("x-late", "1"), do.set_body("new", kind=1)]


def test_nothing_to_do(make_engine: MakeEngine) -> None:
    """Without adapters the headers go on, and the proxy needs to send no more."""
    proxy = Proxy(make_engine())
    (answer,) = proxy.request_headers()
    assert answer.request_headers == external_processor_pb2.HeadersResponse()
    assert proxy.stream.is_over
    ended = proxy.stream.close()
    assert ended is not None
    assert ended.decision.verdict is Verdict.ALLOW


def test_header_changes(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Every value goes out on its own, bytes as they are; the route is selected anew."""
    text = adapter(
        do.add("x-old", "2"),
        do.replace(":path", "/new"),
        do.remove("x-gone"),
        do.add("x-n", "\xe9"),
    )
    proxy = Proxy(make_engine(plugins.plugin("a", text)))
    (answer,) = proxy.request_headers(("x-old", "1"), ("x-gone", "1"))
    common = answer.request_headers.response
    found = set_headers(common.header_mutation)
    assert sorted(found) == [
        (":path", b"/new", False),
        ("x-n", "\xe9".encode(), False),
        ("x-old", b"1", False),
        ("x-old", b"2", True),
    ]
    assert found.index(("x-old", b"1", False)) < found.index(("x-old", b"2", True))
    assert common.header_mutation.remove_headers == ["x-gone"]
    assert common.clear_route_cache


def test_a_route_that_is_cleared(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A module may ask for it without changing a header; Envoy does it only with a mutation."""
    text = adapter(do.when("x-clear", do.call_foreign("clear_route_cache", "")))
    engine = make_engine(plugins.plugin("a", text))
    (answer,) = Proxy(engine).request_headers(("x-clear", "1"))
    assert answer.request_headers.response.clear_route_cache
    assert answer.request_headers.response.HasField("header_mutation")
    (answer,) = Proxy(engine).request_headers()
    assert not answer.request_headers.response.HasField("header_mutation")
    assert not answer.request_headers.response.clear_route_cache


def test_who_decided(make_engine: MakeEngine, plugins: Plugins) -> None:
    """It is in the dynamic metadata of one answer: the first one after that."""
    engine = make_engine(plugins.plugin("a", adapter(response_headers=[])))
    proxy = Proxy(engine)
    (answer,) = proxy.request_headers()
    told = answer.dynamic_metadata["envoy.filters.http.ext_proc"]
    assert dict(told.items()) | {"adapters": list(told["adapters"])} == {
        "verdict": "allow", "adapter": "a", "reason": "", "adapters": ["a"],
    }  # fmt: skip
    (answer,) = proxy.response_headers()
    assert not answer.HasField("dynamic_metadata")


def test_a_denial(make_engine: MakeEngine, plugins: Plugins) -> None:
    """It has status, body, headers and details, and ends the stream."""
    text = adapter(do.deny(403, "no", "not today", grpc=7))
    proxy = Proxy(make_engine(plugins.plugin("a", text)))
    (answer,) = proxy.request_headers()
    denied = answer.immediate_response
    assert (denied.status.code, denied.body, denied.details) == (403, b"no", "not_today")
    assert denied.grpc_status.status == 7
    assert answer.dynamic_metadata["envoy.filters.http.ext_proc"]["verdict"] == "deny"
    assert proxy.stream.is_over
    assert proxy.response_headers() == []


@pytest.mark.parametrize("status", [0, 100, 199, 600, 999])
def test_a_status_that_is_none(make_engine: MakeEngine, plugins: Plugins, status: int) -> None:
    """Envoy would take it for 200."""
    proxy = Proxy(make_engine(plugins.plugin("a", adapter(do.deny(status)))))
    assert immediate(proxy.request_headers())[0] == 500


def test_a_header_that_is_none(make_engine: MakeEngine, plugins: Plugins) -> None:
    """One with a line break is an error, as one with a blank in its name."""
    text = adapter(
        do.when("x-value", do.add("x-a", "1\r\nx-b: 2")), do.when("x-name", do.add("a b", "1"))
    )
    engine = make_engine(plugins.plugin("a", text))
    for name in ("x-value", "x-name"):
        status, reason = immediate(Proxy(engine).request_headers((name, "1")))
        assert (status, "forbidden_characters" in reason) == (503, True)


@pytest.mark.parametrize("mode", ["NONE", "STREAMED", "BUFFERED", "FULL_DUPLEX_STREAMED"])
def test_a_body_that_is_left_alone(make_engine: MakeEngine, plugins: Plugins, mode: str) -> None:
    """Nothing of it is sent back but in full duplex, where all of it has to be."""
    text = adapter(request_body=[], response_body=[], response_headers=[])
    proxy = Proxy(make_engine(plugins.plugin("a", text)), mode)
    assert kinds(proxy.request_headers(end=False)) == ["request_headers"]
    if mode == "NONE":
        return
    (answer,) = proxy.body(b"piece", end=True)
    mutation = answer.request_body.response.body_mutation
    if mode == "FULL_DUPLEX_STREAMED":
        assert mutation.streamed_response.body == b"piece"
        assert mutation.streamed_response.end_of_stream
    else:
        assert not answer.request_body.response.HasField("body_mutation")


def test_a_buffered_body_is_changed(make_engine: MakeEngine, plugins: Plugins) -> None:
    """The headers, which the proxy still has, get the right content-length."""
    text = adapter(do.add("x-early", "1"), HOLD, request_body=BOTH)
    proxy = Proxy(make_engine(plugins.plugin("a", text, HOLDING)), "BUFFERED")
    (answer,) = proxy.request_headers(("content-length", "3"), end=False)
    assert not answer.request_headers.response.HasField("header_mutation")
    assert not answer.HasField("dynamic_metadata")
    (answer,) = proxy.body(b"old", end=True)
    common = answer.request_body.response
    assert common.body_mutation.body == b"new"
    assert {name: value for name, value, _ in set_headers(common.header_mutation)} == {
        "x-early": b"1", "x-late": b"1", "content-length": b"3",
    } or ("x-late", b"1", False) in set_headers(common.header_mutation)  # fmt: skip
    assert common.clear_route_cache
    assert answer.dynamic_metadata["envoy.filters.http.ext_proc"]["verdict"] == "allow"


def test_the_content_length_of_a_changed_body(make_engine: MakeEngine, plugins: Plugins) -> None:
    """It is corrected where there is one, also in a response; Envoy refuses a wrong one."""
    text = adapter(response_headers=[], response_body=[do.set_body("longer", kind=1)])
    proxy = Proxy(make_engine(plugins.plugin("a", text)), "BUFFERED")
    proxy.request_headers()
    proxy.response_headers(("content-length", "3"), end=False)
    (answer,) = proxy.body(b"old", end=True, of="response")
    common = answer.response_body.response
    assert set_headers(common.header_mutation) == [("content-length", b"6", False)]
    assert common.body_mutation.body == b"longer"


def test_a_body_that_is_emptied(make_engine: MakeEngine, plugins: Plugins) -> None:
    """An empty body takes the place of the old one."""
    text = adapter(request_body=[do.set_body("")])
    for mode in ("BUFFERED", "STREAMED"):
        proxy = Proxy(make_engine(plugins.plugin("a", text)), mode)
        proxy.request_headers(end=False)
        (answer,) = proxy.body(b"old", end=True)
        assert answer.request_body.response.body_mutation.clear_body


def test_pieces_that_are_held_back(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Each is answered with nothing, so that the next one comes; all goes on with the last."""
    text = adapter(request_body=[do.where_body("onetwo", do.answer(0)), BUFFER])
    proxy = Proxy(make_engine(plugins.plugin("a", text)), "STREAMED")
    proxy.request_headers(end=False)
    (answer,) = proxy.body(b"one")
    assert answer.request_body.response.body_mutation.clear_body
    (answer,) = proxy.body(b"two", end=True)
    assert answer.request_body.response.body_mutation.body == b"onetwo"


def test_a_body_until_trailers(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Buffered as a whole it goes on; piece by piece it would be lost, which is an error."""
    text = adapter(request_body=[BUFFER], request_trailers=[do.add_to_trailers("x-added", "1")])
    engine = make_engine(plugins.plugin("a", text))
    proxy = Proxy(engine, "BUFFERED")
    proxy.request_headers(end=False)
    (answer,) = proxy.body(b"all of it")
    assert not answer.request_body.response.HasField("body_mutation")
    (answer,) = proxy.trailers(("x-t", "1"))
    assert set_headers(answer.request_trailers.header_mutation) == [("x-added", b"1", False)]
    proxy = Proxy(engine, "STREAMED")
    proxy.request_headers(end=False)
    proxy.body(b"a piece")
    assert "until_the_trailers" in immediate(proxy.trailers())[1]
    proxy = Proxy(engine, "FULL_DUPLEX_STREAMED")
    assert kinds(proxy.request_headers(end=False)) == ["request_headers"]
    assert proxy.body(b"all of it") == []
    body, trailers = proxy.trailers(("x-t", "1"))
    streamed = body.request_body.response.body_mutation.streamed_response
    assert (streamed.body, streamed.end_of_stream) == (b"all of it", False)
    assert set_headers(trailers.request_trailers.header_mutation) == [("x-added", b"1", False)]


def test_a_part_of_a_body(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Where only the beginning comes, an adapter that wants the rest gets none, and fails."""
    text = adapter(request_body=[BUFFER])
    proxy = Proxy(make_engine(plugins.plugin("a", text)), "BUFFERED_PARTIAL")
    proxy.request_headers(end=False)
    assert immediate(proxy.body(b"the beginning"))[1].startswith("waits_for_a_body")


def test_headers_that_wait_for_a_body_in_full_duplex(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """They go on first, with what the body changed of them, and then the body does."""
    text = adapter(
        HOLD,
        request_body=[do.where_body("onetwo", *BOTH, do.answer(0)), BUFFER],
        response_headers=[HOLD],
        response_body=RESPONDING,
    )
    proxy = Proxy(make_engine(plugins.plugin("a", text, HOLDING)), "FULL_DUPLEX_STREAMED")
    assert proxy.request_headers(end=False) == []
    assert proxy.body(b"one") == []
    assert not proxy.stream.waits
    head, body = proxy.body(b"two", end=True)
    assert ("x-late", b"1", False) in set_headers(head.request_headers.response.header_mutation)
    streamed = body.request_body.response.body_mutation.streamed_response
    assert (streamed.body, streamed.end_of_stream) == (b"new", True)
    assert proxy.response_headers(end=False) == []
    head, body = proxy.body(b"", end=True, of="response")
    mutation = head.response_headers.response.header_mutation
    assert set_headers(mutation) == [("x-late", b"1", False)]
    assert not head.response_headers.response.clear_route_cache
    assert body.response_body.response.body_mutation.streamed_response.body == b"new"


def test_a_get_in_full_duplex(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A message without body gets none, and the proxy is not left alone with the response's."""
    proxy = Proxy(make_engine(plugins.plugin("a", adapter())), "FULL_DUPLEX_STREAMED")
    assert kinds(proxy.request_headers()) == ["request_headers"]
    assert not proxy.stream.is_over
    assert kinds(proxy.response_headers(end=False)) == ["response_headers"]
    assert kinds(proxy.body(b"x", of="response")) == ["response_body"]
    (answer,) = proxy.body(b"", end=True, of="response")
    assert answer.response_body.response.body_mutation.streamed_response.end_of_stream


@pytest.mark.parametrize("mode", ["NONE", "STREAMED"])
def test_headers_that_wait_for_a_body_in_vain(
    make_engine: MakeEngine, plugins: Plugins, mode: str
) -> None:
    """Without a body the adapter cannot decide, and so nothing goes on."""
    text = adapter(HOLD, request_body=[do.deny(403)])
    proxy = Proxy(make_engine(plugins.plugin("a", text, HOLDING)), mode)
    status, reason = immediate(proxy.request_headers(end=False))
    assert (status, reason) == (503, "waits_for_a_body_that_the_proxy_does_not_send")


@pytest.mark.parametrize("mode", ["NONE", "STREAMED"])
def test_a_filter_that_takes_overrides_is_asked_for_the_body(
    make_engine: MakeEngine, plugins: Plugins, mode: str
) -> None:
    """Then it comes as a whole, and the headers wait for it in the proxy."""
    text = adapter(HOLD, request_body=[do.deny(403)], response_headers=[], response_body=[])
    engine = make_engine(plugins.plugin("a", text, HOLDING))
    proxy = Proxy(engine, mode, may_override=True)
    (answer,) = proxy.request_headers(end=False)
    assert answer.mode_override.request_body_mode == Mode.BUFFERED
    assert answer.mode_override.response_body_mode == Mode.STREAMED
    assert answer.mode_override.response_header_mode == Mode.SEND
    assert immediate(proxy.body(b"body", end=True))[0] == 403
    proxy = Proxy(engine, mode, may_override=True)
    proxy.request_headers()  # there is nothing to wait for


def test_the_body_of_a_response_that_its_headers_wait_for(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """It is asked for with the answer to these headers."""
    text = adapter(response_headers=[HOLD], response_body=RESPONDING)
    proxy = Proxy(make_engine(plugins.plugin("a", text, HOLDING)), may_override=True)
    proxy.request_headers()
    (answer,) = proxy.response_headers(end=False)
    assert answer.mode_override.response_body_mode == Mode.BUFFERED
    (answer,) = proxy.body(b"old", end=True, of="response")
    assert answer.response_body.response.body_mutation.body == b"new"


def test_pieces_before_the_headers_are_answered(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Where the filter sends them, headers can wait for the body piece by piece, too."""
    text = adapter(HOLD, request_body=[do.where_body("onetwo", *BOTH, do.answer(0)), BUFFER])
    engine = make_engine(plugins.plugin("a", text, HOLDING))
    proxy = Proxy(engine, "STREAMED", early=True)
    assert kinds(proxy.request_headers(end=False)) == ["more_time"]
    assert proxy.body(b"one") == []
    head, first, second = proxy.body(b"two", end=True)
    assert ("x-late", b"1", False) in set_headers(head.request_headers.response.header_mutation)
    assert first.request_body.response.body_mutation.clear_body
    assert second.request_body.response.body_mutation.body == b"new"


def test_what_a_filter_is_asked_for(make_engine: MakeEngine, plugins: Plugins) -> None:
    """No body that nobody sees, and what adapters do see; nothing where that is what comes."""
    blind = make_engine(plugins.plugin("blind", adapter(log=[])))
    (answer,) = Proxy(blind, "BUFFERED").request_headers(end=False)
    assert answer.mode_override.request_body_mode == Mode.NONE
    assert answer.mode_override.response_header_mode == Mode.SEND
    seeing = adapter(request_body=[], request_trailers=[], response_trailers=[])
    engine = make_engine(plugins.plugin("seeing", seeing))
    (answer,) = Proxy(engine, "NONE").request_headers(end=False)
    assert answer.mode_override.request_body_mode == Mode.STREAMED
    assert answer.mode_override.request_trailer_mode == Mode.SEND
    assert answer.mode_override.response_trailer_mode == Mode.SEND
    (answer,) = Proxy(engine, "FULL_DUPLEX_STREAMED").request_headers(end=False)
    assert not answer.HasField("mode_override")
    (answer,) = Proxy(engine, told=False).request_headers(end=False)
    assert not answer.HasField("mode_override")
    (answer,) = Proxy(make_engine()).request_headers(end=False)
    assert not answer.HasField("mode_override")


def test_when_the_proxy_may_go_on_alone(make_engine: MakeEngine, plugins: Plugins) -> None:
    """As soon as no adapter has a callback for anything that is left."""
    engine = make_engine(plugins.plugin("body", adapter(request_body=[])))
    proxy = Proxy(engine, "STREAMED")
    proxy.request_headers(end=False)
    assert not proxy.stream.is_over
    proxy.body(b"one")
    assert not proxy.stream.is_over
    proxy.body(b"two", end=True)
    assert proxy.stream.is_over
    engine = make_engine(
        plugins.plugin("said", adapter(do.set_property("mixer.response_header.x", "1")))
    )
    proxy = Proxy(engine)
    proxy.request_headers()
    assert not proxy.stream.is_over
    (answer,) = proxy.response_headers()
    assert set_headers(answer.response_headers.response.header_mutation) == [("x", b"1", False)]
    assert proxy.stream.is_over
    logs = make_engine(plugins.plugin("logs", adapter(log=[])))
    proxy = Proxy(logs)
    proxy.request_headers()
    proxy.response_headers()
    assert not proxy.stream.is_over


def test_waiting_for_a_callout(make_engine: MakeEngine, plugins: Plugins) -> None:
    """The proxy is asked for time, once, and gets its answer when the callout is answered."""
    world = World(make_engine, plugins.plugin("a", asking(do.add("x-late", "1"), do.resume)))
    proxy = Proxy(world.engine)
    (answer,) = proxy.request_headers()
    assert answer.override_message_timeout.seconds == PATIENCE_S
    assert (proxy.stream.waits, proxy.look()) == (True, [])
    world.answer()
    assert proxy.changes == 1
    (answer,) = proxy.look()
    assert set_headers(answer.request_headers.response.header_mutation) == [("x-late", b"1", False)]
    assert not proxy.stream.waits


def test_a_body_that_waits_for_a_callout(make_engine: MakeEngine, plugins: Plugins) -> None:
    """No piece is answered while an adapter waits with it; then all of them go on."""
    text = adapter(
        request_body=[do.where_body("onetwo", do.callout("auth")), do.answer(1)],
        http_call_response=[do.in_stream(do.resume)],
    )
    for mode in ("STREAMED", "BUFFERED"):
        world = World(make_engine, plugins.plugin("a", text))
        proxy = Proxy(world.engine, mode)
        proxy.request_headers(end=False)
        assert kinds(proxy.body(b"onetwo", end=True)) == ["more_time"]
        assert proxy.stream.waits
        world.answer()
        (answer,) = proxy.look()
        assert not answer.request_body.response.HasField("body_mutation")


@pytest.mark.parametrize("holds", [True, False])
@pytest.mark.parametrize("mode", ["NONE", "BUFFERED", "STREAMED", "FULL_DUPLEX_STREAMED"])
def test_a_denial_on_its_way_back_lets_nothing_pass(
    make_engine: MakeEngine, plugins: Plugins, mode: str, holds: bool
) -> None:
    """While another adapter holds it, no message is answered as if nothing held it."""
    waits = adapter(
        response_headers=[do.callout("auth"), do.answer(3)],
        http_call_response=[do.in_stream(do.resume_response)],
    )
    denies = adapter(*[HOLD] * holds, request_body=[do.deny(403, "no")])
    world = World(
        make_engine,
        plugins.plugin("waits", waits, priority=2),
        plugins.plugin("denies", denies, HOLDING, priority=1),
    )
    proxy = Proxy(world.engine, mode, may_override=True)
    proxy.request_headers(end=False)
    answers = proxy.body(b"body", end=True)
    assert set(kinds(answers)) <= {"more_time"}
    assert proxy.stream.waits
    world.answer()
    assert immediate(proxy.look()) == (403, "")


def test_giving_up(make_engine: MakeEngine, plugins: Plugins) -> None:
    """What waits for too long ends with an error, and the decision says so."""
    world = World(make_engine, plugins.plugin("a", asking()))
    proxy = Proxy(world.engine)
    proxy.request_headers()
    proxy.stream.give_up("decision_timed_out")
    assert immediate(proxy.answers()) == (503, "decision_timed_out")
    ended = proxy.stream.close()
    assert ended is not None
    assert ended.decision.verdict is Verdict.ERROR


def test_an_answer_in_place_of_the_response(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Where the upstream's went on already, Envoy makes a reset of it."""
    text = adapter(
        response_headers=[do.where_header("x-never", "1", do.answer(0))],
        response_body=[do.deny(502, "broken")],
    )
    proxy = Proxy(make_engine(plugins.plugin("a", text)), "STREAMED")
    proxy.request_headers()
    assert kinds(proxy.response_headers(end=False)) == ["response_headers"]
    immediate(proxy.body(b"x", of="response"))
    assert proxy.stream.is_over


def test_observing(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Everything is shown to the adapters, and nothing is answered, whatever they do."""
    text = adapter(
        do.count("headers", 1),
        do.when("x-deny", do.deny(403)),
        request_body=[do.count("pieces", 1), HOLD],
        response_headers=[do.count("responses", 1)],
        log=[do.count("logged", 1)],
    )
    engine = make_engine(plugins.plugin("a", text))
    for headers in ((), (("x-deny", "1"),)):
        proxy = Proxy(engine, observes=True)
        assert proxy.request_headers(*headers, end=False) == []
        assert proxy.body(b"one") == []
        assert proxy.body(b"", end=True) == []
        assert proxy.response_headers(end=True) == []
        assert not proxy.stream.is_over
        proxy.stream.close()
    counted = {m.name: m.value for m in engine.services.metrics.snapshot()}
    assert (counted["headers"], counted["pieces"], counted["logged"]) == (2, 2, 2)


def test_an_observer_keeps_nothing(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A body without end is shown piece by piece, and nothing of it stays."""
    text = adapter(request_body=[do.count("pieces", 1)], log=[])
    engine = make_engine(plugins.plugin("a", text))
    proxy = Proxy(engine, observes=True)
    proxy.request_headers(end=False)
    tracemalloc.start()
    try:
        for _ in range(40):
            proxy.body(b"x" * (1 << 16))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1 << 20
    counted = {m.name: m.value for m in engine.services.metrics.snapshot()}
    assert counted["pieces"] == 40
    ended = proxy.stream.close()
    assert ended is not None
    assert ended.decision.verdict is Verdict.ALLOW


def test_a_long_body_that_nobody_holds_back(make_engine: MakeEngine, plugins: Plugins) -> None:
    """It may be longer than what may be held back, be it in one message."""
    for mode in ("STREAMED", "BUFFERED", "FULL_DUPLEX_STREAMED"):
        proxy = Proxy(make_engine(plugins.plugin("a", adapter(request_body=[]))), mode)
        proxy.request_headers(end=False)
        assert kinds(proxy.body(b"x" * (2 << 20), end=True)) == ["request_body"]


def test_the_order_is_held_while_observing(make_engine: MakeEngine) -> None:
    """An error is told apart, since no answer is taken."""
    proxy = Proxy(make_engine(), observes=True)
    proxy.request_headers()
    assert proxy.request_headers() == []
    assert (proxy.stream.is_over, proxy.stream.error) == (True, "request_headers_out_of_order")


@pytest.mark.parametrize("data", [b"\xff", b"", b"\x12", b"\x1a\x00\x22"])
def test_what_is_no_message(make_engine: MakeEngine, data: bytes) -> None:
    """The client gets an error, whatever the filter does with gRPC statuses."""
    proxy = Proxy(make_engine())
    proxy.stream.receive(data)
    assert immediate(proxy.answers())[0] == 503
    assert proxy.stream.is_over
    assert proxy.stream.close() is None


def test_messages_out_of_order(make_engine: MakeEngine, plugins: Plugins) -> None:
    """The stream ends with an error, before and after the adapters were asked."""
    engine = make_engine(plugins.plugin("a", adapter(log=[])))
    proxy = Proxy(engine)
    reason = "response_body_without_request_headers"
    assert immediate(proxy.body(b"x", of="response")) == (503, reason)
    proxy = Proxy(engine)
    proxy.request_headers()
    assert immediate(proxy.body(b"x")) == (503, "request_body_out_of_order")
    ended = proxy.stream.close()
    assert ended is not None
    assert ended.decision.verdict is Verdict.ERROR


def test_a_body_after_its_end(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A filter that sends more than a whole body is refused."""
    text = adapter(request_body=[BUFFER], request_trailers=[], log=[])
    proxy = Proxy(make_engine(plugins.plugin("a", text)), "BUFFERED")
    proxy.request_headers(end=False)
    proxy.body(b"whole")
    assert immediate(proxy.body(b"more")) == (503, "body_after_its_end")


def test_a_mode_that_is_not_supported(make_engine: MakeEngine) -> None:
    """The client gets an error: the service would not understand the body."""
    assert immediate(Proxy(make_engine(), "GRPC").request_headers()) == (
        503,
        "body_mode_is_not_supported",
    )


def test_a_body_past_its_bound(make_engine: MakeEngine, plugins: Plugins) -> None:
    """An adapter that holds back too much ends the request, as in Envoy."""
    engine = make_engine(plugins.plugin("a", adapter(request_body=[BUFFER])))
    proxy = Proxy(engine, "STREAMED")
    proxy.request_headers(end=False)
    piece = b"x" * (1 << 18)
    for _ in range(4):
        assert kinds(proxy.body(piece)) == ["request_body"]
    assert immediate(proxy.body(piece)) == (413, "request_payload_too_large")


def test_idle_streams(make_engine: MakeEngine, plugins: Plugins) -> None:
    """One that waits for its response fails; one with nothing but its end to come just ends."""
    engine = make_engine(plugins.plugin("a", adapter(response_headers=[], log=[])))
    proxy = Proxy(engine)
    proxy.request_headers()
    proxy.stream.expire()
    assert immediate(proxy.answers()) == (503, "stream_idle_timeout")
    proxy = Proxy(engine)
    proxy.request_headers()
    proxy.response_headers(end=False)
    proxy.stream.expire()
    assert (proxy.stream.is_over, proxy.answers()) == (True, [])
    proxy = Proxy(engine, "STREAMED")
    proxy.request_headers()
    proxy.response_headers(end=False)
    proxy.stream.expire()
    assert immediate(proxy.answers())[0] == 503


@pytest.mark.parametrize("mode", ["NONE", "STREAMED", "BUFFERED", "FULL_DUPLEX_STREAMED"])
def test_a_response_without_a_request(make_engine: MakeEngine, plugins: Plugins, mode: str) -> None:
    """A filter before this one answered: nothing is changed of that, and it is logged."""
    text = adapter(
        response_headers=[do.deny(500)],
        response_body=[do.set_body("new", kind=1)],
        log=[do.where_property("response\0code_details", "other_filter", do.count("logged", 1))],
    )
    engine = make_engine(plugins.plugin("a", text))
    proxy = Proxy(engine, mode)
    told = struct_pb2.Struct()
    told.update({"response.code_details": "other_filter"})
    attributes = {"envoy.filters.http.ext_proc": told}
    (answer,) = proxy.response_headers(end=False, attributes=attributes)
    assert answer.response_headers == external_processor_pb2.HeadersResponse()
    assert not answer.HasField("dynamic_metadata")
    if mode == "FULL_DUPLEX_STREAMED":
        (answer,) = proxy.body(b"old", end=True, of="response")
        assert answer.response_body.response.body_mutation.streamed_response.body == b"old"
    else:
        assert proxy.stream.is_over
    assert proxy.stream.close() is None
    counted = {m.name: m.value for m in engine.services.metrics.snapshot()}
    assert counted["logged"] == 1
    assert (engine.decisions, engine.reports, engine.verdicts.total) == (0, 1, 0)


@pytest.mark.parametrize(
    ("headers", "attributes"),
    [
        ((("x-envoy-upstream-service-time", "1"),), {}),
        ((), {"response.code_details": "via_upstream"}),
        ((), {"upstream.address": "10.0.0.1:80"}),
    ],
)
def test_a_filter_that_is_not_sent_requests(
    make_engine: MakeEngine, headers: tuple[tuple[str, str], ...], attributes: dict[str, str]
) -> None:
    """What an upstream answered must have been asked: no request passes unseen by that."""
    told = struct_pb2.Struct()
    told.update(attributes)
    answers = Proxy(make_engine()).response_headers(*headers, attributes={"f": told})
    assert immediate(answers) == (503, "response_headers_without_request_headers")
