"""Metrics sent by OTLP, to a receiver that speaks it."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures

import grpc
import pytest
from opentelemetry.exporter.otlp.proto.grpc import exporter
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as messages
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as services
from opentelemetry.proto.metrics.v1 import metrics_pb2

from mixer.config import Otlp
from mixer.engine import Engine
from mixer.proxywasm import BUCKETS, MetricType
from mixer.telemetry import Calls, HttpKind, Metrics
from mixer.transport.metrics_push import PushSettings, push_settings
from mixer.transport.otlp import OtlpPush
from tests.engine.conftest import MakeEngine, Plugins, request
from tests.support.adapters import adapter

COUNTER, GAUGE, HISTOGRAM = MetricType
OFTEN_S = 0.05
CUMULATIVE = metrics_pb2.AGGREGATION_TEMPORALITY_CUMULATIVE


class Receiver(services.MetricsServiceServicer):
    """Keeps what it gets; while it is held, it answers nobody."""

    def __init__(self, port: int = 0) -> None:
        self.received: list[messages.ExportMetricsServiceRequest] = []
        self.metadata: dict[str, str] = {}
        self.answers = threading.Event()
        self.answers.set()
        self.server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
        services.add_MetricsServiceServicer_to_server(self, self.server)
        self.port = self.server.add_insecure_port(f"127.0.0.1:{port}")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def Export(  # noqa: N802
        self, request: messages.ExportMetricsServiceRequest, context: grpc.ServicerContext
    ) -> messages.ExportMetricsServiceResponse:
        self.metadata = {key: str(value) for key, value in context.invocation_metadata()}
        self.received.append(request)
        self.answers.wait(30.0)
        return messages.ExportMetricsServiceResponse()

    def metrics(self) -> dict[str, metrics_pb2.Metric]:
        """What it was told last, by name."""
        return {
            metric.name: metric
            for message in list(self.received)
            for of_resource in message.resource_metrics
            for of_scope in of_resource.scope_metrics
            for metric in of_scope.metrics
        }

    def resource(self) -> dict[str, str]:
        """Whom it was told about last."""
        attributes = self.received[-1].resource_metrics[0].resource.attributes
        return {one.key: one.value.string_value for one in attributes}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that is running."""
    running = Receiver()
    running.server.start()
    yield running
    running.answers.set()
    running.server.stop(None).wait()


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of OpenTelemetry's is set."""
    for name in ("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_SDK_DISABLED"):
        monkeypatch.delenv(name, raising=False)


def often(receiver: Receiver, **attributes: str) -> PushSettings:
    return PushSettings(receiver.url, OFTEN_S, 10.0, attributes)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30.0):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)


def put(engine: Engine, kind: MetricType, name: str, *values: int) -> None:
    metric = engine.services.metrics.define(kind, name)
    assert metric is not None
    for value in values:
        metric.record(value)


def attributes(point: metrics_pb2.NumberDataPoint) -> dict[str, str]:
    return {one.key: one.value.string_value for one in point.attributes}


async def test_what_is_sent(receiver: Receiver, make_engine: MakeEngine, plugins: Plugins) -> None:
    """Counters are monotonic sums, histograms have their buckets, and all of it is cumulative."""
    began = time.time_ns()
    engine = make_engine(plugins.plugin("one", adapter()))
    engine.decide(request())
    put(engine, COUNTER, "with space", 3)
    put(engine, COUNTER, "x_rq_503", 2**64 - 1)
    put(engine, GAUGE, "below", 2**64 - 5)
    put(engine, HISTOGRAM, "h", 7, 7, 10**12)
    async with OtlpPush(Metrics(engine), often(receiver)):
        await until(lambda: "wasmcustom.h" in receiver.metrics())
    told = receiver.metrics()

    counter = told["wasmcustom.with space"].sum
    assert (counter.is_monotonic, counter.aggregation_temporality) == (True, CUMULATIVE)
    [point] = counter.data_points
    assert point.as_int == 3
    assert began < point.start_time_unix_nano < point.time_unix_nano < time.time_ns()

    [point] = told["wasmcustom.x_rq"].sum.data_points
    assert (point.as_double, attributes(point)) == (2.0**64, {"envoy_response_code": "503"})
    [point] = told["wasmcustom.below"].gauge.data_points
    assert point.as_int == -5

    histogram = told["wasmcustom.h"].histogram
    [bins] = histogram.data_points
    assert histogram.aggregation_temporality == CUMULATIVE
    assert (bins.count, bins.sum, bins.HasField("min")) == (3, 14 + 10**12, False)
    assert tuple(bins.explicit_bounds) == BUCKETS
    assert {n: count for n, count in enumerate(bins.bucket_counts) if count} == {3: 2, 19: 1}

    [point] = told["mixer.adapter.requests"].sum.data_points
    assert (point.as_int, attributes(point)) == (1, {"adapter": "one"})
    [point] = told["mixer.adapter.memory"].gauge.data_points
    assert (point.as_int, told["mixer.adapter.memory"].unit) == (65_536, "By")
    assert told["mixer.adapter.memory"].description.startswith("Bytes of linear memory")


