"""What the service tells of itself."""

import re
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixer import shedding
from mixer.engine import AdapterState, Decision, Engine, Verdict
from mixer.proxywasm import ManualScheduler, MetricType
from mixer.shedding import Bounds, RateBound, Shedder, WaitBound
from mixer.state import StoreUnavailableError
from mixer.state.ledger import CommitLimits, GroupCommit
from mixer.state.ledger.sqlite import SqliteLedger
from mixer.telemetry import (
    OWN,
    Calls,
    HttpKind,
    OpenMetrics,
    PrometheusText,
    SpanCounts,
    negotiate,
)
from mixer.telemetry.calls import http_durations, rpc_durations
from mixer.telemetry.decision_log import DecisionLogger, Sampling, Writer
from mixer.telemetry.family import Family, Kind, Sample
from mixer.vm import wasmtime_version
from tests.engine.conftest import MakeEngine, Plugins, request
from tests.engine.test_pending import World, asking
from tests.support import adapters as do
from tests.support.adapters import adapter
from tests.support.ledger_entries import records
from tests.telemetry.reading import Series, open_series_of, scrape, series_of

PAGE = 65_536


def value(found: Series, name: str, **labels: str) -> float:
    return found[name, tuple(sorted(labels.items()))]


def ask(engine: Engine, *headers: str) -> Verdict:
    return engine.decide(request(*((name, "1") for name in headers))).verdict


def ask_until_up(engine: Engine) -> None:
    """One request that gets through: a VM that failed is not started again at once."""
    deadline = time.monotonic() + 30.0
    while ask(engine) is not Verdict.ALLOW:
        assert time.monotonic() < deadline


