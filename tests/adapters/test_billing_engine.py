"""The adapter billing in the engine: decisions, reports, and what is used again."""

from typing import Any

import pytest

from mixer.attributes import HeaderMap, Timestamp, Value
from mixer.engine import Decision, Engine, Record, Verdict
from tests.adapters.test_in_engine import valid
from tests.adapters.usage_queue import UsageQueue, units
from tests.engine.conftest import MakeEngine, Plugins, make_engine, plugins, request

__all__ = ["make_engine", "plugins"]

SUBJECT = 'mixer.attribute["source.user"]'
DENIES = {"rules": [{"match": f'{SUBJECT} == "mallory"', "deny": {"code": 7}}]}
AT = Timestamp(1_700_000_000_000_000_123)


def billing(plugins: Plugins, **config: Any) -> dict[str, Any]:
    own = {"subject": SUBJECT, **config}
    return plugins.document("billing", url="builtin://billing", phase="STATS", pluginConfig=own)


def policy(plugins: Plugins) -> dict[str, Any]:
    return plugins.document("policy", url="builtin://policy", phase="AUTHZ", pluginConfig=DENIES)


def known(user: str, operation: str | None = None) -> dict[str, Value]:
    asked: dict[str, Value] = {} if operation is None else {"mixer.operation": operation}
    return {"mixer.attribute": {"source.user": user}, "request.time": AT, **asked}


def decided(engine: Engine, user: str, operation: str | None = None) -> Decision:
    asked = request(("x-request-id", "r"), attributes=known(user, operation))
    decision = engine.decide(asked)
    assert isinstance(decision, Decision)
    return decision


def reported(engine: Engine, user: str) -> None:
    told = request(("x-request-id", "r"), attributes={**known(user, "report"),
                                                      "response.total_size": 500})  # fmt: skip
    engine.report(Record(told.headers, told.attributes, HeaderMap.of((":status", "200"))))


def test_each_decision_is_recorded(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Of requests alike too: what a record was made of is not decided from memory."""
    engine = make_engine(policy(plugins), billing(plugins, recordOn="request"))
    queue = UsageQueue(engine.services)
    for user in ("al", "al", "al", "mallory"):
        verdict = Verdict.DENY if user == "mallory" else Verdict.ALLOW
        assert decided(engine, user).verdict is verdict
    assert [(one.subject, units(one)) for one in queue.take()] == [("al", {"calls": 1})] * 3
    assert engine.cache.stats.hits == 0


def test_reports_are_recorded_and_checks_are_not(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A report that comes twice has one key; a check may be answered from memory."""
    engine = make_engine(policy(plugins), billing(plugins, meters=["calls", "response_bytes"]))
    queue = UsageQueue(engine.services)
    assert valid(decided(engine, "al", "check")) == (5 * 10**9, 1000), "as policy says"
    for operation in ("explain", "check", "check"):
        assert decided(engine, "al", operation).verdict is Verdict.ALLOW
    assert queue.take() == []
    assert engine.cache.stats.hits >= 1
    for _ in range(2):
        reported(engine, "al")
    first, second = queue.take()
    assert first == second
    assert units(first) == {"calls": 1, "response_bytes": 500}
    assert first.idempotency_key == f"billing/r/{int(AT)}"


@pytest.mark.parametrize("on", ["request", "log"])
def test_a_check_looks_at_nothing_of_a_record(
    make_engine: MakeEngine, plugins: Plugins, on: str
) -> None:
    """Its answer is good for a request at another time, of another id, by another user."""
    engine = make_engine(billing(plugins, recordOn=on, labels={"path": "request.path"}))
    queue = UsageQueue(engine.services)
    for at, user in enumerate(("al", "bo", "cy", "di")):
        told = {**known(user, "check"), "request.time": Timestamp(AT + at)}
        decision = engine.decide(request(("x-request-id", str(at)), attributes=told))
        assert isinstance(decision, Decision)
        assert decision.verdict is Verdict.ALLOW
    assert (engine.cache.stats.hits, queue.take()) == (2, [])


@pytest.mark.parametrize("on", ["request", "log"])
def test_without_a_ledger(make_engine: MakeEngine, plugins: Plugins, on: str) -> None:
    """Nothing passes, and the answer holds for nobody else."""
    decision = decided(make_engine(billing(plugins, recordOn=on)), "al")
    assert (decision.verdict, decision.code, valid(decision)) == (Verdict.DENY, 14, (0, 0))
    assert decision.reason == "billing_unavailable"
    assert decision.response is not None
    assert decision.response.status == 503


def test_decisions_without_reports(
    make_engine: MakeEngine, plugins: Plugins, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has once that nothing of them is recorded, unless one is told of."""
    for told in (False, True):
        engine = make_engine(billing(plugins))
        queue = UsageQueue(engine.services)
        if told:
            reported(engine, "al")
        for user in range(250):
            assert decided(engine, str(user)).verdict is Verdict.ALLOW
        said = [text for text in caplog.messages if "nobody told of the end" in text]
        assert (len(said), len(queue.take())) == ((0, 1) if told else (1, 0))
        caplog.clear()


def test_a_stream_that_is_refused(make_engine: MakeEngine, plugins: Plugins) -> None:
    """What another adapter refused before is not recorded, at the end of its stream either."""
    engine = make_engine(policy(plugins), billing(plugins))
    queue = UsageQueue(engine.services)
    for user in ("mallory", "al"):
        exchange = engine.open(request(("x-request-id", "r"), attributes=known(user)))
        exchange.request_headers(end_of_stream=True)
        if exchange.answer is None:
            exchange.response_headers(HeaderMap.of((":status", "200")), end_of_stream=True)
        exchange.close()
    assert [one.subject for one in queue.take()] == ["al"]
