"""Metrics of modules: names, families, and what is not told."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mixer.config import loads
from mixer.engine import Engine
from mixer.proxywasm import BUCKETS, MetricStore, MetricType
from mixer.telemetry import OWN, Metrics, OpenMetrics
from mixer.telemetry.modules import ModuleMetrics
from mixer.telemetry.naming import exposed_name
from tests.engine.conftest import MakeEngine
from tests.telemetry.reading import open_series_of, scrape, series_of, types_of, written

COUNTER, GAUGE, HISTOGRAM = MetricType


@pytest.fixture
def engine(make_engine: MakeEngine) -> Engine:
    """An engine without adapters: tests count in their place."""
    return make_engine()


def store(engine: Engine) -> MetricStore:
    return engine.services.metrics


def put(engine: Engine, kind: MetricType, name: str, *values: int) -> None:
    metric = store(engine).define(kind, name)
    assert metric is not None
    for value in values:
        metric.record(value)


@pytest.mark.parametrize(
    ("name", "exposed", "otel", "labels"),
    [
        ("a.b-c d", "a_b_c_d", "wasmcustom.a.b-c d", ()),
        ("", "envoy_wasmcustom", "wasmcustom", ()),
        ("1st", None, "wasmcustom.1st", ()),
        ("x_rq_200", "x_rq", "wasmcustom.x_rq", (("envoy_response_code", "200"),)),
        ("x_rq_5xx", "x_rq_xx", "wasmcustom.x_rq_xx", (("envoy_response_code_class", "5"),)),
        ("x_rq_200\n", "x_rq_200_", "wasmcustom.x_rq_200\n", ()),
        ("b=.=2;.;a=.=1;.;x.y", "x_y", "wasmcustom.x.y", (("a", "1"), ("b", "2"))),
        ("a=.=;.;x_rq_200", "x_rq", "wasmcustom.x_rq", (("envoy_response_code", "200"), ("a", ""))),
        (
            "a=.=%3B.%3B %25 =.=%0A%C3%BC%FF;.;x",
            "x",
            "wasmcustom.x",
            (("a", ";.; % =.=\n\u00fc\\xff"),),
        ),
    ],
)
def test_names(
    name: str, exposed: str | None, otel: str, labels: tuple[tuple[str, str], ...]
) -> None:
    """A name is told as Envoy tells it; OpenTelemetry gets it with all of its characters."""
    found = exposed_name(name)
    assert (found.prometheus, found.otel, found.labels) == (exposed, otel, labels)


@pytest.mark.parametrize(
    "name",
    [
        "a=.=1;.;", "a;.;x", "=.=1;.;x", "a-b=.=1;.;x", "le=.=1;.;x", "__a=.=1;.;x",
        "a=.=1;.;a=.=2;.;x", "a=.=1;.;;.;x",
        "".join(f"a{n}=.=1;.;" for n in range(65)) + "x",
    ],
)  # fmt: skip
def test_what_is_not_written_as_labels_stays_in_the_name(name: str) -> None:
    """Labels that Prometheus could not read are told as Envoy tells any name."""
    found = exposed_name(name)
    assert found.labels == ()
    assert found.otel == f"wasmcustom.{name}"


def test_a_label_that_the_end_of_the_name_has_too() -> None:
    """One label cannot have two values: what was written stays in the name."""
    found = exposed_name("envoy_response_code=.=1;.;x_rq_200")
    assert found.labels == (("envoy_response_code", "200"),)
    assert found.prometheus == "envoy_response_code___1___x_rq"


def test_series_that_look_alike_are_told_once(engine: Engine) -> None:
    """Two spellings of the same labels are one series: the first one is told."""
    put(engine, COUNTER, "a=.=1;.;b=.=2;.;x", 1)
    put(engine, COUNTER, "b=.=2;.;a=.=%31;.;x", 10)
    found = scrape(engine)
    assert found["x", (("a", "1"), ("b", "2"))] == 1
    assert found["mixer_module_metrics_hidden", (("reason", "name_taken"),)] == 1


@pytest.mark.parametrize("kind", [COUNTER, HISTOGRAM])
def test_a_large_family_is_cut_into_parts(engine: Engine, kind: MetricType) -> None:
    """A family of many series is told in one go, and read and written in small steps."""
    for number in range(1000):
        put(engine, kind, f"n=.={number};.;x", number)
    metrics = Metrics(engine)
    parts = [[f for f in piece if f.name == "x"] for piece in metrics.pieces()]
    assert max(sum(len(family.samples) for family in part) for part in parts) <= 250
    text = written(metrics)
    assert text.count("# TYPE x ") == 1
    series = [key for key in scrape(engine) if key[0] == "x" or key[0] == "x_count"]
    assert len(series) == 1000


def test_what_is_moved_is_told_at_the_next_scrape(engine: Engine) -> None:
    """A scrape tells what is true then, of metrics that were defined since the last one too."""
    metrics = Metrics(engine)
    put(engine, COUNTER, "c", 2)
    assert series_of(written(metrics))["c", ()] == 2
    put(engine, COUNTER, "c", 3)
    put(engine, GAUGE, "g", 4)
    found = series_of(written(metrics))
    assert (found["c", ()], found["g", ()]) == (5, 4)


def test_labels_of_one_family_come_together(engine: Engine) -> None:
    """Response codes at the end of a name make one family, with what came between them after it."""
    put(engine, COUNTER, "x_rq_200", 1)
    put(engine, COUNTER, "between", 1)
    put(engine, COUNTER, "x_rq_404", 2)
    text = written(Metrics(engine))
    assert '# TYPE x_rq counter\nx_rq{envoy_response_code="200"} 1\nx_rq{envoy_resp' in text
    assert types_of(text)["x_rq"] == "counter"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((COUNTER, "same"), (GAUGE, "same")),
        ((COUNTER, "a.b"), (COUNTER, "a-b")),
        ((HISTOGRAM, "h"), (COUNTER, "h_count")),
        ((GAUGE, "h_bucket"), (HISTOGRAM, "h")),
        ((COUNTER, "x_rq_200"), (GAUGE, "x_rq_404")),
        ((COUNTER, "x.y_rq_200"), (COUNTER, "x-y_rq_200")),
    ],
)
def test_a_name_is_told_once(
    engine: Engine, first: tuple[MetricType, str], second: tuple[MetricType, str]
) -> None:
    """Of two metrics that Prometheus could not tell apart the first one is told, for good."""
    put(engine, *first, 1)
    before = scrape(engine)
    put(engine, *second, 1)
    after = scrape(engine)
    assert after.keys() == before.keys()
    assert after["mixer_module_metrics_hidden", (("reason", "name_taken"),)] == 1


def test_a_module_cannot_speak_for_the_service(engine: Engine) -> None:
    """The names of the service's own metrics are not for modules."""
    put(engine, COUNTER, "mixer_decisions_total", 1_000_000)
    found = scrape(engine)
    assert found["mixer_decisions_total", (("verdict", "allow"),)] == 0
    assert ("mixer_decisions_total", ()) not in found
    assert found["mixer_module_metrics_hidden", (("reason", "name_taken"),)] == 1


