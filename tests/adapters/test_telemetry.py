"""The adapter telemetry: metrics and log entries of requests that are over."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mixer.attributes import Duration, Timestamp, Value
from mixer.proxywasm import PluginStartError
from mixer.telemetry.naming import exposed_name
from mixer.testing import Host, LogLevel, Plugin
from tests.adapters import readme

Config = dict[str, Any]
Told = dict[tuple[str, tuple[tuple[str, str], ...]], int]


def load(host: Host, *metrics: Config, **options: Any) -> Plugin:
    return host.load("builtin://telemetry", {"metrics": list(metrics), **options})


def counter(**own: Any) -> Config:
    return {"name": "requests_total", "kind": "COUNTER", **own}


def report(plugin: Plugin, properties: Mapping[str, Value] | None = None, **headers: str) -> None:
    """Let a request be over."""
    stream = plugin.stream(properties)
    stream.request_headers({name.replace("_", "-"): text for name, text in headers.items()})
    stream.response_headers({"content-type": "text/plain"}, status=204)
    stream.close()


def told(host: Host) -> Told:
    """Values by name and labels, of a histogram the sum; but for what is still at 0."""
    found = [(exposed_name(one.name), one) for one in host.metrics.snapshot()]
    return {
        (name.prometheus or "", name.labels): one.total or one.value
        for name, one in found
        if one.value
    }


def labelled(name: str = "requests_total", **labels: str) -> tuple[str, Any]:
    return name, tuple(sorted(labels.items()))


def test_requests_by_label(proxy_wasm: Host) -> None:
    """Each combination is a series; what a request lacks is unknown."""
    dimensions = {
        "method": "request.method",
        "code": "response.code",
        "user": 'request.headers["x-user"]',
        "tail": 'request.path.endsWith("/") ? "yes" : "no"',
        "reporter": '"proxy"',
    }
    plugin = load(proxy_wasm, counter(dimensions=dimensions))
    for user in ("al", "bo", "al"):
        report(plugin, x_user=user)
    report(plugin)
    own = {"method": "GET", "code": "204", "tail": "yes", "reporter": "proxy"}
    assert told(proxy_wasm) == {
        labelled(user="al", **own): 2,
        labelled(user="bo", **own): 1,
        labelled(user="unknown", **own): 1,
    }
    assert plugin.logs == []


ATTRIBUTES: dict[str, Value] = {
    "source.ip": bytes((10, 1, 2, 3)),
    "response.code": 503,
    "connection.mtls": True,
    "response.duration": Duration(1_500_000_000),
    "context.time": Timestamp(1_700_000_000_000_000_000),
    "destination.service.host": "a.b",
    "source.labels": {"app": "web"},
    "my.number": -7,
    "my.text": "12345678",
    "my.flag": False,
    "my.ratio": 0.5,
}


@pytest.mark.parametrize(
    ("expression", "label"),
    [
        ('mixer.attribute["source.ip"]', "10.1.2.3"),
        ('mixer.attribute["response.code"]', "503"),
        ('mixer.attribute["connection.mtls"]', "true"),
        ('mixer.attribute["response.duration"]', "1.5s"),
        ('mixer.attribute["context.time"]', "2023-11-14T22:13:20Z"),
        ('mixer.attribute["destination.service.host"]', "a.b"),
        ('mixer.attribute["source.labels"]["app"]', "web"),
        ('mixer.attribute["source.labels"]["gone"]', "unknown"),
        ('mixer.attribute["source.labels"]', "unknown"),
        ('mixer.attribute["my.number"]', "-7"),
        ('mixer.attribute["my.text"]', "12345678"),
        ('mixer.attribute["my.flag"]', "false"),
        ('mixer.attribute["my.ratio"]', "0.5"),
        ("source.port", "4711"),
        ("source.port + 1", "4712"),
        ("source.port > 1", "true"),
        ("request.time", "1970-01-01T00:00:01Z"),
        ("size(request.method)", "3"),
        ("request.heders", "unknown"),
    ],
)
def test_labels_of_every_type(proxy_wasm: Host, expression: str, label: str) -> None:
    """An attribute by its path and an expression are told as the text of their value."""
    known: dict[str, Value] = {
        "mixer.attribute": ATTRIBUTES, "source.port": 4711, "request.time": Timestamp(10**9),
    }  # fmt: skip
    plugin = load(proxy_wasm, counter(dimensions={"x": expression}))
    report(plugin, known)
    assert told(proxy_wasm) == {labelled(x=label): 1}


@pytest.fixture(scope="module")
def long_lived() -> Iterator[Host]:
    with Host() as host:
        yield host


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=40) | st.text(alphabet="%;.=\\\x00\n\x7f5BFfa", max_size=12))
@example("%3B")
@example(";.;")
@example("=.=;.;x")
@example("a.")
def test_any_text_comes_back(long_lived: Host, value: str) -> None:
    """What a label has is told as it was, whatever characters it has."""
    plugin = load(long_lived, counter(dimensions={"x": 'mixer.attribute["my.text"]'}))
    before = told(long_lived).get(labelled(x=value), 0)
    report(plugin, {"mixer.attribute": {"my.text": value}})
    assert told(long_lived)[labelled(x=value)] == before + 1
    plugin.close()


def test_bytes_that_are_no_text(proxy_wasm: Host) -> None:
    """A header need not be UTF-8: such bytes are told escaped."""
    plugin = load(proxy_wasm, counter(dimensions={"x": 'request.headers["x-user"]'}))
    stream = plugin.stream()
    stream.request_headers({})
    stream.request.headers.add(b"x-user", b"a\xff\xc3")
    stream.close()
    assert told(proxy_wasm) == {labelled(x="a\\xff\\xc3"): 1}


def test_long_values_are_cut(proxy_wasm: Host) -> None:
    """A label has at most 256 bytes, and a name that is too long even so is beyond the bound."""
    many = {f"d{n}": 'request.headers["x-user"]' for n in range(20)}
    one = counter(name="one", dimensions={"x": 'request.headers["x-user"]'})
    plugin = load(proxy_wasm, one, counter(name="many", dimensions=many))
    report(plugin, x_user="a" * 10_000)
    assert told(proxy_wasm) == {
        labelled("one", x="a" * 256): 1,
        labelled("many", overflow="true"): 1,
    }


def test_there_is_a_bound_of_series(proxy_wasm: Host) -> None:
    """Beyond it everything is counted in a series of its own, and known ones go on."""
    plugin = load(proxy_wasm, counter(dimensions={"user": 'request.headers["x-user"]'}),
                  counter(name="plain"), maxSeries=3)  # fmt: skip
    for user in ("a", "b", "c", "d", "a", "e"):
        report(plugin, x_user=user)
    assert told(proxy_wasm) == {
        labelled(user="a"): 2,
        labelled(user="b"): 1,
        labelled("plain"): 6,
        labelled(overflow="true"): 3,
    }


def test_a_host_without_room_for_more(proxy_wasm: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the host takes no more metrics, be it since others fill it, nothing is lost."""
    monkeypatch.setattr("mixer.proxywasm.metrics.MAX_METRICS_PER_MODULE", 4)
    by_user = {"user": 'request.headers["x-user"]'}
    plugin = load(proxy_wasm, counter(dimensions=by_user), counter(name="plain"))
    for user in ("a", "b", "c", "d", "a"):
        report(plugin, x_user=user)
    assert told(proxy_wasm) == {
        labelled(user="a"): 2,
        labelled(user="b"): 1,
        labelled("plain"): 5,
        labelled(overflow="true"): 2,
    }


