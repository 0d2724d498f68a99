"""The third example of the page of the adapter telemetry, and the metrics that it names."""

import re

from mixer.attributes import Duration
from mixer.testing import Host
from tests.adapters import readme
from tests.adapters.telemetering import TRACES, only, records, request, spans, target, told
from tests.adapters.test_telemetry_istio import HTTP, UNKNOWN


def test_the_third_example_of_the_page(proxy_wasm: Host) -> None:
    """Metrics are overridden, errors are logged, and a tenth of the rest agrees with the traces."""
    plugin = proxy_wasm.load("builtin://telemetry", readme.examples("telemetry")[2])
    for number in range(100):
        request(plugin, status=500 if number < 10 else 200, request__duration=Duration(10**6),
                request__total_size=1)  # fmt: skip
    proxy_wasm.advance(1.0)
    assert told(proxy_wasm).keys() - {"telemetry_otlp_waiting"} == {
        "istio_requests_total", "istio_request_duration_milliseconds",
    }  # fmt: skip
    labels = {name for name, _ in next(iter(told(proxy_wasm)["istio_requests_total"]))}
    assert labels == UNKNOWN.keys() - {"source_principal"} | {"request_method"}
    calls = proxy_wasm.fakes.grpc_calls
    assert {target(call) for call in calls} == {"collector"}
    logs = records(call.message for call in calls if call.method.service != TRACES)
    traced = {one.trace_id for one in spans(c.message for c in calls if c.method.service == TRACES)}
    assert sum(one.severity_text == "ERROR" for one in logs) == 10
    ordinary = {one.trace_id for one in logs if one.event_name == "access"}
    errors = {one.trace_id for one in logs if one.event_name == "errors"}
    assert ordinary == traced - errors


def test_every_metric_is_documented(proxy_wasm: Host) -> None:
    """The page names the standard metrics, their labels, and those of the way out."""
    proxy_wasm.load("builtin://telemetry", {"otlp": {"cluster": "c"}})
    request(proxy_wasm.load("builtin://telemetry"))
    names = {name.rpartition(";")[2] for name in (m.name for m in proxy_wasm.metrics.snapshot())}
    names = {name.lstrip(".") for name in names}
    page = readme.page("telemetry")
    assert names >= HTTP.keys()
    assert {name for name in names if not re.search(rf"\| {name} \|", page)} == set()
    labels, _ = only(proxy_wasm, "istio_requests_total")
    assert {name for name in labels if not re.search(rf"(?m)^\|.*\b{name}\b", page)} == set()