def test_names_that_begin_with_a_digit_are_counted(engine: Engine) -> None:
    """What is left out as in Envoy is told as a number."""
    put(engine, COUNTER, "9lives", 9)
    assert scrape(engine)["mixer_module_metrics_hidden", (("reason", "starts_with_digit"),)] == 1


def test_a_refused_definition_is_told(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the bound of the store, a metric tells how many definitions came to nothing."""
    monkeypatch.setattr("mixer.proxywasm.metrics.MAX_METRICS", 2)
    for name in ("a", "b", "c", "d"):
        store(engine).define(COUNTER, name)
    found = scrape(engine)
    assert found["mixer_module_metrics_refused_total", ()] == 2
    assert found["mixer_module_metrics_families", ()] == 2
    assert ("c", ()) not in found


def test_the_newer_format_keeps_the_name_of_a_counter(engine: Engine) -> None:
    """OpenMetrics asks for _total: a counter without it keeps its name, and is of unknown type."""
    for name in ("plain", "good_total", "taken_total", "made_total"):
        put(engine, COUNTER, name, 1)
    put(engine, GAUGE, "taken", 1)
    put(engine, GAUGE, "made_created", 1)
    metrics = Metrics(engine)
    written(metrics)
    types = types_of(written(metrics, OpenMetrics(metrics.is_taken)))
    assert types["plain"] == types["taken_total"] == "unknown"
    assert types["made_total"] == "unknown"
    assert types["good"] == "counter"
    assert {"plain", "good_total", "taken_total"} <= {name for name, _ in scrape(engine)}


def test_a_negative_sum(engine: Engine) -> None:
    """OpenMetrics has no negative sum: there it is left out, and the count with it."""
    put(engine, HISTOGRAM, "h", 2**64 - 5)
    metrics = Metrics(engine)
    assert series_of(written(metrics))["h_sum", ()] == -5
    newer = open_series_of(written(metrics, OpenMetrics(metrics.is_taken)))
    assert ("h_sum", ()) not in newer
    assert newer["h_bucket", (("le", "+Inf"),)] == 1


def test_a_scrape_is_cut_into_small_pieces(engine: Engine) -> None:
    """No step has many families or many new names, so that requests can go on between them."""
    for number in range(2000):
        put(engine, GAUGE, f"g{number}", number)
    metrics = Metrics(engine)
    sizes = [len(piece) for piece in metrics.pieces()]
    assert sum(sizes) > 2000
    assert max(sizes) <= 25
    assert sizes.count(0) >= 7
    assert 0 not in [len(piece) for piece in metrics.pieces()]


def test_definitions_during_a_scrape(engine: Engine) -> None:
    """A module may define metrics between two pieces; they come next time."""
    for number in range(100):
        put(engine, GAUGE, f"g{number}", 1)
    metrics = Metrics(engine)
    seen = []
    for number, piece in enumerate(metrics.pieces()):
        put(engine, GAUGE, f"late{number}", 1)
        list(metrics.pieces())  # another scrape takes it over
        seen += [family.name for family in piece]
    assert "late0" not in seen
    assert "g99" in seen
    assert ("late0", ()) in series_of(written(metrics))


TAGGED = st.builds(
    "{}=.={};.;{}".format,
    st.sampled_from(["a", "b", "le", "a=.=1;.;b", "envoy_response_code"]),
    st.text(max_size=8) | st.sampled_from(["%00", "%0A", "%22", "%5C", "%FF", "\\xff"]),
    st.sampled_from(["x", "h", "x_rq_200", "h_bucket"]),
)
NAMES = st.one_of(
    TAGGED,
    st.text(max_size=12),
    st.text(alphabet="ab_.-1", max_size=4),
    st.sampled_from(["h", "h_bucket", "h_count", "h_created", "x_total", "x", "x_created"]),
    st.sampled_from(["x_rq_200", "x.rq_404", "x_rq_404", "x_rq_2xx", "x_rq", "mixer_build_info"]),
)
MOVES = st.lists(
    st.tuples(st.sampled_from(list(MetricType)), NAMES, st.integers(0, 2**63 - 1)), max_size=12
)


NOTHING = loads("{apiVersion: mixer.dev/v1alpha1, kind: Mixer, metadata: {name: mixer}}")


@settings(max_examples=100, deadline=None)
@given(MOVES)
@example([(COUNTER, "x", 1), (COUNTER, "x:total", 2)])
@example([(COUNTER, "x", 1), (HISTOGRAM, "x_total", 2)])
@example([(COUNTER, ":total", 1)])
def test_whatever_modules_do_both_formats_can_be_read(
    moves: list[tuple[MetricType, str, int]],
) -> None:
    """Any names and values give text that Prometheus' own parsers take, with no series twice."""
    with Engine(NOTHING) as engine:
        for kind, name, value in moves:
            put(engine, kind, name, value)
        names = {name for name, _ in scrape(engine)}
        modules = ModuleMetrics(store(engine), (one.name for one in OWN))
        modules.take_over(100)
        told = [next(modules.parts(number)).name for number in range(len(modules))]
        assert len(set(told)) == len(told)
        assert all({name, f"{name}_bucket"} & names for name in told)


def test_buckets_are_those_of_envoy() -> None:
    """Nineteen bounds, in milliseconds if the module measures those."""
    assert (len(BUCKETS), BUCKETS[0], BUCKETS[-1]) == (19, 0.5, 3_600_000)
