"""The adapter billing: tokens from the usage that responses of LLMs tell."""

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mixer.attributes import HeaderMap
from mixer.engine import Engine
from mixer.testing import Host, Outcome, Plugin
from mixer.wire.ledger_pb2 import UsageRecord
from tests.adapters import llm
from tests.adapters.usage_queue import UsageQueue, units
from tests.engine.conftest import MakeEngine, Plugins, make_engine, plugins, request

__all__ = ["make_engine", "plugins"]

TOKENS = ["input_tokens", "output_tokens", "total_tokens"]
CONFIG: dict[str, Any] = {"subject": '"acme"', "meters": ["calls", *TOKENS]}
JSON, SSE = "application/json", "text/event-stream"
UNREADABLE = "billing_tokens_unreadable_total"


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with Host() as one:
        yield one


@pytest.fixture(scope="module")
def queue(host: Host) -> UsageQueue:
    return UsageQueue(host)


@pytest.fixture(scope="module")
def plugin(host: Host, queue: UsageQueue) -> Plugin:
    return host.load("builtin://billing", CONFIG)


def answer(
    plugin: Plugin,
    pieces: list[bytes],
    content_type: str = "application/json",
    *,
    encoding: str = "identity",
    status: int = 200,
) -> tuple[bytes, bool]:
    """Let a response pass in pieces; what came through, and whether each piece did at once."""
    stream = plugin.stream()
    stream.request_headers()
    headers = {"content-type": content_type, "content-encoding": encoding}
    passed = stream.response_headers(headers, status=status, end_of_stream=not pieces)
    at_once = passed is Outcome.CONTINUE
    for number, piece in enumerate(pieces, 1):
        outcome = stream.response_body(piece, end_of_stream=number == len(pieces))
        at_once = at_once and outcome is Outcome.CONTINUE
    stream.close()
    return stream.passed_response_body, at_once


def cut(body: bytes, size: int) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body), size)]


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("name", llm.CASES)
def test_providers(plugin: Plugin, queue: UsageQueue, name: str, size: int) -> None:
    """Each one's usage is recorded however its response is cut, which passes unheld as it was."""
    content_type, body, usage = llm.CASES[name]
    assert answer(plugin, cut(body, size), content_type) == (body, True)
    assert queue.units() == [{"calls": 1, **usage}]


@pytest.mark.parametrize(
    ("content_type", "encoding", "body", "why"),
    [
        (JSON, "gzip", b"{}", "the response is compressed"),
        (JSON, "br", b"", "the response is compressed"),
        ("text/html", "", b"<p>", "the content type is neither JSON nor an event"),
        (JSON, "", b"<html>", "the response is no JSON, or not all of it came"),
        (JSON, "", b"\xff\xfe\x00", "the response is no JSON, or not all of it came"),
        (
            JSON,
            "",
            b'{"usage": {"prompt_tokens": 5}',
            "the response is no JSON, or not all of it came",
        ),
        (JSON, "", b"", "the response is no JSON, or not all of it came"),
        (JSON, "", b'{"choices": []}', "the response tells no usage"),
        (JSON, "", b'{"usage": {"prompt_tokens": -5}}', "a number of the usage is no whole number"),
        (
            JSON,
            "",
            b'{"usage": {"prompt_tokens": 1e9}}',
            "a number of the usage is no whole number",
        ),
        (
            JSON,
            "",
            b'{"usage": {"prompt_tokens": "5"}}',
            "a number of the usage is no whole number",
        ),
        (
            JSON,
            "",
            b'{"usage": {"prompt_tokens": ' + b"9" * 1_000_000 + b"}}",
            "a number of the usage",
        ),
        (SSE, "", b"data: [DONE]\n\n", "the response tells no usage"),
    ],
)
def test_what_cannot_be_read(
    proxy_wasm: Host, content_type: str, encoding: str, body: bytes, why: str
) -> None:
    """No tokens are recorded, other meters are; the log says once why, and a metric how often."""
    queue = UsageQueue(proxy_wasm)
    plugin = proxy_wasm.load("builtin://billing", CONFIG)
    for _ in range(2):
        passed = answer(plugin, [body], content_type, encoding=encoding)
        assert passed == (body, True)
    assert queue.units() == [{"calls": 1}] * 2
    (told,) = plugin.messages()
    assert told.startswith(f"billing: tokens are not recorded: {why}")
    assert told.endswith("; said once")
    assert proxy_wasm.counter(UNREADABLE) == 2


def test_an_error_has_no_tokens(proxy_wasm: Host) -> None:
    """Whatever it tells; and none are missed."""
    queue = UsageQueue(proxy_wasm)
    plugin = proxy_wasm.load("builtin://billing", {**CONFIG, "meters": TOKENS})
    body = b'{"error": {}, "usage": {"prompt_tokens": 5}}'
    answer(plugin, [body], status=429)
    assert (queue.take(), plugin.logs, proxy_wasm.counter(UNREADABLE)) == ([], [], 0)


def test_paths_of_ones_own(proxy_wasm: Host) -> None:
    """Take the place of those that are known, or make meters of their own."""
    queue = UsageQueue(proxy_wasm)
    fields = {"input_tokens": ["meta.in"], "credits": ["meta.cost.credits", "credits"]}
    config = {**CONFIG, "tokenFields": fields, "meters": ["input_tokens", "credits"]}
    plugin = proxy_wasm.load("builtin://billing", config)
    body = {"meta": {"in": 3, "cost": {"credits": 4}}, "usage": {"prompt_tokens": 9}}
    answer(plugin, [json.dumps(body).encode()])
    assert queue.units() == [{"input_tokens": 3, "credits": 4}]


