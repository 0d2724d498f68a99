"""What modules hand over to a stream is bounded, and what has gone on of a body is not counted."""

import pytest

from tests.engine.conftest import MakeEngine, Plugins, request
from tests.support import adapters as do
from tests.support.adapters import adapter

BOUND = 1000


@pytest.fixture(autouse=True)
def bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bound that is reached soon."""
    monkeypatch.setattr("mixer.proxywasm.http_stream.MAX_WRITTEN_BYTES", BOUND)


@pytest.mark.parametrize("of", ["request", "response"])
def test_a_body_that_is_rewritten_piece_by_piece(
    make_engine: MakeEngine, plugins: Plugins, of: str
) -> None:
    """It may be longer than what may be handed over at a time."""
    new = "x" * (BOUND // 4)
    text = adapter(**{f"{of}_body": [do.set_body(new, ["request", "response"].index(of))]})
    exchange = make_engine(plugins.plugin("a", text)).open(request())
    exchange.request_headers(end_of_stream=of == "response")
    if of == "response":
        exchange.response_headers(request().headers, end_of_stream=False)
    flow = exchange.request if of == "request" else exchange.response
    assert flow is not None
    put = exchange.request_body if of == "request" else exchange.response_body
    for _ in range(20):
        put(b"piece", end_of_stream=False)
        assert exchange.answer is None
        assert flow.take_body() == new.encode()


def test_what_stays_is_counted(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Properties that are set with each piece are not gone when the piece is."""
    steps = [do.set_body("new"), do.set_property("key", "x" * (BOUND // 4))]
    exchange = make_engine(plugins.plugin("a", adapter(request_body=steps))).open(request())
    exchange.request_headers(end_of_stream=False)
    pieces = 0
    while exchange.answer is None:
        exchange.request_body(b"piece", end_of_stream=False)
        pieces += 1
        assert pieces < 20
    assert exchange.answer.reason == "closed_the_stream"


def test_one_callback(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Within one there is no more than that."""
    steps = [do.set_body("x" * (BOUND // 4)) for _ in range(5)]
    exchange = make_engine(plugins.plugin("a", adapter(request_body=steps))).open(request())
    exchange.request_headers(end_of_stream=False)
    exchange.request_body(b"piece", end_of_stream=False)
    assert exchange.answer is not None
    assert exchange.request.take_body() == b""
