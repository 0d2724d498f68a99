"""Istio's standard metrics of the adapter telemetry."""

from typing import Any

import pytest

from mixer.attributes import Duration, Value
from mixer.testing import Host, Plugin
from tests.adapters.telemetering import count, load, only, record, request, told

MIXER: dict[str, Value] = {
    "mixer.operation": "report",
    "response.code": 503,
    "request.duration": Duration(12_500_000),
    "request.total_size": 100,
    "response.total_size": 2000,
    "connection.mtls": True,
    "source.principal": "spiffe://td/ns/shop/sa/web",
    "destination.principal": "spiffe://td/ns/shop/sa/cart",
    "mixer.attribute": {
        "context.reporter.kind": "inbound",
        "context.protocol": "http",
        "context.proxy_error_code": "UF",
        "source.workload.name": "web-v1",
        "source.workload.namespace": "shop",
        "source.labels": {"app": "web", "version": "v1"},
        "destination.workload.name": "cart-v2",
        "destination.workload.namespace": "shop",
        "destination.labels": {
            "app": "cart",
            "version": "v2",
            "service.istio.io/canonical-name": "carts",
            "service.istio.io/canonical-revision": "two",
        },
        "destination.service.host": "cart.shop.svc.cluster.local",
        "destination.service.name": "cart",
        "destination.service.namespace": "shop",
    },
}
OF_MIXER = {
    "reporter": "destination",
    "source_workload": "web-v1",
    "source_workload_namespace": "shop",
    "source_principal": "spiffe://td/ns/shop/sa/web",
    "source_app": "web",
    "source_version": "v1",
    "source_cluster": "unknown",
    "source_canonical_service": "web",
    "source_canonical_revision": "v1",
    "destination_workload": "cart-v2",
    "destination_workload_namespace": "shop",
    "destination_principal": "spiffe://td/ns/shop/sa/cart",
    "destination_app": "cart",
    "destination_version": "v2",
    "destination_cluster": "unknown",
    "destination_service": "cart.shop.svc.cluster.local",
    "destination_service_name": "cart",
    "destination_service_namespace": "shop",
    "destination_canonical_service": "carts",
    "destination_canonical_revision": "two",
    "request_protocol": "http",
    "response_code": "503",
    "response_flags": "UF",
    "grpc_response_status": "",
    "connection_security_policy": "mutual_tls",
}
HTTP = {
    "istio_requests_total": 1,
    "istio_request_duration_milliseconds": 12,
    "istio_request_bytes": 100,
    "istio_response_bytes": 2000,
}
UNKNOWN = dict.fromkeys(OF_MIXER, "unknown") | {"grpc_response_status": "", "response_flags": "-"}


@pytest.mark.parametrize("configuration", [b"", {}, {"istio": True}, {"istio": {}}])
def test_a_report_of_mixer(proxy_wasm: Host, configuration: Any) -> None:
    """Without any configuration there are Istio's metrics, with the labels of its documentation."""
    plugin = proxy_wasm.load("builtin://telemetry", configuration)
    record(plugin, MIXER)
    assert {name: only(proxy_wasm, name) for name in told(proxy_wasm)} == {
        name: (OF_MIXER, value) for name, value in HTTP.items()
    }
    assert plugin.logs == []


def test_a_request_in_a_proxy(proxy_wasm: Host) -> None:
    """Where nobody tells workloads, the proxy's own node does for its side; the rest is unknown."""
    plugin = load(proxy_wasm)
    known: dict[str, Value] = {
        "xds.listener_direction": 1,
        "xds.node": {
            "metadata": {
                "WORKLOAD_NAME": "cart", "NAMESPACE": "shop", "CLUSTER_ID": "east",
                "LABELS": {"app": "carts", "version": "v3"},
            }
        },
        "xds.cluster_name": "inbound|8080||",
        "connection.mtls": False,
        "response.flags": 1 << 5 | 1 << 15,
        "response.grpc_status": 5,
    }  # fmt: skip
    stream = plugin.stream(known)
    stream.request_headers({"content-type": "application/grpc"})
    stream.response_headers(status=200)
    stream.close()
    labels, _ = only(proxy_wasm, "istio_requests_total")
    assert labels == UNKNOWN | {
        "reporter": "destination",
        "destination_workload": "cart",
        "destination_workload_namespace": "shop",
        "destination_app": "carts",
        "destination_version": "v3",
        "destination_cluster": "east",
        "destination_canonical_service": "carts",
        "destination_canonical_revision": "v3",
        "request_protocol": "grpc",
        "grpc_response_status": "5",
        "connection_security_policy": "none",
        "response_flags": "UF,URX",
        "response_code": "200",
    }


