"""What the adapter telemetry sends to a collector, in Envoy's own filter and in the service."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from mixer.config.module import module_path
from mixer.study.client import HttpConnection, Request
from mixer.study.service import ServiceProcess
from tests.adapters.telemetering import attributes
from tests.e2e.stack import Proxy, Services, adapter, lines, processes, running_envoy, runs
from tests.e2e.test_metrics import address_of, scrape, telemetry
from tests.support.collector import Collector

pytestmark = pytest.mark.asyncio(loop_scope="module")

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
WASM = module_path("builtin://telemetry", Path())
CONFIGURATION: dict[str, Any] = {
    "istio": False,
    "tracing": {"propagation": ["W3C", "B3"], "attributes": {"user": 'request.headers["x-user"]'}},
    "logs": [
        {"name": "access", "output": "OTLP", "severity": 'response.code > 299 ? "WARN" : "INFO"',
         "fields": {"code": "response.code", "path": "request.path",
                    "odd": 'request.headers["x-odd"]'}},
        {"name": "some", "output": "OTLP", "sampling": {"percent": 50}},
    ],
    "otlp": {"cluster": "collector", "interval": "50ms", "headers": {"x-tenant": "t"}},
}  # fmt: skip
EXCHANGES: list[dict[str, str]] = [
    {"x-user": "al", "traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "a=1,b=2"},
    {"traceparent": f"00-{TRACE[::-1]}-{SPAN}-01", "tracestate": "a=1,a=2"},
    {"traceparent": f"00-{TRACE}-{SPAN}-00"},
    {"b3": f"{SPAN}-{SPAN}-1"},
    {"b3": f"{TRACE}-{SPAN}-0"},
    {"x-b3-traceid": TRACE, "x-b3-spanid": SPAN, "x-b3-flags": "1"},
    {"traceparent": "rubbish", "x-odd": "\xfc"},
    {},
    *({"traceparent": f"00-{number:032x}-{SPAN}-01"} for number in (1, 1 << 54, 1 << 55, 1 << 60)),
]  # fmt: skip
SAMPLED = len(EXCHANGES) - 2

# What a proxy over ext_proc can tell of a request.
TOLD = ("source.address", "request.protocol", "request.time")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def collector() -> AsyncIterator[Collector]:
    async with Collector() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxy(services: Services, collector: Collector, envoy: Path) -> AsyncIterator[Proxy]:
    listeners = [
        runs("inside", WASM, CONFIGURATION),
        processes("asked", attributes=TOLD),
    ]
    known = {"mixer": services.address("otlp"), "collector": collector.address}
    async with running_envoy(listeners, known) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(services: Services, collector: Collector) -> AsyncIterator[ServiceProcess]:
    clusters = [{"name": "collector", "endpoints": [collector.address], "protocol": "HTTP2"}]
    told = adapter("telemetry", "builtin://telemetry", CONFIGURATION)
    async with services.service(
        "otlp", [told], clusters=clusters, telemetry=telemetry()
    ) as running:
        yield running


def seen_span(span: Span) -> dict[str, Any]:
    """What must be the same, wherever the module runs."""
    own = attributes(span.attributes)
    for changing in ("client.address", "http.request.body.size", "http.response.body.size",
                     "server.address"):  # fmt: skip
        own.pop(changing, None)
    known = bytes.fromhex(SPAN) == span.parent_span_id
    return {
        "trace": span.trace_id.hex() if known else "new",
        "parent": span.parent_span_id.hex(),
        "state": span.trace_state,
        "name": span.name,
        "kind": span.kind,
        "flags": span.flags,
        "status": span.status.code,
        "timed": 0 < span.start_time_unix_nano <= span.end_time_unix_nano,
        **own,
    }


def seen_log(record: LogRecord) -> dict[str, Any]:
    return {
        "name": record.event_name,
        "severity": record.severity_text,
        "flags": record.flags,
        "observed": record.observed_time_unix_nano > 0,
        **attributes(record.attributes),
    }


def in_order(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(found, key=repr)


async def exchange(
    proxy: Proxy, listener: str, collector: Collector
) -> tuple[list[Span], list[LogRecord], list[dict[str, list[str]]]]:
    """Send everything; what the collector got of it, and the upstream."""
    before = len(collector.spans), len(collector.logs)
    upstream = []
    for headers in EXCHANGES:
        seen = await proxy.get(listener, "/a?b=c", *headers.items())
        assert seen.status == 200
        names = ("traceparent", "tracestate", "b3")
        upstream.append({name: lines(seen, name) for name in names})

    def enough(one: Collector) -> bool:
        accessed = sum(r.event_name == "access" for r in one.logs[before[1] :])
        return len(one.spans) - before[0] == SAMPLED and accessed == len(EXCHANGES)

    await collector.until(enough)
    return collector.spans[before[0] :], collector.logs[before[1] :], upstream


async def test_the_same_reaches_the_collector(
    proxy: Proxy, service: ServiceProcess, collector: Collector
) -> None:
    """Spans, log records and the upstream's headers are the same in both placements."""
    inside = await exchange(proxy, "inside", collector)
    asked = await exchange(proxy, "asked", collector)
    assert in_order([*map(seen_span, asked[0])]) == in_order([*map(seen_span, inside[0])])
    kept = [[seen_log(one) for one in logs if one.event_name == "access"] for _, logs, _ in
            (inside, asked)]  # fmt: skip
    assert in_order(kept[1]) == in_order(kept[0])
    for spans, logs, upstream in (inside, asked):
        told = {headers["traceparent"][0].split("-")[2] for headers in upstream}
        assert len(told) == len(EXCHANGES), "each request has a span of its own"
        assert {span.span_id.hex() for span in spans} <= told
        assert {record.span_id.hex() for record in logs} <= told
    states = [[headers["tracestate"] for headers in upstream] for _, _, upstream in (inside, asked)]
    assert states[0] == states[1]
    assert states[0][:2] == [["a=1,b=2"], []]
    # By their trace ids the same requests are logged, but for those whose traces began here.
    some = [{r.trace_id.hex() for r in logs if r.event_name == "some"} for _, logs, _ in
            (inside, asked)]  # fmt: skip
    given = {one["traceparent"][3:35] for one in EXCHANGES[-4:]}
    assert some[0] & given == some[1] & given == {f"{1:032x}", f"{1 << 54:032x}", f"{1 << 60:032x}"}


