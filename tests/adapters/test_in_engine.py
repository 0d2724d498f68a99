"""The adapters policy and telemetry in the engine."""

from typing import Any

import pytest

from mixer.attributes import HeaderMap, Value
from mixer.engine import Decision, Engine, Record, Request
from tests.engine.conftest import MakeEngine, Plugins, make_engine, plugins, request
from tests.telemetry.reading import scrape

__all__ = ["make_engine", "plugins"]

RULES = {
    "rules": [
        {
            "name": "clients",
            "match": 'mixer.attribute["source.user"] == "mallory"',
            "deny": {"code": 16, "message": "who?"},
        },
        {"name": "mistake", "match": 'int(request.headers["x-n"]) > 1', "deny": {}},
    ],
    "validDuration": "1m30s",
    "validUseCount": 7,
}
COUNTS = {
    "metrics": [
        {
            "name": "requests_total",
            "kind": "COUNTER",
            "dimensions": {
                "user": 'mixer.attribute["source.user"]',
                "code": "response.code",
                "n": 'request.headers["x-n"]',
            },
        }
    ]
}


def asked(number: str, operation: str = "check", **attributes: Value) -> Request:
    named = {name.replace("_", "."): value for name, value in attributes.items()}
    known = {"mixer.attribute": named, "mixer.operation": operation}
    return request(("x-n", number), attributes=known)


def made(engine: Engine, number: str, **attributes: Value) -> Decision:
    decision = engine.decide(asked(number, **attributes))
    assert isinstance(decision, Decision)
    return decision


def valid(decision: Decision) -> tuple[int, int]:
    assert decision.validity is not None
    return decision.validity.duration, decision.validity.use_count


@pytest.fixture
def documents(plugins: Plugins) -> list[dict[str, Any]]:
    return [
        plugins.document("policy", url="builtin://policy", pluginConfig=RULES),
        plugins.document("telemetry", url="builtin://telemetry", pluginConfig=COUNTS),
    ]


def test_decisions_of_policy(make_engine: MakeEngine, documents: list[dict[str, Any]]) -> None:
    """The engine has the code, the validity, the reason and the message."""
    engine = make_engine(documents[0])
    allowed = made(engine, "1")
    denied = made(engine, "1", source_user="mallory")
    broken = made(engine, "x")
    assert (allowed.verdict, allowed.code, valid(allowed)) == ("allow", None, (90 * 10**9, 7))
    assert (denied.verdict, denied.code, valid(denied)) == ("deny", 16, (90 * 10**9, 7))
    assert (broken.verdict, broken.code, valid(broken)) == ("deny", 13, (0, 0))
    assert [one.reason for one in (denied, broken)] == [
        "denied_by_clients", "not_evaluated_in_mistake",
    ]  # fmt: skip
    answers = [one.response for one in (denied, broken) if one.response is not None]
    assert [(one.status, one.body) for one in answers] == [
        (401, b"who?"), (503, b"mistake: rules[1].match cannot be evaluated"),
    ]  # fmt: skip


def test_reports_are_counted_and_checks_are_not(
    make_engine: MakeEngine, documents: list[dict[str, Any]]
) -> None:
    """A request that is checked and reported is counted once, with labels in the scrape."""
    engine = make_engine(*documents)
    for user in ("al", "al", "bo"):
        engine.decide(asked("1", source_user=user))
        reported = asked("1", "report", source_user=user)
        response = HeaderMap.of((":status", "200"))
        engine.report(Record(reported.headers, reported.attributes, response))
    found = {key: n for key, n in scrape(engine).items() if key[0] == "requests_total" and n}
    assert found == {
        ("requests_total", (("code", "200"), ("n", "1"), ("user", "al"))): 2,
        ("requests_total", (("code", "200"), ("n", "1"), ("user", "bo"))): 1,
    }


def test_who_only_counts_keeps_no_answer_from_being_kept(
    make_engine: MakeEngine, documents: list[dict[str, Any]]
) -> None:
    """What the others decide is used again; alone it says what a Mixer says where nobody does."""
    engine = make_engine(*documents)
    assert valid(made(engine, "1")) == (60 * 10**9, 7)
    made(engine, "1")
    assert engine.cache.in_use
    made(engine, "1")
    assert engine.cache.stats.hits >= 1
    alone = make_engine(documents[1])
    assert valid(made(alone, "1")) == (60 * 10**9, 10_000)


def test_decisions_alone_are_not_counted(
    make_engine: MakeEngine, documents: list[dict[str, Any]]
) -> None:
    """Behind ext_authz, where nothing is reported, there is nothing to count."""
    engine = make_engine(documents[1])
    assert isinstance(engine.decide(request(("x-n", "1"))), Decision)
    assert not [n for key, n in scrape(engine).items() if key[0] == "requests_total" and n]
