"""Traces that the adapter telemetry continues, and what it sends by OTLP."""

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from mixer.attributes import Duration, Timestamp, Value
from mixer.testing import Host, LogLevel, Plugin
from tests.adapters.telemetering import (
    TRACES,
    attributes,
    count,
    load,
    record,
    records,
    request,
    spans,
    target,
)

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"
QUIET: dict[str, Any] = {"istio": False}
OTLP = {"cluster": "collector", "interval": "1s"}
TRACEPARENT = re.compile("00-([0-9a-f]{32})-([0-9a-f]{16})-0([01])")


def tracing(host: Host, otlp: dict[str, Any] | None = None, **own: Any) -> Plugin:
    return load(host, **QUIET, tracing=own, otlp={**OTLP, **(otlp or {})})


def upstream(plugin: Plugin, *headers: tuple[str, str]) -> dict[str, str]:
    """The headers with which a request goes on."""
    stream = plugin.stream()
    stream.request_headers([*headers])
    stream.close()
    return dict(stream.request.headers.items())


def sent(host: Host) -> list[Span]:
    host.advance(1.0)
    calls = [call for call in host.fakes.grpc_calls if call.method.service == TRACES]
    return spans(call.message for call in calls)


def parts(traceparent: str) -> tuple[str, str, bool]:
    found = TRACEPARENT.fullmatch(traceparent)
    assert found is not None, traceparent
    return found[1], found[2], found[3] == "1"


def test_a_trace_goes_on(proxy_wasm: Host) -> None:
    """The upstream is told a new span of the same trace, and the collector that span."""
    plugin = tracing(proxy_wasm)
    state = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"
    headers = upstream(plugin, ("traceparent", PARENT), ("tracestate", state))
    trace, own, sampled = parts(headers["traceparent"])
    assert (trace, sampled, headers["tracestate"]) == (TRACE, True, state)
    assert own != SPAN
    (span,) = sent(proxy_wasm)
    assert (span.trace_id.hex(), span.span_id.hex()) == (TRACE, own)
    assert (span.parent_span_id.hex(), span.trace_state) == (SPAN, state)
    assert span.flags == 0x301, "sampled, and of a parent in another process"


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("traceparent", "rubbish"),),
        (("traceparent", f"ff-{TRACE}-{SPAN}-01"),),
        (("traceparent", f"00-{TRACE.upper()}-{SPAN}-01"),),
        (("traceparent", f"00-{'0' * 32}-{SPAN}-01"),),
        (("traceparent", f"{PARENT}-more"),),
        (("traceparent", PARENT), ("traceparent", PARENT)),
        (("traceparent", "0" * (1 << 20)),),
        (("b3", f"{TRACE}-{SPAN}-1"),),
    ],
)
def test_a_new_trace(proxy_wasm: Host, headers: tuple[tuple[str, str], ...]) -> None:
    """Without a sound traceparent a trace begins, and what came of another one does not go on."""
    plugin = tracing(proxy_wasm)
    told = upstream(plugin, *headers, ("tracestate", "a=1"))
    trace, own, sampled = parts(told["traceparent"])
    assert (trace != TRACE, sampled, "tracestate" in told) == (True, True, False)
    (span,) = sent(proxy_wasm)
    assert (span.trace_id.hex(), span.span_id.hex()) == (trace, own)
    assert (span.parent_span_id, span.flags) == (b"", 0x101)


def test_a_bad_tracestate(proxy_wasm: Host) -> None:
    """It is left out, and the trace goes on."""
    plugin = tracing(proxy_wasm)
    told = upstream(plugin, ("traceparent", PARENT), ("tracestate", "a=1,a=2"))
    assert parts(told["traceparent"])[0] == TRACE
    assert "tracestate" not in told


def test_a_tracestate_in_several_headers(proxy_wasm: Host) -> None:
    """They are one list."""
    plugin = tracing(proxy_wasm)
    upstream(plugin, ("traceparent", PARENT), ("tracestate", "a=1"), ("tracestate", "b=2"))
    (span,) = sent(proxy_wasm)
    assert span.trace_state == "a=1,b=2"


