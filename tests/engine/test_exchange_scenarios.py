"""The scenarios that Envoy's own filter judged, through the engine's streams."""

import logging
from collections.abc import Iterator, Sequence

import pytest

from mixer.attributes import HeaderMap
from mixer.engine import Flow, HttpExchange, Request
from mixer.proxywasm import HttpMessage
from mixer.runner import Pieces
from mixer.runner.attributes import attribute_bag
from mixer.runner.messages import TypedSource
from tests.differential.exchange import Message, Scenario, Seen, through_the_runner
from tests.differential.scripted_exchange import module_text
from tests.differential.test_responses import SCENARIOS
from tests.engine.conftest import MakeEngine, Plugins
from tests.support.adapters import adapter

_ENDINGS = {"paused_for_ever": "pause", "closed_the_stream": "reset"}
_OF_THE_LENGTH = "content-length"


def _feed(exchange: HttpExchange, what: str, pieces: Pieces) -> Iterator[None]:
    for number, piece in enumerate(pieces.body, 1):
        last = number == len(pieces.body) and pieces.trailers is None
        getattr(exchange, f"{what}_body")(piece, end_of_stream=last)
        yield
    if pieces.trailers is not None:
        getattr(exchange, f"{what}_trailers")(HeaderMap.of(*pieces.trailers))
        yield


def _seen(exchange: HttpExchange, flow: Flow | None, body: bytes) -> Seen:
    answer = exchange.answer
    if answer is not None and answer.reason in _ENDINGS:
        return Seen(_ENDINGS[answer.reason])
    if answer is not None and answer.response is not None:
        found = answer.response
        return Seen("response", found.status, _own(found.headers), found.body)
    assert flow is not None
    headers = [pair for pair in flow.message.headers.pairs() if pair[0] != b":status"]
    status = int(flow.message.headers.first(b":status") or 0)
    trailers = flow.message.trailers if flow.trailers_passed else None
    sent = [] if trailers is None else [(n.decode(), v.decode()) for n, v in trailers.pairs()]
    return Seen("response", status, _own(headers), body, sent)


def _own(headers: Sequence[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    found = ((name.decode(), value.decode()) for name, value in headers)
    left_out = ("transfer-encoding", _OF_THE_LENGTH)
    return sorted(pair for pair in found if pair[0] not in left_out)


def _headers(first: Sequence[tuple[str, str]], message: Message) -> HeaderMap:
    return HeaderMap.of(*first, *message.fields)


def _through(exchange: HttpExchange, source: TypedSource, scenario: Scenario) -> Seen:
    body, pieces = b"", scenario.request.pieces()
    exchange.request_headers(end_of_stream=not pieces.follow())
    for _ in _feed(exchange, "request", pieces):
        exchange.request.take_body()
    if exchange.answer is None:
        pieces = scenario.response.pieces()
        headers = _headers([(":status", str(scenario.response.status))], scenario.response)
        exchange.response_headers(headers, end_of_stream=not pieces.follow())
        assert exchange.response is not None
        for _ in _feed(exchange, "response", pieces):
            body += exchange.response.take_body()
    seen = _seen(exchange, exchange.response, body)
    source.finished = True
    exchange.close()
    return seen


@pytest.fixture(autouse=True)
def every_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules log here as much as they like."""
    monkeypatch.setattr("mixer.engine.guest_log.BURST", 100_000)


@pytest.mark.parametrize("others", [False, True], ids=["alone", "among-others"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(
    make_engine: MakeEngine,
    plugins: Plugins,
    caplog: pytest.LogCaptureFixture,
    name: str,
    others: bool,
) -> None:
    """What comes through is the same as in the runner, and the module logs the same."""
    scenario = SCENARIOS[name]
    options = {"cpu-limit": "5s"}
    if scenario.stop_iteration:
        options["allow-on-headers-stop-iteration"] = "true"
    text = module_text(scenario.script, scenario.abi)
    around = [plugins.plugin("a", adapter(), priority=1), plugins.plugin("z", adapter())]
    engine = make_engine(plugins.plugin("run", text, options), *(around if others else ()))
    pseudo = [(":authority", "a"), (":path", "/"), (":method", "POST"), (":scheme", "http")]
    message = HttpMessage(_headers(pseudo, scenario.request))
    source = TypedSource(message)
    caplog.set_level(logging.WARNING, "mixer.adapter")
    exchange = engine.open(Request(message.headers, attribute_bag(source)))
    source.request = exchange.request.message
    seen = _through(exchange, source, scenario)
    lines = [r.getMessage() for r in caplog.records if r.name == "mixer.adapter.run"]
    expected = through_the_runner(scenario)
    expected.headers = [pair for pair in expected.headers if pair[0] != _OF_THE_LENGTH]
    assert (seen.ending, seen.status, seen.headers, seen.body, seen.trailers) == (
        (expected.ending, expected.status, expected.headers, expected.body, expected.trailers)
    )
    assert [_without_the_hop(one) for one in lines] == [
        _without_the_hop(one) for one in expected.lines
    ]


def _without_the_hop(line: str) -> str:
    return "".join(part for part in line.split("transfer-encoding|chunked|"))