def test_a_client_side(proxy_wasm: Host) -> None:
    """The cluster's name tells the service, and only the server's side tells what TLS there was."""
    plugin = load(proxy_wasm, istio={"reporter": "SOURCE"})
    request(plugin, xds__cluster_name="outbound|80||cart.shop.svc.cluster.local",
            connection__mtls=True)  # fmt: skip
    labels, _ = only(proxy_wasm, "istio_requests_total")
    assert {name: text for name, text in labels.items() if text != UNKNOWN[name]} == {
        "reporter": "source",
        "destination_service": "cart.shop.svc.cluster.local",
        "destination_service_name": "cart",
        "destination_service_namespace": "shop",
        "request_protocol": "http",
        "response_code": "200",
    }


def test_a_request_without_a_response(proxy_wasm: Host) -> None:
    """Where the client is gone before there is a code, it is 0, as Istio's proxies tell it."""
    stream = load(proxy_wasm).stream({"response.flags": 1 << 14})
    stream.request_headers({})
    stream.close()
    labels, value = only(proxy_wasm, "istio_requests_total")
    assert (labels["response_code"], labels["response_flags"], value) == ("0", "DC", 1)


@pytest.mark.parametrize(
    ("event", "opened", "closed"), [("open", 1, 0), ("continue", 0, 0), ("close", 0, 1)]
)
def test_connections_of_mixer(proxy_wasm: Host, event: str, opened: int, closed: int) -> None:
    """A connection is counted where it opens and closes, and its bytes each time."""
    attributes: dict[str, Value] = {
        "context.protocol": "tcp", "context.reporter.kind": "outbound", "connection.event": event,
        "connection.sent.bytes": 7, "connection.received.bytes": 8,
    }  # fmt: skip
    record(load(proxy_wasm), {"mixer.attribute": attributes})
    expected = {
        "istio_tcp_connections_opened_total": opened, "istio_tcp_sent_bytes_total": 7,
        "istio_tcp_connections_closed_total": closed, "istio_tcp_received_bytes_total": 8,
    }  # fmt: skip
    found = {name: sum(series.values()) for name, series in told(proxy_wasm).items()}
    assert found == {name: number for name, number in expected.items() if number}
    labels, _ = only(proxy_wasm, "istio_tcp_sent_bytes_total")
    assert labels == {
        name: text for name, text in UNKNOWN.items()
        if name not in ("response_code", "grpc_response_status")
    } | {"reporter": "source", "request_protocol": "tcp"}  # fmt: skip


def test_connections_of_access_logs(proxy_wasm: Host) -> None:
    """An entry is of a whole connection."""
    record(load(proxy_wasm), {"request.total_size": 5, "response.total_size": 6})
    assert {name: sum(series.values()) for name, series in told(proxy_wasm).items()} == {
        "istio_tcp_connections_opened_total": 1, "istio_tcp_connections_closed_total": 1,
        "istio_tcp_sent_bytes_total": 6, "istio_tcp_received_bytes_total": 5,
    }  # fmt: skip