@pytest.mark.parametrize(
    ("headers", "parent", "sampled"),
    [
        ({"b3": f"{TRACE}-{SPAN}-1"}, SPAN, True),
        ({"b3": f"{TRACE}-{SPAN}-d-{SPAN}"}, SPAN, True),
        ({"b3": f"{TRACE}-{SPAN}-0"}, SPAN, False),
        ({"b3": "0"}, None, False),
        ({"x-b3-traceid": TRACE, "x-b3-spanid": SPAN, "x-b3-sampled": "1"}, SPAN, True),
        ({"x-b3-traceid": TRACE, "x-b3-spanid": SPAN, "x-b3-flags": "1"}, SPAN, True),
        ({"x-b3-sampled": "0"}, None, False),
        ({"traceparent": PARENT}, None, True),
    ],
)
@pytest.mark.parametrize("format_", ["B3", "B3_MULTI"])
def test_b3(
    proxy_wasm: Host, headers: dict[str, str], parent: str | None, sampled: bool, format_: str
) -> None:
    """Both ways to write it are read, one is written, and the decision holds."""
    plugin = tracing(proxy_wasm, propagation=[format_])
    told = upstream(plugin, *headers.items())
    if format_ == "B3":
        trace, own, flag, *rest = told["b3"].split("-")
    else:
        trace, own, flag = (told[f"x-b3-{name}"] for name in ("traceid", "spanid", "sampled"))
        rest = [told["x-b3-parentspanid"]] if parent else []
        assert "x-b3-flags" not in told
    assert (flag == "1", rest) == (sampled, [parent] if parent else [])
    assert (trace == TRACE) == (parent is not None)
    assert [span.span_id.hex() for span in sent(proxy_wasm)] == ([own] if sampled else [])


def test_several_formats(proxy_wasm: Host) -> None:
    """The first one that is there counts, and the upstream is told the same in all of them."""
    plugin = tracing(proxy_wasm, propagation=["B3", "W3C"])
    told = upstream(plugin, ("traceparent", PARENT), ("b3", f"{TRACE[::-1]}-{SPAN}-1"))
    trace, own, _ = parts(told["traceparent"])
    assert told["b3"] == f"{trace}-{own}-1-{SPAN}"
    assert trace == TRACE[::-1]


def test_shares_of_traces(proxy_wasm: Host) -> None:
    """Traces that begin here are sampled by their ids; a decision that was made holds."""
    plugin = tracing(proxy_wasm, sampling=50)
    told = [parts(upstream(plugin)["traceparent"]) for _ in range(400)]
    assert 120 < sum(sampled for _, _, sampled in told) < 280
    assert all(sampled == (int(trace[-14:], 16) < 1 << 55) for trace, _, sampled in told)
    assert len({trace for trace, _, _ in told} | {own for _, own, _ in told}) == 800
    for flag in ("00", "01"):
        parent = f"00-{TRACE}-{SPAN}-{flag}"
        kept = [upstream(plugin, ("traceparent", parent))["traceparent"][-2:] for _ in range(20)]
        assert set(kept) == {flag}


def test_what_a_span_tells(proxy_wasm: Host) -> None:
    """OpenTelemetry's conventions for servers, and what the configuration adds."""
    own = {"user": 'request.headers["x-user"]', "sum": "1 + 1"}
    plugin = tracing(proxy_wasm, attributes=own)
    known: dict[str, Value] = {
        "request.time": Timestamp(1_700_000_000_000_000_000),
        "request.duration": Duration(1_500_000),
        "source.address": "10.1.2.3:4711",
        "request.protocol": "HTTP/1.1",
    }
    stream = plugin.stream(known)
    stream.request_headers({":path": "/a?b=c", ":authority": "a.b", "x-user": "al"})
    stream.response_headers(status=503)
    stream.close()
    (span,) = sent(proxy_wasm)
    assert (span.name, span.kind, span.status.code) == (
        "GET", Span.SPAN_KIND_SERVER, Status.STATUS_CODE_ERROR,
    )  # fmt: skip
    assert span.start_time_unix_nano == 1_700_000_000_000_000_000
    assert span.end_time_unix_nano - span.start_time_unix_nano == 1_500_000
    found = attributes(span.attributes)
    assert found.items() >= {
        "http.request.method": "GET", "http.response.status_code": 503, "url.path": "/a",
        "url.scheme": "http", "server.address": "a.b",
        "client.address": "10.1.2.3", "network.protocol.version": "1.1", "error.type": "503",
        "user": "al", "sum": 2,
    }.items()  # fmt: skip