def test_a_million_values_cost_no_more(proxy_wasm: Host) -> None:
    """The memory of a module does not grow once the bound is reached."""
    plugin = load(
        proxy_wasm, counter(dimensions={"user": 'mixer.attribute["source.user"]'}), maxSeries=100
    )

    def users(first: int, last: int) -> None:
        for number in range(first, last):
            report(plugin, {"mixer.attribute": {"source.user": f"{number:0256}"}})

    users(0, 200)
    before = plugin.vm.instance.memory.size()
    users(200, 2200)
    assert plugin.vm.instance.memory.size() == before
    assert told(proxy_wasm)[labelled(overflow="true")] == 2100


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        ({"kind": "COUNTER"}, 1),
        ({"kind": "COUNTER", "value": 3}, 3),
        ({"kind": "COUNTER", "value": "-3"}, 0),
        ({"kind": "COUNTER", "value": "source.port"}, 4711),
        ({"kind": "GAUGE", "value": "source.port * 2"}, 9422),
        ({"kind": "HISTOGRAM", "value": "request.duration"}, 1500),
        ({"kind": "HISTOGRAM", "value": "request.duration + duration('1s')"}, 2500),
        ({"kind": "HISTOGRAM", "value": "1.9 + 1.0"}, 2),
    ],
)
def test_values(proxy_wasm: Host, metric: Config, value: int) -> None:
    """Whole numbers are told, and durations in milliseconds."""
    plugin = load(proxy_wasm, counter(**metric))
    report(plugin, {"source.port": 4711, "request.duration": Duration(1_500_999_000)})
    assert told(proxy_wasm).get(labelled(), 0) == value


def test_a_match(proxy_wasm: Host) -> None:
    """Only what matches counts; what is absent does not match, and what is wrong is told once."""
    plugin = load(
        proxy_wasm,
        counter(name="yes", match="response.code == 204"),
        counter(name="no", match="response.code == 200"),
        counter(name="gone", match='request.headers["gone"] == "1"'),
        counter(name="wrong", match="int(request.path) == 1"),
        counter(name="worthless", value='request.headers["gone"]'),
    )
    for _ in range(3):
        report(plugin)
    assert told(proxy_wasm) == {labelled("yes"): 3}
    left_out = "cannot be evaluated; requests for which it cannot are left out"
    assert plugin.messages() == [
        f"telemetry: metrics[3].match {left_out}", f"telemetry: metrics[4].value {left_out}",
    ]  # fmt: skip


