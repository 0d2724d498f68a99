import json
from dataclasses import replace
from typing import Any

import pytest

from mixer.demo.comparison import Observation, Row, UpstreamView, differences, header_changes
from mixer.demo.configuration import DECISION_HEADER, DETAILS_HEADER
from mixer.demo.measurement import observe
from mixer.demo.report import document, report
from mixer.demo.scenarios import Expectation, Scenario
from mixer.study.client import Request, Response

SENT = UpstreamView("GET", "/a?key=1", (("host", "h"), ("x-api-key", "k")), "00")
SEEN = UpstreamView("GET", "/a", (("host", "h"), ("x-consumer", "robot")), "00")
ALLOWED = Observation(200, (), "", SEEN, "via_upstream", {"verdict": "allow"}, 1.5)
DENIED = Observation(
    401,
    (("www-authenticate", "Bearer"),),
    '{"error":"unauthorized"}',
    None,
    "ext_authz_denied",
    {"verdict": "deny", "adapter": "auth", "reason": "token_expired"},
    1.0,
)
EXPECT_ALLOW = Expectation(
    upstream_headers={"x-consumer": "robot", "x-api-key": None}, upstream_path="/a"
)
EXPECT_DENY = Expectation(401, "token_expired")


def proxied(asked: Observation) -> Observation:
    return replace(asked, decision=None, details=(asked.decision or {}).get("reason", ""))


def row(expected: Expectation, asked: Observation, other: Observation | None = None) -> Row:
    plain = replace(ALLOWED, upstream=SENT, decision=None)
    scenario = Scenario("a key", Request("GET", "/a"), expected)
    return Row(scenario, plain, asked, other or proxied(asked))


@pytest.mark.parametrize(
    ("expected", "asked"), [(EXPECT_ALLOW, ALLOWED), (EXPECT_DENY, DENIED)], ids=["allow", "deny"]
)
def test_what_is_expected_is_ok(expected: Expectation, asked: Observation) -> None:
    """Two placements that agree and do what they must make a good row."""
    assert row(expected, asked).ok


def test_times_may_differ() -> None:
    """How long it took does not count as a difference."""
    assert differences(DENIED, replace(proxied(DENIED), median_ms=99.0)) == []


def test_envoys_words_count_only_as_the_reason_of_a_refusal() -> None:
    """Envoy's details differ by placement, but in the proxy they carry the module's reason."""
    assert differences(ALLOWED, replace(proxied(ALLOWED), details="via_upstream")) == []
    assert differences(DENIED, replace(proxied(DENIED), details="token_issuer")) == [
        "reason: 'token_expired' asked, 'token_issuer' in the proxy"
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"status": 403},
        {"headers": ()},
        {"body": ""},
        {"upstream": SEEN},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_difference_counts(change: dict[str, Any]) -> None:
    """A client or an upstream that could tell the placements apart makes a bad row."""
    bad = row(EXPECT_DENY, DENIED, replace(proxied(DENIED), **change))
    assert bad.differences
    assert not bad.ok


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"method": "PUT"}, "upstream method: GET asked, PUT in the proxy"),
        ({"path": "/b"}, "upstream path: /a asked, /b in the proxy"),
        ({"body_sha256": "11"}, "upstream body: 00 asked, 11 in the proxy"),
        ({"headers": SEEN.headers[:1]}, "upstream headers: ['x-consumer: robot'] only asked, []"),
        ({"headers": SEEN.headers[::-1]}, "upstream headers: [] only asked, []"),
    ],
)
def test_every_difference_upstream_counts(change: dict[str, Any], text: str) -> None:
    """What reaches the upstream must be the same to the letter, in the same order."""
    other = replace(proxied(ALLOWED), upstream=replace(SEEN, **change))
    (found,) = differences(ALLOWED, other)
    assert found.startswith(text)


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        (Expectation(403, "token_expired"), "status 401, not 403"),
        (Expectation(), "verdict deny, not allow"),
        (Expectation(), "the upstream did not see it"),
        (Expectation(401, "token_issuer"), "reason token_expired, not token_issuer"),
    ],
)
def test_agreeing_on_the_wrong_thing_is_not_ok(expected: Expectation, text: str) -> None:
    """Placements that agree must still do what the scenario says."""
    bad = row(expected, DENIED)
    assert not bad.ok
    assert any(text in surprise for surprise in bad.surprises)


@pytest.mark.parametrize(
    "expected",
    [
        Expectation(upstream_headers={"x-consumer": "other"}),
        Expectation(upstream_headers={"x-consumer": None}),
        Expectation(upstream_headers={"x-email": "a"}),
        Expectation(upstream_path="/b"),
        Expectation(403, "path_forbidden"),
    ],
)
def test_what_the_upstream_saw_must_be_expected(expected: Expectation) -> None:
    """A wrong, missing or surplus header, a wrong path, or a request let through is not ok."""
    assert not row(expected, ALLOWED).ok