async def ask_for(service: ServiceProcess, metric: str, **labels: str) -> float:
    found = await scrape(service)
    wanted = labels.items()
    return sum(v for (n, own), v in found.items() if n == metric and wanted <= dict(own).items())


async def load(proxy: Proxy, requests: int) -> list[int]:
    """The statuses of so many requests on eight connections."""

    async def one() -> list[int]:
        async with HttpConnection(proxy.envoy.address("asked"), 30.0) as connection:
            return [
                (await connection.send(Request("GET", "/", ()))).status
                for _ in range(requests // 8)
            ]

    return [
        status for found in await asyncio.gather(*(one() for _ in range(8))) for status in found
    ]


@pytest.mark.parametrize("fault", ["killed", "silent", "rubbish"])
async def test_a_collector_that_fails(
    proxy: Proxy, service: ServiceProcess, collector: Collector, fault: str
) -> None:
    """No request is harmed while it does, and once it is back what is new arrives."""
    assert address_of(service)
    await proxy.get("asked")
    if fault == "killed":
        await collector.stop()
    elif fault == "silent":
        collector.answers.clear()
    else:
        collector.answer = b"\xff<html>"
    statuses = await load(proxy, 240)
    assert set(statuses) == {200}
    collector.answers.set()
    collector.answer = b""
    if fault == "killed":
        await collector.start()
    marked = f"{0xABC:032x}"
    await proxy.get("asked", "/", ("traceparent", f"00-{marked}-{SPAN}-01"))
    await collector.until(lambda one: any(span.trace_id.hex() == marked for span in one.spans))
    failures = await ask_for(service, "mixer_adapter_failures_total")
    assert failures == 0


async def test_another_mixer_takes_the_logs(services: Services, envoy: Path) -> None:
    """Log records of the module in Envoy are reports for a Mixer service that gets them."""
    counted = {"name": "told_total", "kind": "COUNTER",
               "dimensions": {"code": 'mixer.log.attributes["code"]',
                              "log": "mixer.log.event_name"}}  # fmt: skip
    counts = adapter("counts", "builtin://telemetry", {"metrics": [counted]})
    configuration = {"logs": CONFIGURATION["logs"][:1], "otlp": CONFIGURATION["otlp"]}
    listeners = [runs("inside", WASM, configuration)]
    known = {"collector": services.address("logs")}
    async with (
        running_envoy(listeners, known) as proxy,
        services.service("logs", [counts], telemetry=telemetry()) as service,
    ):
        for _ in range(5):
            await proxy.get("inside")
        async with asyncio.timeout(30.0):
            while await ask_for(service, "told_total", code="200", log="access") < 5:
                await proxy.get("inside")