async def test_values_are_sent_time_and_again(receiver: Receiver, make_engine: MakeEngine) -> None:
    """What changes is sent the next time, metrics that are defined meanwhile too."""
    engine = make_engine()

    def sent(name: str) -> int:
        metric = receiver.metrics().get(name)
        return metric.sum.data_points[0].as_int if metric else 0

    async with OtlpPush(Metrics(engine), often(receiver)):
        for count in (1, 2, 3):
            put(engine, COUNTER, "c", 1)
            await until(lambda count=count: sent("wasmcustom.c") == count)
        put(engine, COUNTER, "late", 1)
        await until(lambda: sent("wasmcustom.late") == 1)


async def test_the_end_is_sent(receiver: Receiver, make_engine: MakeEngine) -> None:
    """What was counted since the last time is sent when the service ends."""
    engine = make_engine()
    async with OtlpPush(Metrics(engine), PushSettings(receiver.url, 3600.0, 10.0, {})):
        put(engine, COUNTER, "c", 5)
        assert not receiver.received
    assert receiver.metrics()["wasmcustom.c"].sum.data_points[0].as_int == 5


async def test_very_many_are_sent_in_several_messages(
    receiver: Receiver, make_engine: MakeEngine
) -> None:
    """No message is larger than what receivers take, whatever modules define."""
    engine = make_engine()
    for number in range(2000):
        put(engine, HISTOGRAM, f"h{number}" + "n" * 4000, number)

    def all_are_there() -> bool:
        return sum(name.startswith("wasmcustom.h") for name in receiver.metrics()) == 2000

    async with OtlpPush(Metrics(engine), often(receiver)):
        await until(all_are_there)
    assert max(message.ByteSize() for message in receiver.received) < 4 << 20