def test_a_service_that_did_not_answer_is_an_error() -> None:
    """503 without a decision is neither allow nor deny."""
    assert replace(DENIED, status=503, decision=None).verdict == "error"


def test_header_changes_name_what_is_new_and_what_is_gone() -> None:
    """The path counts as a header; a changed header is new and not gone."""
    added, gone = header_changes(SENT, SEEN)
    assert added == [":path: /a", "x-consumer: robot"]
    assert gone == ["x-api-key"]


def test_upstream_answer_is_taken_apart() -> None:
    """What the upstream made is no part of the compared response, except as what it saw."""
    seen = {"method": "GET", "path": "/", "headers": [["x-request-id", "1"], ["b", "2"]]}
    headers = (
        ("date", "now"),
        ("content-length", "7"),
        ("server", "envoy"),
        (DETAILS_HEADER, "via_upstream"),
        (DECISION_HEADER, '{"verdict":"allow"}'),
    )
    body = json.dumps(seen | {"body_sha256": "00"}).encode()
    observation = observe(Response(200, headers, body), 1.23456)
    assert observation.headers == (("server", "envoy"),)
    assert observation.body == ""
    assert observation.upstream == UpstreamView("GET", "/", (("b", "2"),), "00")
    assert observation.decision == {"verdict": "allow"}
    assert observation.median_ms == 1.235


def test_local_answer_is_taken_apart() -> None:
    """What a filter made is compared whole; absent metadata is no decision."""
    headers = (("content-length", "2"), (DETAILS_HEADER, "why"), (DECISION_HEADER, "-"))
    observation = observe(Response(401, headers, b"no"), 1.0)
    assert observation.headers == (("content-length", "2"),)
    assert (observation.body, observation.details) == ("no", "why")
    assert observation.upstream is None
    assert observation.decision is None


def test_document_is_json_and_says_how_it_went() -> None:
    """The machine-readable report serialises, and is ok only if each row is."""
    good, bad = row(EXPECT_DENY, DENIED), row(EXPECT_ALLOW, DENIED)
    shown = json.loads(json.dumps(document([good, bad], "1.40.0", 20)))
    assert [entry["ok"] for entry in shown["requests"]] == [True, False]
    assert shown["ok"] is False
    assert set(shown["versions"]) == {"envoy", "wasmtime", "mixer", "python"}


def text(rows: list[Row], width: int = 200) -> str:
    from rich.console import Console

    console = Console(width=width, color_system=None)
    with console.capture() as captured:
        console.print(report(rows, 20))
    return captured.get()


def test_report_concludes_plainly() -> None:
    """The last line says whether everything went as it must."""
    assert "All 2 requests (1 allowed, 1 denied)" in text(
        [row(EXPECT_DENY, DENIED), row(EXPECT_ALLOW, ALLOWED)]
    )
    shown = text([row(EXPECT_ALLOW, DENIED)])
    assert "1 of 1 requests did not go" in shown
    assert "a key: asked: verdict deny, not allow" in shown


LONG_SENT = "API key, and a wrong one after it"
LONG_SEEN = UpstreamView(
    "GET",
    "/orders?page=2&sort=%2Bdate",
    (("host", "h"), ("x-consumer", "a-consumer-with-quite-a-long-name")),
    "00",
)


def long_rows() -> list[Row]:
    decision = {"verdict": "deny", "adapter": "auth", "reason": "credential_missing"}
    denied = replace(DENIED, decision=decision, median_ms=123.4)
    rows = [row(Expectation(), replace(ALLOWED, upstream=LONG_SEEN)), row(EXPECT_DENY, denied)]
    return [replace(r, scenario=replace(r.scenario, sent=LONG_SENT)) for r in rows]


@pytest.mark.parametrize("width", [80, 120])
def test_narrow_report_has_every_word_whole(width: int) -> None:
    """Where the table does not fit, nothing is folded, cut or spread over many lines."""
    lines = [" ".join(line.split()) for line in text(long_rows(), width).splitlines()]
    start = next(number for number, line in enumerate(lines) if line.startswith("Request"))
    assert lines[start] == "Request Verdict Status Asked In proxy Same?"
    assert lines[start + 2 : start + 8] == [
        f"{LONG_SENT} allow 200 1.50 1.50 yes",
        "+ :path: /orders?page=2&sort=%2Bdate",
        "+ x-consumer: a-consumer-with-quite-a…",
        "- x-api-key",
        f"{LONG_SENT} deny 401 123.40 123.40 NO",
        "auth: credential_missing",
    ]


@pytest.mark.parametrize("width", [80, 120, 150])
def test_report_keeps_to_the_width(width: int) -> None:
    """No line of the report is wider than the console."""
    assert max(len(line) for line in text(long_rows(), width).splitlines()) <= width


def test_wide_report_has_a_column_for_each_thing() -> None:
    """With room for all columns, which is how a pipe gets it, there is one table of them."""
    assert "Decided by" in text(long_rows(), 150)
    assert "Upstream saw" in text(long_rows(), 150)