KNOWN = "CONNECT DELETE GET HEAD OPTIONS PATCH POST PUT QUERY TRACE"


def test_methods(proxy_wasm: Host) -> None:
    """Those that the conventions know are told, and no caller makes names of spans by others."""
    plugin = tracing(proxy_wasm)
    known, others = KNOWN.split(), ["PROPFIND", "get", "_OTHER", "M" * 100]
    for method in known + others:
        upstream(plugin, (":method", method))
    found = [(span.name, attributes(span.attributes)) for span in sent(proxy_wasm)]
    names = ("http.request.method", "http.request.method_original")
    assert [(name, *map(told.get, names)) for name, told in found] == [
        *((one, one, None) for one in known),
        *(("HTTP", "_OTHER", one) for one in others),
    ]


@pytest.mark.parametrize(("own", "told"), [({}, None), ({"urlQuery": True}, "token=s3cret")])
def test_a_query(proxy_wasm: Host, own: dict[str, Any], told: str | None) -> None:
    """It may hold secrets, so that the collector gets it only where the configuration says so."""
    plugin = tracing(proxy_wasm, **own)
    known: dict[str, Value] = {
        "request.time": Timestamp(1_700_000_000_000_000_000), "request.duration": Duration(7),
    }  # fmt: skip
    stream = plugin.stream(known)
    stream.request_headers({":path": "/a?token=s3cret"})
    stream.close()
    (span,) = sent(proxy_wasm)
    found = attributes(span.attributes)
    assert (found["url.path"], found.get("url.query")) == ("/a", told)
    assert (b"s3cret" in span.SerializeToString()) == (told is not None)
    assert span.end_time_unix_nano - span.start_time_unix_nano == 7


def test_where_spans_go(proxy_wasm: Host) -> None:
    """A call of gRPC that Envoy takes too, with the configured metadata and resource."""
    plugin = tracing(
        proxy_wasm, {"headers": {"x-key": "k"}, "resource": {"service.name": "shop", "a": "b"}}
    )
    request(plugin)
    proxy_wasm.advance(1.0)
    (call,) = proxy_wasm.fakes.grpc_calls
    assert (target(call), call.method.service, call.method.method) == (
        "collector", TRACES, "Export",
    )  # fmt: skip
    assert call.method.metadata == ((b"x-key", b"k"),)
    (of_resource,) = ExportTraceServiceRequest.FromString(call.message).resource_spans
    assert attributes(of_resource.resource.attributes) == {"service.name": "shop", "a": "b"}
    assert of_resource.scope_spans[0].scope.name == "mixer.telemetry"


def test_a_report_has_no_span(proxy_wasm: Host) -> None:
    """It went through another proxy, which has told its span."""
    plugin = tracing(proxy_wasm)
    record(plugin, {"mixer.operation": "report"})
    assert sent(proxy_wasm) == []


def test_bytes_that_are_no_text(proxy_wasm: Host) -> None:
    """They do not break the batch that they are in, nor does a header of a megabyte."""
    plugin = tracing(proxy_wasm, attributes={"x": 'request.headers["x"]'})
    for value in (b"a\xff\xc3", b"b" * (1 << 20)):
        stream = plugin.stream()
        stream.request_headers({})
        stream.request.headers.add(b"x", value)
        stream.close()
    odd, huge = (attributes(span.attributes)["x"] for span in sent(proxy_wasm))
    assert (odd, huge) == ("a\ufffd\ufffd", "b" * 1024 + "...")


LOG = {"name": "access", "output": "OTLP", "severity": "WARN",
       "fields": {"code": "response.code", "user": 'request.headers["x-user"]'}}  # fmt: skip


