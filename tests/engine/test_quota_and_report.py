"""Quotas that adapters answer for, and records that they are told of."""

import time

import pytest

from mixer.api.mixer_v1 import decode_report
from mixer.attributes import HeaderMap, Value
from mixer.engine import (
    AdapterState,
    Decision,
    Engine,
    PendingDecision,
    QuotaStanding,
    Record,
    Verdict,
)
from tests.api.mixer_calls import report_bytes
from tests.engine.conftest import MakeEngine, Plugins, request
from tests.support import adapters as do
from tests.support.adapters import adapter
from tests.support.guest import bag


def _grants(amount: str) -> do.Step:
    return do.set_property("mixer\0quota\0granted", amount)


def _allocate(engine: Engine, quota: str, amount: int = 1) -> Decision:
    asked = request(attributes={"mixer.quota": {"name": quota, "amount": amount}})
    decision = engine.allocate(asked, quota)
    assert isinstance(decision, Decision)
    return decision


def test_only_those_that_serve_a_quota_are_asked(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Others are not: a denial of theirs is one of requests, and they count no request."""
    engine = make_engine(
        plugins.plugin("other", adapter(do.deny())),
        plugins.plugin("rates", adapter(_grants("5")), {"quotas": "rates, more"}),
        plugins.plugin("any", adapter(_grants("7")), {"quotas": "*"}),
    )
    assert (_allocate(engine, "rates").granted, _allocate(engine, "any").granted) == (5, 7)
    assert _allocate(engine, "rates").adapters == ("any", "rates")
    assert [a.stats.requests for a in engine.adapters] == [3, 0, 2]
    assert (engine.decisions, engine.allocations) == (0, 3)
    assert engine.allocation_verdicts.allow == 3


def test_a_grant_that_makes_no_sense(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Where one of several adapters says no amount that there is, what the others say is none."""
    engine = make_engine(
        plugins.plugin("one", adapter(_grants("-0x1")), {"quotas": "*"}),
        plugins.plugin("two", adapter(_grants("7")), {"quotas": "*"}),
    )
    assert _allocate(engine, "rates").granted is None


def _stands(**said: str) -> list[do.Step]:
    said = {"granted": "1", "limit": "9", "remaining": "5", **said}
    return [do.set_property(f"mixer\0quota\0{name}", value) for name, value in said.items()]


def test_how_a_quota_stands(make_engine: MakeEngine, plugins: Plugins) -> None:
    """It is told by the adapter that has the least left of it."""
    more = {"reset": "30", "window": "1m", "policy": "rates"}
    engine = make_engine(
        plugins.plugin("one", adapter(*_stands()), {"quotas": "*"}),
        plugins.plugin("two", adapter(*_stands(limit="7", remaining="2", **more)), {"quotas": "*"}),
        plugins.plugin("three", adapter(_grants("4")), {"quotas": "*"}),
    )
    decision = _allocate(engine, "rates")
    assert decision.granted == 1
    assert decision.quota == QuotaStanding(7, 2, 30, 60 * 10**9, "rates")


@pytest.mark.parametrize(
    ("name", "value"),
    [("limit", "-1"), ("remaining", "x"), ("reset", "1.5"), ("window", "1"), ("policy", "p" * 257)],
)
def test_a_standing_that_makes_no_sense(
    make_engine: MakeEngine, plugins: Plugins, name: str, value: str
) -> None:
    """Nothing is granted then: an adapter that says nonsense is not believed."""
    code = adapter(*_stands(**{name: value}))
    engine = make_engine(plugins.plugin("one", code, {"quotas": "*"}))
    decision = _allocate(engine, "rates")
    assert (decision.granted, decision.quota) == (None, None)
    assert engine.adapters[0].stats.failures > 0


def test_an_unknown_quota_is_not_granted(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Where no adapter serves a quota, the answer says so, with gRPC's NOT_FOUND."""
    engine = make_engine(plugins.plugin("rates", adapter(_grants("5")), {"quotas": "rates"}))
    decision = _allocate(engine, "ratez")
    assert (decision.verdict, decision.code, decision.granted) == (Verdict.ERROR, 5, None)
    assert decision.reason == "no adapter serves this quota"


def test_a_module_reads_which_quota_is_asked_for(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Name and amount are properties, and so can expressions name them."""
    code = adapter(
        do.where_property("mixer\0quota\0name", "rates", _grants("1")),
        do.where_true("mixer.quota.amount > 3", _grants("2")),
    )
    engine = make_engine(plugins.plugin("rates", code, {"quotas": "*"}))
    assert _allocate(engine, "rates").granted == 1
    assert _allocate(engine, "rates", 4).granted == 2
    assert _allocate(engine, "other").granted is None


def test_a_quota_waits_for_a_callout(make_engine: MakeEngine, plugins: Plugins) -> None:
    """An adapter may ask somebody else before it grants."""
    engine = make_engine(
        plugins.plugin("rates", adapter(do.register_queue("q"), do.answer(1)), {"quotas": "*"})
    )
    pending = engine.allocate(request(), "rates")
    assert isinstance(pending, PendingDecision)
    assert pending.give_up("too late").verdict is Verdict.ERROR


def _record(path: str = "/", **attributes: object) -> Record:
    headers = HeaderMap.of((":path", path))
    return Record(headers, bag(headers, attributes), HeaderMap.of((":status", "200")))


def test_a_record_is_logged_by_every_adapter(make_engine: MakeEngine, plugins: Plugins) -> None:
    """An adapter is told of a request that is over by on_log alone; one without is not asked."""
    logging = adapter(
        do.count("requests", 1),
        log=[do.where_property("request\0path", "/x", do.count("logged", 1))],
        delete=[do.count("deleted", 1)],
    )
    silent = adapter(context_create=[do.trap_in_a_stream])
    engine = make_engine(
        plugins.plugin("one", logging),
        plugins.plugin("two", logging),
        plugins.plugin("silent", silent),
    )
    for path in ("/x", "/y"):
        engine.report(_record(path))
    values = {m.name: m.value for m in engine.services.metrics.snapshot()}
    assert values == {"logged": 2, "deleted": 4}
    assert [a.stats.reports for a in engine.adapters] == [2, 0, 2]
    assert (engine.reports, engine.decisions) == (2, 0)


def test_an_access_logger_logs_in_its_root_context(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """As with Envoy's: it gets no context of a stream, and no request goes through it."""
    code = adapter(
        do.deny(),
        context_create=[do.trap_in_a_stream],
        log=[
            do.where_property("request\0path", "/x", do.count("x", 1)),
            do.where_property("plugin_name", "one", do.count("named", 1)),
            do.where_property("request\0path", "/trap", do.trap),
        ],
        delete=[do.trap],
    )
    engine = make_engine(
        plugins.plugin("one", code, {"access-logger": "true"}),
        plugins.plugin("two", adapter(log=[do.count("two", 1)])),
    )
    told = [engine.report(_record(path)) for path in ("/x", "/trap")]
    assert told == [(), ("one",)]
    values = {m.name: m.value for m in engine.services.metrics.snapshot()}
    assert values == {"x": 1, "named": 2, "two": 2}
    decision = engine.decide(request())
    assert isinstance(decision, Decision)
    assert (decision.verdict, decision.adapters) == (Verdict.ALLOW, ("two",))


def test_which_adapters_missed_a_record(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Those that failed are told by name, unless they may be passed over."""
    traps = adapter(log=[do.trap])
    engine = make_engine(
        plugins.plugin("closed", traps),
        plugins.plugin("open", traps, failStrategy="FAIL_OPEN"),
        plugins.plugin("works", adapter(log=[do.count("n", 1)])),
    )
    assert engine.report(_record()) == ("closed",)
    assert engine.report(_record(**{"request.path": "/"})) == ("closed",)


def test_response_attributes_of_a_record(make_engine: MakeEngine, plugins: Plugins) -> None:
    """The response's headers and what the front end knows of it can be read."""
    code = adapter(
        log=[
            do.where_property("response\0code", (200).to_bytes(8, "little"), do.count("ok", 1)),
            do.where_true("response.headers[':status'] == '200'", do.count("header", 1)),
            do.where_true("response.size == 5", do.count("size", 1)),
        ]
    )
    engine = make_engine(plugins.plugin("one", code))
    engine.report(_record(**{"response.size": 5}))
    values = {m.name: m.value for m in engine.services.metrics.snapshot()}
    assert values == {"ok": 1, "header": 1, "size": 1}


@pytest.mark.parametrize("strategy", ["FAIL_CLOSE", "FAIL_OPEN"])
def test_a_trap_costs_one_record_of_one_adapter(
    make_engine: MakeEngine, plugins: Plugins, strategy: str
) -> None:
    """The other adapters are told, and a later record finds a new VM."""
    trapping = adapter(log=[do.when(":path", do.count("t", 1)), do.when("x-trap", do.trap)])
    engine = make_engine(
        plugins.plugin("a", trapping, failStrategy=strategy),
        plugins.plugin("b", adapter(log=[do.count("b", 1)])),
    )
    bad = _record()
    bad.headers.add(b"x-trap", b"1")
    engine.report(bad)
    trapped, other = engine.adapters
    assert (trapped.stats.failures, other.stats.failures) == (1, 0)
    deadline = time.monotonic() + 10
    while trapped.state is not AdapterState.READY:  # starts may take a share of the time only
        assert time.monotonic() < deadline
        engine.report(_record())
    values = {m.name: m.value for m in engine.services.metrics.snapshot()}
    assert values["t"] == 2
    assert values["b"] == engine.reports


def test_a_record_is_for_those_whose_requests_match(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """The match of an adapter holds for records as it does for requests."""
    code = adapter(log=[do.count("seen", 1)])
    engine = make_engine(plugins.plugin("one", code, match=[{"ports": [{"number": 80}]}]))
    for port in (80, 81, 80):
        engine.report(_record(**{"destination.port": port}))
    assert engine.adapters[0].stats.reports == 2


_LONG = "9" * 5000
"""More digits than Python reads a number of."""


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("request.size", {"request.headers": {"content-length": _LONG}}),
        ("connection.id", {"connection.id": _LONG}),
        ("response.code", {"response.headers": {":status": _LONG}}),
        ("response.grpc_status", {"response.headers": {"grpc-status": _LONG}}),
        ("response.grpc_status", {"response.grpc_status": _LONG}),
    ],
)
@pytest.mark.parametrize("by", ["property", "match"])
def test_a_number_of_thousands_of_digits(
    make_engine: MakeEngine, plugins: Plugins, name: str, sent: dict[str, Value], by: str
) -> None:
    """It is no number: it ends neither the adapter's VM nor the report that it comes in."""
    reads = do.where_property(name.replace(".", "\0"), "never", do.trap)
    annotations = {"match": f"{name} == {name}"} if by == "match" else {}
    engine = make_engine(plugins.plugin("logs", adapter(log=(reads,)), annotations))
    told = decode_report(report_bytes([sent, {}]), engine.admission, "caller")
    for record in told.records():
        engine.report(record)
    (logs,) = engine.adapters
    assert (logs.state, logs.stats.reports, logs.stats.failures) == (AdapterState.READY, 2, 0)