@pytest.mark.parametrize("operation", ["check", "quota"])
def test_each_request_counts_once(proxy_wasm: Host, operation: str) -> None:
    """Who checks and reports is counted for the report alone."""
    plugin = load(proxy_wasm, counter(), logs=[{"name": "l"}])
    report(plugin, {"mixer.operation": operation})
    assert (told(proxy_wasm), plugin.logs) == ({}, [])
    report(plugin, {"mixer.operation": "report"})
    report(plugin)
    assert told(proxy_wasm) == {labelled(): 2}
    assert len(plugin.logs) == 2


FIELDS = {
    "path": "request.path",
    "code": "response.code",
    "user": 'request.headers["x-user"]',
    "took": "request.duration",
    "slow": "request.duration > duration('1s')",
}


def test_log_entries_in_json(proxy_wasm: Host) -> None:
    """Numbers and bools keep their types; what is absent is null."""
    log = {"name": "accesslog", "severity": "WARNING", "fields": FIELDS}
    plugin = load(proxy_wasm, logs=[log])
    report(plugin, {"request.duration": Duration(1_500_000_000)})
    (line,) = plugin.logs
    assert line.level is LogLevel.WARN
    assert json.loads(line.message) == {
        "instance": "accesslog", "level": "warn", "path": "/", "code": 204, "user": None,
        "took": "1.5s", "slow": True,
    }  # fmt: skip


def test_log_entries_as_text(proxy_wasm: Host) -> None:
    """A value with spaces or quotes cannot be taken for several."""
    log = {"name": "accesslog", "format": "TEXT", "fields": FIELDS,
           "severity": 'response.code < 300 ? "debug" : "error"',
           "match": "response.code < 300"}  # fmt: skip
    plugin = load(proxy_wasm, logs=[log])
    report(plugin, {"request.duration": Duration(2_000_000)}, x_user='al" code=500')
    (line,) = plugin.logs
    assert line.level is LogLevel.DEBUG
    assert line.message == (
        'accesslog code=204 path=/ slow=false took=0.002s user="al\\" code=500"'
    )


@pytest.mark.parametrize(
    ("severity", "level"), [('"nonsense"', "INFO"), ("1 / 0", "INFO"), ("CRITICAL", "CRITICAL")]
)
def test_severities(proxy_wasm: Host, severity: str, level: str) -> None:
    """What is no severity is information."""
    plugin = load(proxy_wasm, logs=[{"name": "l", "severity": severity}])
    report(plugin)
    assert [line.level for line in plugin.logs] == [LogLevel[level]]


def test_an_expression_that_is_none(proxy_wasm: Host) -> None:
    """It is refused at the start, with its place."""
    with pytest.raises(PluginStartError, match=r"metrics\[0\]\.dimensions\.x is not an expression"):
        load(proxy_wasm, counter(dimensions={"x": "1 +"}))
    with pytest.raises(PluginStartError, match=r"logs\[0\]\.fields\.x is not an expression"):
        load(proxy_wasm, logs=[{"name": "l", "fields": {"x": "1 +"}}])


def test_the_first_example_of_the_page(proxy_wasm: Host) -> None:
    """Istio's attributes become labels and milliseconds."""
    plugin = proxy_wasm.load("builtin://telemetry", readme.examples("telemetry")[0])
    attributes: dict[str, Value] = {
        "source.workload.name": "web",
        "destination.service.host": "a.b",
        "response.code": 200,
        "response.duration": Duration(12_000_000),
    }
    report(plugin, {"mixer.attribute": attributes})
    assert told(proxy_wasm) == {
        labelled(
            "istio_requests_total", source_workload="web", destination_service="a.b",
            request_protocol="unknown", response_code="200",
        ): 1,
        labelled("istio_request_duration_milliseconds", destination_service="a.b"): 12,
    }  # fmt: skip


def test_the_second_example_of_the_page(proxy_wasm: Host) -> None:
    """Health checks are left out, and errors are logged."""
    plugin = proxy_wasm.load("builtin://telemetry", readme.examples("telemetry")[1])
    for path, status in (("/healthz", 200), ("/a", 200), ("/b", 503)):
        stream = plugin.stream()
        stream.request_headers({":path": path, "x-user": "al"})
        stream.response_headers(status=status)
        stream.close()
    assert told(proxy_wasm) == {
        labelled(code="200", method="GET"): 1,
        labelled(code="503", method="GET"): 1,
    }
    assert plugin.logs == [(LogLevel.ERROR, "errors code=503 path=/b user=al")]


def test_every_field_is_documented() -> None:
    """The tables of the page have what the parser knows, and nothing else."""
    assert readme.documented("telemetry") == readme.known("telemetry")