def test_logs_by_otlp(proxy_wasm: Host) -> None:
    """A log record has the fields with their types, and the span of the request."""
    plugin = load(proxy_wasm, **QUIET, logs=[LOG], tracing={}, otlp=OTLP)
    own = upstream(plugin, ("x-user", "al"), ("traceparent", PARENT))["traceparent"]
    proxy_wasm.advance(1.0)
    logs = [one for one in proxy_wasm.fakes.grpc_calls if one.method.service != TRACES]
    (found,) = records(one.message for one in logs)
    assert (found.severity_text, found.severity_number, found.event_name) == ("WARN", 13, "access")
    assert attributes(found.attributes) == {"user": "al"}, "there was no response"
    trace, span, _ = parts(own)
    assert (found.trace_id.hex(), found.span_id.hex(), found.flags) == (trace, span, 1)
    assert found.observed_time_unix_nano > 0
    assert plugin.logs == []
    assert ExportLogsServiceRequest.FromString(logs[0].message).resource_logs[0].resource


def test_logs_and_traces_agree(proxy_wasm: Host) -> None:
    """The same share of both is the same requests."""
    log = {"name": "l", "sampling": {"percent": 30}, "output": "OTLP"}
    plugin = load(proxy_wasm, **QUIET, logs=[log], tracing={"sampling": 30}, otlp=OTLP)
    for _ in range(200):
        request(plugin)
    proxy_wasm.advance(1.0)
    calls = proxy_wasm.fakes.grpc_calls
    traced = {one.trace_id for one in spans(c.message for c in calls if c.method.service == TRACES)}
    logged = {
        one.trace_id for one in records(c.message for c in calls if c.method.service != TRACES)
    }
    assert traced == logged
    assert 20 < len(traced) < 110


def test_a_share_by_the_id_of_the_request(proxy_wasm: Host) -> None:
    """Without a trace it is the same requests wherever they are asked about."""
    log = {"name": "l", "sampling": {"percent": 30}, "fields": {"id": "request.id"}}
    taken = []
    for _ in range(2):
        plugin = load(proxy_wasm, **QUIET, logs=[log])
        for number in range(200):
            request(plugin, {"x-request-id": f"r{number}"})
        taken.append([line.message for line in plugin.logs])
    assert taken[0] == taken[1]
    assert 30 < len(taken[0]) < 90


def test_so_many_logs_a_second(proxy_wasm: Host) -> None:
    """More is left out."""
    plugin = load(proxy_wasm, **QUIET, logs=[{"name": "l", "sampling": {"perSecond": 5}}])
    for _ in range(3):
        for _ in range(20):
            request(plugin)
        proxy_wasm.advance(1.0)
    assert len(plugin.logs) == 15
    assert plugin.messages(LogLevel.WARN) == []


def dropped(host: Host, reason: str) -> int:
    return count(host, "telemetry_otlp_dropped_total", reason=reason, signal="spans")


def delivered(host: Host) -> int:
    return count(host, "telemetry_otlp_sent_total", signal="spans")


def test_what_a_collector_answers(proxy_wasm: Host) -> None:
    """What it takes, and what of that it rejects, is counted; rubbish is taken for an answer."""
    plugin = tracing(proxy_wasm)
    rejecting = ExportTraceServiceResponse(
        partial_success=ExportTracePartialSuccess(rejected_spans=2, error_message="no")
    )
    for answer in (b"", rejecting.SerializeToString(), b"<html>rubbish", b"\xff" * 100):
        for _ in range(3):
            request(plugin)
        proxy_wasm.advance(1.0)
        proxy_wasm.fakes.grpc_calls[-1].respond(answer)
    assert (delivered(proxy_wasm), dropped(proxy_wasm, "rejected")) == (10, 2)


def test_tries(proxy_wasm: Host) -> None:
    """What may be sent again is, with growing pauses, and given up in the end."""
    plugin = tracing(proxy_wasm, {"retries": 3})
    request(plugin)
    messages = set()
    for number in range(1, 5):
        while len(proxy_wasm.fakes.grpc_calls) < number:
            proxy_wasm.advance(1.0)
        messages.add(proxy_wasm.fakes.grpc_calls[-1].message)
        proxy_wasm.fakes.grpc_calls[-1].fail(14)
    proxy_wasm.advance(100.0)
    assert (len(proxy_wasm.fakes.grpc_calls), len(messages)) == (4, 1)
    assert count(proxy_wasm, "telemetry_otlp_retries_total", signal="spans") == 3
    assert dropped(proxy_wasm, "failed") == 1


