"""Adapters that fail and are passed over: of a stream nothing is lost, doubled or half changed."""

from mixer.attributes import HeaderMap
from mixer.engine import HttpExchange, Verdict
from tests.engine.conftest import MakeEngine, Plugins, request
from tests.engine.world import PAUSE, World
from tests.support import adapters as do
from tests.support.adapters import adapter

HOLDING = {"allow-on-headers-stop-iteration": "true"}
OPEN = "FAIL_OPEN"


def went_through(exchange: HttpExchange) -> tuple[bytes, bool, tuple[str, ...]]:
    """The request's body, whether that is all, and whom it was carried past."""
    body, complete = exchange.request.take_body(), exchange.request.complete
    decision = exchange.close()
    assert decision.verdict is Verdict.ALLOW
    return body, complete, decision.failed_open


def test_a_body_that_waits_behind_the_headers(make_engine: MakeEngine, plugins: Plugins) -> None:
    """It goes on once where an adapter fails with headers that came to it together with a body."""
    engine = make_engine(
        plugins.plugin("a", adapter(do.answer(1), request_body=[]), HOLDING, priority=1),
        plugins.plugin("b", adapter(do.trap, request_body=[]), failStrategy=OPEN),
    )
    exchange = engine.open(request())
    exchange.request_headers(end_of_stream=False)
    exchange.request_body(b"body", end_of_stream=True)
    assert went_through(exchange) == (b"body", True, ("b",))


def test_a_body_that_came_while_the_headers_were_held(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """It goes on once where the adapter that held the headers loses its VM meanwhile."""
    text = adapter(do.callout("auth"), PAUSE, request_body=[], http_call_response=[do.trap])
    world = World(make_engine, plugins.plugin("a", text, failStrategy=OPEN))
    exchange = world.open()
    exchange.request_headers(end_of_stream=False)
    exchange.request_body(b"one", end_of_stream=False)
    exchange.request_body(b"two", end_of_stream=True)
    world.answer()
    assert went_through(exchange) == (b"onetwo", True, ("a",))


def test_trailers_that_were_changed_by_half(make_engine: MakeEngine, plugins: Plugins) -> None:
    """They go on as they came."""
    text = adapter(
        request_body=[do.answer(1)],
        request_trailers=[do.add_to_trailers("x-half", "1"), do.trap],
    )
    exchange = make_engine(plugins.plugin("a", text, failStrategy=OPEN)).open(request())
    exchange.request_headers(end_of_stream=False)
    exchange.request_body(b"body", end_of_stream=False)
    exchange.request_trailers(HeaderMap.of(("x-t", "1")))
    assert exchange.request.trailer_changes() == ()
    assert went_through(exchange) == (b"body", True, ("a",))