def test_requests_denials_and_failures(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Each adapter's counts are its own, and decisions are counted by their verdict."""
    engine = make_engine(
        plugins.plugin("first", adapter(do.when("x-deny", do.deny(403, "no")))),
        plugins.plugin("second", adapter(do.when("x-trap", do.trap))),
    )
    assert [ask(engine), ask(engine), ask(engine, "x-deny"), ask(engine, "x-trap")] == [
        Verdict.ALLOW, Verdict.ALLOW, Verdict.DENY, Verdict.ERROR
    ]  # fmt: skip
    found = scrape(engine)
    for verdict, count in (("allow", 2), ("deny", 1), ("error", 1)):
        assert value(found, "mixer_decisions_total", verdict=verdict) == count
    for name, requests, denied, failures in (("first", 4, 1, 0), ("second", 3, 0, 1)):
        assert value(found, "mixer_adapter_requests_total", adapter=name) == requests
        assert value(found, "mixer_adapter_denied_total", adapter=name) == denied
        assert value(found, "mixer_adapter_failures_total", adapter=name) == failures


def test_the_life_of_a_vm(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Starts, state and memory tell that a VM went down, and came back for the next request."""
    engine = make_engine(
        plugins.plugin("traps", adapter(do.when("x-trap", do.trap))),
        plugins.plugin("refuses", adapter(configure=[do.answer(0)]), failStrategy="FAIL_OPEN"),
        plugins.document("absent", failStrategy="FAIL_OPEN"),
    )

    def states(found: Series, name: str) -> set[str]:
        labels = {
            s: value(found, "mixer_adapter_state", adapter=name, state=s) for s in AdapterState
        }
        return {state for state, is_it in labels.items() if is_it}

    ask(engine, "x-trap")
    down = scrape(engine)
    assert states(down, "traps") == {"failed"}
    assert value(down, "mixer_adapter_memory_bytes", adapter="traps") == 0
    assert states(down, "refuses") == states(down, "absent") == {"broken"}
    ask_until_up(engine)
    up = scrape(engine)
    assert states(up, "traps") == {"ready"}
    assert value(up, "mixer_adapter_memory_bytes", adapter="traps") == PAGE
    for name, starts, failed in (("traps", 2, 0), ("refuses", 1, 1), ("absent", 0, 0)):
        assert value(up, "mixer_adapter_vm_starts_total", adapter=name) == starts
        assert value(up, "mixer_adapter_vm_failed_starts_total", adapter=name) == failed


def shedder(*, enforced: bool = True) -> Shedder:
    """One with every bound, that had to do with a check and two reports of three records."""
    made = Shedder(Bounds(enforced, 3, WaitBound(0.1, 0.1), RateBound(9, 9)), clock=lambda: 0.0)
    made.gate("front", shedding.Kind.CHECK).admit()
    reports = made.gate("other", shedding.Kind.REPORT)
    reports.admit(3), reports.admit(3)
    assert made.wait is not None
    made.wait.tell(0.25, 1.0)
    made.wait.tell(0.25, 2.0)
    return made


def test_load_shedding(make_engine: MakeEngine) -> None:
    """What was let in and refused is told by front end, kind and bound; with the latency."""
    found = scrape(make_engine(), shedder())
    front, other = {"front_end": "front", "kind": "check"}, {"front_end": "other", "kind": "report"}
    assert value(found, "mixer_load_admitted_total", **front) == 1
    assert value(found, "mixer_load_admitted_total", **other) == 1
    for name, refused in (("mixer_load_shed_total", 1), ("mixer_load_would_shed_total", 0)):
        assert value(found, name, **other, reason="concurrency") == refused
        assert value(found, name, **front, reason="concurrency") == 0
        assert value(found, name, **other, reason="rate") == 0
    assert value(found, "mixer_load_in_progress", kind="report") == 3
    assert value(found, "mixer_load_in_progress", kind="check") == 1
    assert value(found, "mixer_load_latency_microseconds") == 250_000
    assert 0 < value(found, "mixer_load_shed_percent") < 100


def test_load_shedding_that_only_logs(make_engine: MakeEngine) -> None:
    """What would have been refused is told apart, and was let in."""
    found = scrape(make_engine(), shedder(enforced=False))
    other = {"front_end": "other", "kind": "report"}
    assert value(found, "mixer_load_admitted_total", **other) == 2
    assert value(found, "mixer_load_shed_total", **other, reason="concurrency") == 0
    assert value(found, "mixer_load_would_shed_total", **other, reason="concurrency") == 1
    assert value(found, "mixer_load_in_progress", kind="report") == 6


def test_without_load_shedding(make_engine: MakeEngine) -> None:
    """Where it is off, it tells nothing."""
    assert not any(name.startswith("mixer_load_") for name, _ in scrape(make_engine()))


class Secured(NamedTuple):
    """A listener with TLS, or with a list of callers."""

    listener: str
    expires: int = 0
    is_stale: bool = False
    refused: int = 0


class Listeners:
    """Of a service."""

    certificates = (Secured("a", expires=1_800_000_000), Secured("b", is_stale=True))
    allow_lists = (Secured("a", refused=3),)


def test_who_can_reach_the_listeners(make_engine: MakeEngine) -> None:
    """When certificates end, whether new ones can be used, and calls of others."""
    found = scrape(make_engine(), access=Listeners())
    expires = "mixer_listener_certificate_expiration_seconds"
    assert value(found, expires, listener="a") == 1_800_000_000
    assert value(found, "mixer_listener_certificate_stale", listener="a") == 0
    assert value(found, "mixer_listener_certificate_stale", listener="b") == 1
    assert value(found, "mixer_listener_refused_callers_total", listener="a") == 3


def decision_log() -> DecisionLogger:
    """One that would write to a file."""
    writer = Writer("there", "file", lambda _entries: None, 1)
    sampling = Sampling(0, dict.fromkeys(Verdict, 100.0))
    return DecisionLogger(sampling, [writer.take], lambda: True, None, [writer])


def test_the_decision_log(make_engine: MakeEngine) -> None:
    """What it was told, and what of that found no room."""
    engine, log = make_engine(), decision_log()
    engine.decision_log = log
    for _ in range(3):
        log.tell("x", request(), Decision(Verdict.DENY), "")
    found = scrape(engine)
    assert value(found, "mixer_decision_log_told_total") == 3
    assert value(found, "mixer_decision_log_dropped_total", to="file") == 2
    assert value(found, "mixer_decision_log_written_total", to="file") == 0


def documented_labels() -> dict[str, set[str]]:
    """The labels in the table of the telemetry page; what they may be is told after a colon."""
    page = (Path(__file__).parents[2] / "docs" / "telemetry.md").read_text()
    prefixes = ("| `mixer_", "| `rpc_server_", "| `http_server_")
    rows = [re.split(r" ?\| ?", line) for line in page.splitlines() if line.startswith(prefixes)]
    names = {row[1].strip("`"): re.sub(": .*", "", row[4]) for row in rows}
    return {name: set(re.findall("`([a-z_]+)`", text)) for name, text in names.items()}


def told_labels(found: Series) -> dict[str, set[str]]:
    """The labels that some sample of each of the service's own metrics has."""
    histograms = {one.name for one in OWN if one.kind is Kind.HISTOGRAM}
    told: dict[str, set[str]] = {}
    for name, labels in found:
        stem = re.sub("_(bucket|count|sum)$", "", name)
        one = stem if stem in histograms else name
        told.setdefault(one, set()).update(set(dict(labels)) - {"le"})
    return told


def some_calls() -> Calls:
    """One of each kind, with all labels."""
    calls = Calls()
    calls.of("a.B/C").ended("INTERNAL", 1)
    calls.http_began("GET", "http")
    calls.http_ended(HttpKind("GET", "http", "/a", 503), 1)
    return calls


def test_what_the_ledger_does(make_engine: MakeEngine, tmp_path: Path) -> None:
    """Records that wait and that are stored, and commits."""
    engine = make_engine()
    commits = engine.commits = a_ledger(tmp_path)
    for record in records("a", "b"):
        commits.put(record)
    found = scrape(engine)
    assert value(found, "mixer_ledger_pending_records") == 2
    assert value(found, "mixer_ledger_records_total", result="stored") == 0
    assert value(found, "mixer_ledger_failing") == 0
    commits.close()
    after = scrape(engine)
    assert value(after, "mixer_ledger_records_total", result="stored") == 2
    assert value(after, "mixer_ledger_commits_total", result="ok") == 1
    assert value(after, "mixer_ledger_pending_bytes") == 0


def a_ledger(folder: Path) -> GroupCommit:
    """One that commits nothing before it is closed, which the engine does."""
    ledger = SqliteLedger(folder / "usage.db")
    return GroupCommit(ledger, CommitLimits(interval=60.0), lambda _: None)


def test_what_is_shared(make_engine: MakeEngine, plugins: Plugins, tmp_path: Path) -> None:
    """Keys, bytes and messages are told for each vm_id and queue."""
    configure = [do.register_queue("q"), do.set_shared("key", "value"), do.enqueue(1, "hello")]
    engine = make_engine(
        plugins.plugin("a", adapter(configure=configure), {"vm-id": "one"}),
        plugins.plugin("b", adapter(configure=[do.set_shared("k", "v")]), {"vm-id": "two"}),
        scheduler=ManualScheduler(),
    )
    engine.decision_log = decision_log()
    engine.commits = a_ledger(tmp_path)
    found = scrape(engine, shedder(), Listeners(), some_calls(), SpanCounts())
    assert documented_labels() == told_labels(found)
    assert value(found, "mixer_shared_data_keys", vm_id="one") == 1
    assert value(found, "mixer_shared_data_bytes", vm_id="one") == len("key" + "value")
    assert value(found, "mixer_shared_data_bytes", vm_id="two") == len("k" + "v")
    assert value(found, "mixer_shared_data_refused_total", vm_id="two") == 0
    assert value(found, "mixer_shared_queue_messages", vm_id="one", queue="q") == 1
    assert value(found, "mixer_shared_queue_bytes", vm_id="one", queue="q") == len("hello")
    assert value(found, "mixer_shared_queue_refused_total", vm_id="one", queue="q") == 0


def test_a_store_that_is_down(make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is shared is left out while its store does not answer; all else is told."""
    engine = make_engine()
    engine.services.shared_data.set("", b"k", b"v")

    def down() -> None:
        raise StoreUnavailableError("it is down")

    for store in (engine.services.shared_data, engine.services.shared_queues):
        monkeypatch.setattr(store, "usage", down)
    names = {name for name, _ in scrape(engine)}
    assert "mixer_decisions_total" in names
    assert not any(name.startswith("mixer_shared_") for name in names)


def test_queues_whose_names_are_no_text(make_engine: MakeEngine) -> None:
    """Names of any bytes are shown, and two that look alike do not spoil the whole text."""
    engine = make_engine()
    for name in (b"\xff", rb"\xff", b'a\nb"c\\'):
        engine.services.shared_queues.register("", name, lambda _queue: None)
    found = scrape(engine)
    queues = {dict(labels)["queue"] for name, labels in found if name.endswith("queue_messages")}
    assert queues == {r"\xff", 'a\nb"c\\'}


def test_lost_notifications_outlive_the_vm(
    make_engine: MakeEngine, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Messages that an adapter was not told of are counted over all of its VMs."""
    monkeypatch.setattr("mixer.proxywasm.events.MAX_WAITING", 1)
    module = adapter(
        *[do.enqueue(1, "m")] * 3,
        do.when("x-trap", do.trap),
        configure=[do.register_queue("q")],
    )
    engine = make_engine(plugins.plugin("a", module), scheduler=ManualScheduler())
    name = "mixer_adapter_lost_notifications_total"
    ask(engine)
    assert value(scrape(engine), name, adapter="a") == 2
    ask(engine, "x-trap")
    ask_until_up(engine)
    assert value(scrape(engine), name, adapter="a") == 2 + 3 + 2


def test_build(make_engine: MakeEngine) -> None:
    """The versions are labels of a constant."""
    [labels] = [dict(labels) for name, labels in scrape(make_engine()) if "build" in name]
    assert labels["wasmtime"] == wasmtime_version()
    assert labels["version"]


def test_names_follow_the_conventions() -> None:
    """Counters end in _total, sizes in their unit, and everything has a help text and a unit."""
    names = [one.name for one in OWN]
    assert len(set(names)) == len(names) == len({one.otel_name for one in OWN})
    for one in OWN:
        assert re.fullmatch("(mixer|rpc_server|http_server)_[a-z_]+", one.name)
        assert one.name.endswith("_total") == (one.kind is Kind.COUNTER)
        assert one.name.endswith("_bytes") == (one.unit == "By")
        assert one.unit
        assert one.help.endswith(".")


@given(st.text(), st.text(max_size=30))
def test_any_text_may_be_a_label_or_a_help(label: str, help_text: str) -> None:
    """Quotes, line breaks and whatever else arrive as they were."""
    samples = (Sample((("a", label),), 1), Sample((("a", label + "x"),), 2))
    family = Family("m", Kind.GAUGE, samples, "m", help_text)
    for format_, read in (
        (PrometheusText(), series_of),
        (OpenMetrics(lambda _: False), open_series_of),
    ):
        found = read(format_.write([family]) + format_.end)
        assert found == {("m", (("a", label),)): 1, ("m", (("a", label + "x"),)): 2}


@pytest.mark.parametrize(
    ("accept", "newer"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain", False),
        ("text/html,*/*;q=0.8", False),
        ("application/openmetrics-text", True),
        (
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
            True,
        ),
        ("application/openmetrics-text; q=0.3, text/plain; q=0.7", False),
        ("application/openmetrics-text;q=0", False),
        ("application/openmetrics-text;q=nonsense", False),
        ("APPLICATION/OpenMetrics-Text , */*;q=0.1", True),
        (",;,;q=,", False),
    ],
)
def test_negotiation(accept: str, newer: bool) -> None:
    """OpenMetrics goes to who prefers it, and the older format to everybody else."""
    open_metrics = OpenMetrics(lambda _: False)
    assert (negotiate(accept, open_metrics) is open_metrics) == newer


def test_decisions_that_wait(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A decision counts once it is made, by its callout's answer or because its caller gave up."""
    world = World(make_engine, plugins.plugin("waits", asking()))
    _, given_up, _ = [world.ask() for _ in range(3)]
    assert value(scrape(world.engine), "mixer_decisions_pending") == 3
    given_up.give_up("late")
    given_up.give_up("later")
    world.answer(0)
    found = scrape(world.engine)
    assert value(found, "mixer_decisions_pending") == 1
    assert value(found, "mixer_decisions_total", verdict="allow") == 1
    assert value(found, "mixer_decisions_total", verdict="error") == 1


def bins_of(found: Series, name: str, **labels: str) -> tuple[float, float]:
    """How many records a histogram has, and their sum."""
    count, total = (value(found, f"{name}_{end}", **labels) for end in ("count", "sum"))
    return count, total


def test_what_adapters_said(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Each adapter's verdicts are told, also of those that only let a request pass."""
    engine = make_engine(
        plugins.plugin("first", adapter(), priority=4),
        plugins.plugin(
            "open", adapter(do.when("x-open", do.trap)), priority=3, failStrategy="FAIL_OPEN"
        ),
        plugins.plugin("denies", adapter(do.when("x-deny", do.deny(403))), priority=2),
        plugins.plugin("traps", adapter(do.when("x-trap", do.trap)), priority=1),
    )
    for headers in (("x-none",), ("x-deny",), ("x-open", "x-trap")):
        ask(engine, *headers)
    found = scrape(engine)

    def said(name: str) -> list[float]:
        verdicts = ("allow", "deny", "error", "passed_over")
        metric = "mixer_adapter_verdicts_total"
        return [value(found, metric, adapter=name, verdict=one) for one in verdicts]

    assert said("first") == [3, 0, 0, 0]
    assert said("open") == [2, 0, 0, 1]
    assert said("denies") == [2, 1, 0, 0]
    assert said("traps") == [1, 0, 1, 0]
    traps = "mixer_adapter_traps_total"
    assert value(found, traps, adapter="traps", kind="unreachable") == 1
    assert value(found, traps, adapter="open", kind="unreachable") == 1
    assert value(found, traps, adapter="traps", kind="deadline") == 0


def test_a_callback_that_takes_too_long(make_engine: MakeEngine, plugins: Plugins) -> None:
    """The bound on processor time is a kind of its own, and the time is told."""
    annotations = {"cpu-limit": "20ms"}
    engine = make_engine(plugins.plugin("spins", adapter(do.spin), annotations=annotations))
    engine.decide(request())
    found = scrape(engine)
    assert value(found, "mixer_adapter_traps_total", adapter="spins", kind="deadline") == 1
    name = "mixer_adapter_callback_duration_seconds"
    count, total = bins_of(found, name, adapter="spins", callback="on_request_headers")
    assert count == 1
    assert total >= 0.01


def test_callbacks(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Each callback that a module has is told by itself; plugins of one VM are told apart."""
    engine = make_engine(plugins.plugin("a", adapter()), plugins.plugin("b", adapter()))
    for _ in range(3):
        engine.decide(request())
    found = scrape(engine)
    name = "mixer_adapter_callback_duration_seconds"
    told = {dict(labels)["callback"] for one, labels in found if one == f"{name}_count"}
    assert "on_request_headers" in told
    assert "on_response_headers" not in told
    for one in ("a", "b"):
        count, total = bins_of(found, name, adapter=one, callback="on_request_headers")
        assert count == 3
        assert 0 < total < 30


def test_memory_and_its_limit(make_engine: MakeEngine, plugins: Plugins) -> None:
    """How much an adapter has of what it may have."""
    text = plugins.plugin("a", adapter(), annotations={"memory-limit": "4Mi"})
    found = scrape(make_engine(text))
    assert value(found, "mixer_adapter_memory_bytes", adapter="a") == PAGE
    assert value(found, "mixer_adapter_memory_limit_bytes", adapter="a") == 4 << 20


def test_calls_are_told() -> None:
    """Calls of front ends follow OpenTelemetry's names and labels."""
    calls = some_calls()
    calls.of("a.B/C").in_progress = 2
    bins = next(iter(rpc_durations(calls)))
    assert dict(bins.labels) == {
        "rpc.system.name": "grpc",
        "rpc.method": "a.B/C",
        "rpc.response.status_code": "INTERNAL",
        "error.type": "INTERNAL",
    }
    http = next(iter(http_durations(calls)))
    assert dict(http.labels)["http.response.status_code"] == 503
    calls.of("a.B/C").ended("NOT_FOUND", 1)
    *_, last = rpc_durations(calls)
    assert "error.type" not in dict(last.labels)


def test_a_module_cannot_take_the_samples_of_a_histogram(make_engine: MakeEngine) -> None:
    """A name that would be one of the service's own is left out."""
    engine = make_engine()
    for name in ("rpc_server_call_duration_seconds_count", "mixer_rpc_in_progress"):
        engine.services.metrics.define(MetricType.COUNTER, name)
    found = scrape(engine)
    assert value(found, "mixer_module_metrics_hidden", reason="name_taken") == 2