async def test_the_resource(
    receiver: Receiver, make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service is named; the environment may name it otherwise, and the configuration too.

    A process is one instance, whatever it sends.
    """
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-token=secret")
    engine = make_engine()

    async def told(**attributes: str) -> dict[str, str]:
        async with OtlpPush(Metrics(engine), often(receiver, **attributes)):
            pass
        return receiver.resource()

    default = await told()
    assert default["service.name"] == "mixer"
    assert default["service.version"]
    assert receiver.metadata["x-token"] == "secret"
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=gate,zone=a")
    named = await told(zone="b")
    assert (named["service.name"], named["zone"]) == ("gate", "b")
    assert named["service.instance.id"] == default["service.instance.id"]


async def test_a_receiver_that_does_not_answer(receiver: Receiver, make_engine: MakeEngine) -> None:
    """The loop goes on meanwhile, and the end waits for a moment only."""
    receiver.answers.clear()
    engine = make_engine()
    async with OtlpPush(Metrics(engine), often(receiver)):
        await until(lambda: len(receiver.received) == 1)
        before = time.monotonic()
    assert time.monotonic() - before < 8.0


@pytest.fixture
def every_failure_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exporter otherwise logs one failure in twenty seconds, whichever test it is in."""
    monkeypatch.setattr(logging.getLogger(exporter.__name__), "filters", [])


@pytest.mark.usefixtures("every_failure_is_logged")
async def test_a_receiver_that_is_down(
    make_engine: MakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    """That is logged once, without ending anything."""
    settings = PushSettings("http://127.0.0.1:1", OFTEN_S, 0.2, {})
    async with OtlpPush(Metrics(make_engine()), settings) as push:
        for _ in range(2):
            await push._send()
    assert caplog.text.count("OTLP at http://127.0.0.1:1 takes no metrics") == 1
    assert "Failed to export" not in caplog.text


ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


def test_off_by_default() -> None:
    """Without configuration and environment nothing is sent."""
    assert push_settings(None, {}) is None
    assert push_settings(None, {"OTEL_SERVICE_NAME": "a", ENDPOINT: ""}) is None


@pytest.mark.parametrize(
    ("environ", "interval"),
    [
        ({ENDPOINT: "http://a:1"}, 60.0),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://a:1"}, 60.0),
        ({ENDPOINT: "http://a:1", "OTEL_METRIC_EXPORT_INTERVAL": "15000"}, 15.0),
        ({ENDPOINT: "http://a:1", "OTEL_METRIC_EXPORT_INTERVAL": "1"}, 1.0),
        ({ENDPOINT: "http://a:1", "OTEL_METRIC_EXPORT_INTERVAL": "nan"}, 1.0),
        ({ENDPOINT: "http://a:1", "OTEL_METRIC_EXPORT_INTERVAL": "inf"}, 3600.0),
        ({ENDPOINT: "http://a:1", "OTEL_METRIC_EXPORT_INTERVAL": "soon"}, 60.0),
        ({ENDPOINT: "http://a:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, 60.0),
        ({ENDPOINT: "http://a:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, None),
        ({ENDPOINT: "http://a:1", "OTEL_METRICS_EXPORTER": "none"}, None),
        ({ENDPOINT: "http://a:1", "OTEL_SDK_DISABLED": "TRUE"}, None),
    ],
)
def test_the_environment(environ: dict[str, str], interval: float | None) -> None:
    """OpenTelemetry's own variables are enough to have metrics sent."""
    found = push_settings(None, environ)
    expected = None if interval is None else PushSettings(None, interval, None, {})
    assert found == expected


def test_the_configuration_goes_first() -> None:
    """What is configured is not changed by the environment, which can only end it all."""
    otlp = Otlp.model_validate({"endpoint": "http://b:2", "interval": "5s", "timeout": "1s"})
    environ = {ENDPOINT: "http://a:1", "OTEL_METRIC_EXPORT_INTERVAL": "15000"}
    assert push_settings(otlp, environ) == PushSettings("http://b:2", 5.0, 1.0, {})
    assert push_settings(otlp, {"OTEL_SDK_DISABLED": "true"}) is None


@pytest.mark.usefixtures("every_failure_is_logged")
async def test_a_receiver_that_is_killed_and_started_again(make_engine: MakeEngine) -> None:
    """Metrics are sent again once it is back; what was counted meanwhile is in them."""
    engine = make_engine()
    first = Receiver()
    first.server.start()
    settings = PushSettings(first.url, OFTEN_S, 0.3, {})
    async with OtlpPush(Metrics(engine), settings) as push:
        put(engine, COUNTER, "c", 1)
        await until(lambda: "wasmcustom.c" in first.metrics())
        first.server.stop(None).wait()
        put(engine, COUNTER, "c", 1)
        await until(lambda: push._is_down)
        second = Receiver(first.port)
        second.server.start()
        await until(lambda: "wasmcustom.c" in second.metrics())
    assert second.metrics()["wasmcustom.c"].sum.data_points[0].as_int == 2
    second.server.stop(None).wait()


async def test_a_defect_of_our_own(
    receiver: Receiver,
    make_engine: MakeEngine,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What cannot even be written at the end is logged: it must not make the service's end fail."""
    monkeypatch.setattr("mixer.transport.otlp.metrics_of", None)
    async with OtlpPush(Metrics(make_engine()), PushSettings(receiver.url, 3600.0, 10.0, {})):
        pass
    assert "metrics could not be sent" in caplog.text


async def test_calls_by_the_conventions(receiver: Receiver, make_engine: MakeEngine) -> None:
    """Names, units and attributes are OpenTelemetry's; a status of HTTP is a number."""
    calls = Calls()
    calls.of("a.B/C").ended("OK", 100_000)
    calls.http_began("GET", "http")
    calls.http_ended(HttpKind("GET", "http", "/a", 200), 1)
    async with OtlpPush(Metrics(make_engine(), calls=calls), often(receiver)):
        await until(lambda: "http.server.request.duration" in receiver.metrics())
    told = receiver.metrics()
    rpc = told["rpc.server.call.duration"]
    [point] = rpc.histogram.data_points
    assert (rpc.unit, point.count, point.sum) == ("s", 1, 0.0001)
    assert point.explicit_bounds[0] == 2**16 / 1e9
    assert sum(point.bucket_counts[:2]) == 1
    [point] = told["http.server.request.duration"].histogram.data_points
    status = next(one for one in point.attributes if one.key == "http.response.status_code")
    assert status.value.int_value == 200