def test_a_large_piece(plugin: Plugin, queue: UsageQueue) -> None:
    """It is read to its end, where the usage is."""
    body = json.dumps({"x": "a" * 300_000, "usage": {"prompt_tokens": 3}}).encode()
    assert answer(plugin, [body]) == (body, True)
    assert queue.units() == [{"calls": 1, "input_tokens": 3, "total_tokens": 3}]


def test_a_stream_without_end(proxy_wasm: Host) -> None:
    """It takes no memory, every piece passes at once, and what it told last is recorded."""
    queue = UsageQueue(proxy_wasm)
    plugin = proxy_wasm.load("builtin://billing", CONFIG)
    stream = plugin.stream()
    stream.request_headers()
    stream.response_headers({"content-type": "text/event-stream"}, end_of_stream=False)
    event = b'data: {"usage":{"prompt_tokens":%d},"x":"' + b"a" * 60_000 + b'"}\n\n'

    def more(first: int, last: int) -> None:
        for number in range(first, last):
            piece = event % number + b"data: {"
            assert stream.response_body(piece, end_of_stream=False) is Outcome.CONTINUE
            assert stream.response_body(b"}\n\n", end_of_stream=False) is Outcome.CONTINUE

    more(0, 10)
    before = plugin.vm.instance.memory.size()
    more(10, 200)
    stream.response_body(b"a" * 5_000_000, end_of_stream=False)
    assert plugin.vm.instance.memory.size() == before
    stream.close()
    assert queue.units() == [{"calls": 1, "input_tokens": 199, "total_tokens": 199}]


_number = st.integers(0, 10**9)
_usage = st.fixed_dictionaries(
    {}, optional={"prompt_tokens": _number, "completion_tokens": _number, "other": st.text()}
)
_filler = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["usage", "prompt_tokens", "a"]), inner, max_size=2)
    ),
    max_leaves=8,
)
_document = st.fixed_dictionaries(
    {}, optional={"usage": st.none() | _usage, "choices": st.lists(_filler), "x": _filler}
)


def _told(*documents: dict[str, Any]) -> dict[str, int]:
    """By meter, what the last document says that says it."""
    names = {"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens"}
    found = {
        names[name]: number
        for one in documents
        for name, number in (one.get("usage") or {}).items()
        if name in names
    }
    if found:
        found["total_tokens"] = sum(found.values())
    return {name: number for name, number in found.items() if number}


def _pieces(body: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(body), *(one % (len(body) + 1) for one in cuts)})
    return [body[a:b] for a, b in pairwise(places)]


_settings = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
_cuts = st.lists(st.integers(0, 10_000), max_size=4)


@_settings
@given(_document, _cuts, st.booleans())
def test_any_document(
    plugin: Plugin, queue: UsageQueue, document: dict[str, Any], cuts: list[int], ascii_only: bool
) -> None:
    """What Python's reader finds at the paths is recorded, wherever the body is cut."""
    body = json.dumps(document, ensure_ascii=ascii_only).encode(errors="surrogatepass")
    answer(plugin, _pieces(body, cuts))
    assert queue.units() == [{"calls": 1, **_told(document)}]


@_settings
@given(st.lists(_document, max_size=4), _cuts, st.sampled_from(["\n", "\r\n", "\r"]))
def test_any_stream(
    plugin: Plugin, queue: UsageQueue, events: list[dict[str, Any]], cuts: list[int], end: str
) -> None:
    """What the last event says counts, whatever ends its lines."""
    text = "".join(f": hi{end}data:{json.dumps(one)}{end}{end}" for one in events)
    answer(plugin, _pieces(text.encode(), cuts), "text/event-stream")
    assert queue.units() == [{"calls": 1, **_told(*events)}]


@_settings
@given(st.binary(max_size=200), _cuts, st.sampled_from(["application/json", "text/event-stream"]))
def test_any_bytes(
    plugin: Plugin, queue: UsageQueue, body: bytes, cuts: list[int], content_type: str
) -> None:
    """Nothing harms the module, and everything passes as it came."""
    assert answer(plugin, _pieces(body, cuts), content_type) == (body, True)
    assert queue.units()[0]["calls"] == 1


def through(engine: Engine, body: bytes, content_type: str, size: int) -> bytes:
    """A stream as ext_proc has it; what came through of the response's body."""
    exchange = engine.open(request(("x-request-id", "r")))
    exchange.request_headers(end_of_stream=True)
    headers = HeaderMap.of((":status", "200"), ("content-type", content_type))
    exchange.response_headers(headers, end_of_stream=False)
    assert exchange.response is not None
    passed = b""
    pieces = cut(body, size)
    for number, piece in enumerate(pieces, 1):
        exchange.response_body(piece, end_of_stream=number == len(pieces))
        at_once = exchange.response.take_body()
        assert at_once == piece
        passed += at_once
    exchange.close()
    return passed


@pytest.mark.parametrize("name", ["openai-chat-sse", "anthropic-messages-json"])
def test_in_the_engine(make_engine: MakeEngine, plugins: Plugins, name: str) -> None:
    """Response bodies of ext_proc pass the adapter unheld; the record is made at the end."""
    content_type, body, usage = llm.CASES[name]
    config = {**CONFIG, "meters": [*CONFIG["meters"], "response_bytes"]}
    engine = make_engine(
        plugins.document("billing", url="builtin://billing", phase="STATS", pluginConfig=config)
    )
    queue = UsageQueue(engine.services)
    assert through(engine, body, content_type, 64) == body
    (record,) = queue.take()
    assert isinstance(record, UsageRecord)
    told = units(record)
    assert told.pop("response_bytes") > len(body)
    assert told == {"calls": 1, **usage}