@pytest.mark.parametrize("status", [2, 3, 5, 7, 8, 12, 13, 16])
def test_what_must_not_be_sent_again(proxy_wasm: Host, status: int) -> None:
    """By OTLP's table some statuses are final."""
    plugin = tracing(proxy_wasm)
    request(plugin)
    proxy_wasm.advance(1.0)
    proxy_wasm.fakes.grpc_calls[-1].fail(status)
    proxy_wasm.advance(100.0)
    assert len(proxy_wasm.fakes.grpc_calls) == 1
    assert dropped(proxy_wasm, "failed") == 1


def test_a_collector_that_does_not_answer(proxy_wasm: Host) -> None:
    """What waits is bounded, in the module's memory too, and what is beyond is counted."""
    plugin = tracing(proxy_wasm, {"queueBytes": 20_000, "batchSize": 10})
    for _ in range(100):
        request(plugin)
    proxy_wasm.advance(1.0)
    size = plugin.vm.instance.memory.size()
    for _ in range(2000):
        request(plugin)
    proxy_wasm.advance(1.0)
    waiting = count(proxy_wasm, "telemetry_otlp_waiting", signal="spans")
    assert 0 < waiting < 200
    assert dropped(proxy_wasm, "queue_full") == 2100 - waiting
    assert len(proxy_wasm.fakes.grpc_calls) == 4, "as many calls are made at once"
    assert plugin.vm.instance.memory.size() == size


def test_a_host_that_sends_nothing(proxy_wasm: Host) -> None:
    """A call that the host refuses is tried again as one that failed."""
    plugin = tracing(proxy_wasm)
    proxy_wasm.fakes.overloaded = True
    request(plugin)
    proxy_wasm.advance(1.0)
    assert count(proxy_wasm, "telemetry_otlp_retries_total", signal="spans") == 1
    proxy_wasm.fakes.overloaded = False
    proxy_wasm.advance(5.0)
    proxy_wasm.fakes.grpc_calls[-1].respond(b"")
    assert delivered(proxy_wasm) == 1


def test_a_whole_batch_goes_at_once(proxy_wasm: Host) -> None:
    """It does not wait for the interval to pass."""
    plugin = tracing(proxy_wasm, {"interval": "60s", "batchSize": 5})
    for _ in range(5):
        request(plugin)
    proxy_wasm.advance(0.01)
    assert len(spans(call.message for call in proxy_wasm.fakes.grpc_calls)) == 5
    request(plugin)
    proxy_wasm.advance(1.0)
    assert len(proxy_wasm.fakes.grpc_calls) == 1
    proxy_wasm.advance(60.0)
    assert len(proxy_wasm.fakes.grpc_calls) == 2


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=80) | st.from_regex(rb"[0-9a-f]{2}-[0-9a-f]{30,34}-[0-9a-f]{16}-.{0,4}"))
def test_any_traceparent(proxy_wasm: Host, value: bytes) -> None:
    """Whatever a caller sends, the upstream is told a sound one, of its trace if that is sound."""
    if not proxy_wasm._plugins:
        tracing(proxy_wasm)
    stream = proxy_wasm._plugins[0].stream()
    stream.request_headers({})
    stream = proxy_wasm._plugins[0].stream()
    stream.request_headers([("traceparent", value.decode("latin-1"))])
    told = stream.request.headers.first(b"traceparent") or b""
    trace, _, _ = parts(told.decode())
    sound = re.fullmatch(rb"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}", value.strip(b" \t"))
    if sound and set(sound[1]) != {48} and set(sound[2]) != {48}:
        assert trace == sound[1].decode()
    stream.close()


def test_what_waits_goes_at_the_end(proxy_wasm: Host) -> None:
    """A plugin that ends sends what it has, once, and is gone when that is answered."""
    plugin = tracing(proxy_wasm, {"interval": "60s"})
    request(plugin)
    ended: list[bool] = []
    plugin.vm.shut_down(lambda: ended.append(True))
    (call,) = proxy_wasm.fakes.grpc_calls
    assert (len(spans([call.message])), ended) == (1, [])
    call.fail(14)
    proxy_wasm.advance(1.0)
    assert ended == [True]
    assert len(proxy_wasm.fakes.grpc_calls) == 1