def test_overrides(proxy_wasm: Host) -> None:
    """As in Istio's Telemetry API: labels come and go, metrics too, on one side or both."""
    overrides = [
        {"tagOverrides": {"source_principal": {"operation": "REMOVE"}}},
        {"match": {"metric": "REQUEST_COUNT"},
         "tagOverrides": {"request_method": {"value": "request.method"},
                          "response_code": {"value": "response.code / 100"}}},
        {"match": {"metric": "REQUEST_DURATION", "mode": "SERVER"}, "disabled": True},
        {"match": {"metric": "REQUEST_SIZE", "mode": "CLIENT"}, "disabled": True},
    ]  # fmt: skip
    plugin = load(proxy_wasm, istio={"overrides": overrides})
    request(plugin, xds__listener_direction=1, request__total_size=1, response__total_size=1,
            request__duration=Duration(10**6))  # fmt: skip
    assert told(proxy_wasm).keys() == HTTP.keys() - {"istio_request_duration_milliseconds"}
    labels, _ = only(proxy_wasm, "istio_requests_total")
    assert labels.keys() == UNKNOWN.keys() - {"source_principal"} | {"request_method"}
    assert (labels["request_method"], labels["response_code"]) == ("GET", "2")
    labels, _ = only(proxy_wasm, "istio_response_bytes")
    assert labels.keys() == UNKNOWN.keys() - {"source_principal"}
    assert labels["response_code"] == "200"
    request(plugin, xds__listener_direction=2, request__duration=Duration(10**6))
    assert "istio_request_duration_milliseconds" in told(proxy_wasm)


def test_what_no_metric_tells_makes_no_series(proxy_wasm: Host) -> None:
    """A label that is removed everywhere does not fill the bound."""
    removed = {"tagOverrides": {"source_principal": {"operation": "REMOVE"}}}
    plugin = load(proxy_wasm, istio={"overrides": [removed]}, maxSeries=4)
    for number in range(20):
        request(plugin, source__principal=f"p{number}")
    assert only(proxy_wasm, "istio_requests_total")[1] == 20


def fill(plugin: Plugin, first: int, last: int) -> None:
    for number in range(first, last):
        request(plugin, source__principal=f"{number:0200}")


def test_a_million_tenants_cost_no_more(proxy_wasm: Host) -> None:
    """Beyond the bound all is counted in one series; the module and the host's store stay flat."""
    plugin = load(proxy_wasm, maxSeries=40)
    fill(plugin, 0, 100)
    size, series = plugin.vm.instance.memory.size(), len(list(proxy_wasm.metrics.snapshot()))
    fill(plugin, 100, 2100)
    assert plugin.vm.instance.memory.size() == size
    assert len(list(proxy_wasm.metrics.snapshot())) == series
    known = 40 // len(HTTP)
    assert count(proxy_wasm, "istio_requests_total", overflow="true") == 2100 - known
    assert sum(told(proxy_wasm)["istio_requests_total"].values()) == 2100


def test_a_host_without_room(proxy_wasm: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is lost where the host takes no more metrics."""
    monkeypatch.setattr("mixer.proxywasm.metrics.MAX_METRICS_PER_MODULE", 9)
    plugin = load(proxy_wasm)
    for name in ("a", "b", "a"):
        request(plugin, source__principal=name)
    assert sum(told(proxy_wasm)["istio_requests_total"].values()) == 3


def test_hostile_values(proxy_wasm: Host) -> None:
    """Values of a megabyte are cut, and bytes that are no text are told escaped."""
    tags = {name: {"value": f'request.headers["{name}"]'} for name in ("huge", "odd")}
    plugin = load(proxy_wasm, istio={"overrides": [{"tagOverrides": tags}]})
    stream = plugin.stream({"source.principal": "p" * (1 << 20)})
    stream.request_headers({"huge": "h" * (1 << 20)})
    stream.request.headers.add(b"odd", b"a\xff")
    stream.close()
    labels, value = only(proxy_wasm, "istio_requests_total")
    assert (labels["huge"], labels["odd"], value) == ("h" * 256, "a\\xff", 1)
    assert labels["source_principal"] == "p" * 256


def test_an_explanation_counts_nothing(proxy_wasm: Host) -> None:
    """What asks why a request would be decided so is no request."""
    plugin = load(proxy_wasm)
    request(plugin, mixer__operation="explain")
    assert told(proxy_wasm) == {}
