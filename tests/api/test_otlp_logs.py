"""Reading an ExportLogsServiceRequest."""

from typing import Any

import pytest
from google.rpc import error_details_pb2, status_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.logs.v1 import logs_pb2

from mixer.api import otlp_logs
from mixer.api.otlp_logs import Export, MalformedExportError
from mixer.attributes import VOCABULARY, Caller, Duration, Kind, Timestamp, Uint, Value
from mixer.engine import Record
from mixer.proxywasm.property_codec import NotALeaf, encode, look_up, split


def any_value(value: Any) -> common_pb2.AnyValue:
    """A value as OTLP has it."""
    kinds = {str: "string_value", bool: "bool_value", int: "int_value", float: "double_value",
             bytes: "bytes_value"}  # fmt: skip
    if isinstance(value, list):
        return common_pb2.AnyValue(array_value={"values": [any_value(one) for one in value]})
    if isinstance(value, dict):
        return common_pb2.AnyValue(kvlist_value={"values": key_values(value)})
    return common_pb2.AnyValue(**{kinds[type(value)]: value})


def key_values(values: dict[str, Any]) -> list[common_pb2.KeyValue]:
    return [common_pb2.KeyValue(key=key, value=any_value(value)) for key, value in values.items()]


def log_record(attributes: dict[str, Any], **fields: Any) -> logs_pb2.LogRecord:
    return logs_pb2.LogRecord(attributes=key_values(attributes), **fields)


def export(
    *records: logs_pb2.LogRecord, resource: dict[str, Any] | None = None, scope: str = ""
) -> bytes:
    request = logs_service_pb2.ExportLogsServiceRequest()
    group = request.resource_logs.add(resource={"attributes": key_values(resource or {})})
    group.scope_logs.add(scope={"name": scope}, log_records=records)
    return bytes(request.SerializeToString())


def recorded(attributes: dict[str, Any], **fields: Any) -> Record:
    (record,) = Export(export(log_record(attributes, **fields)), lambda: Caller("c")).records()
    assert record is not None
    return record


def prop(record: Record, *path: str) -> Any:
    value = look_up(record.attributes.get, split("\0".join(path).encode()))
    return None if value is None else encode(value)


TOLD: list[tuple[dict[str, Any], dict[str, Value | None]]] = [
    (
        {"http.request.method": "GET", "url.path": "/a", "url.query": "b=c", "url.scheme": "https",
         "server.address": "a.test", "server.port": 8443, "user_agent.original": "u",
         "network.protocol.name": "http", "network.protocol.version": "2",
         "http.request.body.size": 5, "http.request.size": 6, "http.response.status_code": 404,
         "http.response.body.size": 7, "http.response.size": 8},
        {"request.method": "GET", "request.path": "/a?b=c", "request.url_path": "/a",
         "request.query": "b=c", "request.scheme": "https", "request.host": "a.test:8443",
         "request.useragent": "u", "request.protocol": "HTTP/2", "request.size": 5,
         "request.total_size": 6, "response.code": 404, "response.size": 7,
         "response.total_size": 8, "response.grpc_status": 12, "mixer.operation": "report",
         "mixer.caller": "c", "response.code_details": None},
    ),
    (
        {"client.address": "10.0.0.1", "client.port": 5, "network.local.address": "::1",
         "network.local.port": 6, "tls.protocol.version": "1.3", "tls.client.server_name": "sni",
         "tls.client.subject": "CN=a", "tls.client.hash.sha256": "AB"},
        {"source.address": "10.0.0.1:5", "source.port": 5, "destination.address": "[::1]:6",
         "destination.port": 6, "connection.tls_version": "TLSv1.3",
         "connection.requested_server_name": "sni", "connection.subject_peer_certificate": "CN=a",
         "connection.sha256_peer_certificate_digest": "ab", "request.path": None},
    ),
    (
        {"network.peer.address": "10.0.0.2", "http.method": "PUT", "http.target": "/old?x",
         "http.host": "old.test", "http.scheme": "http", "http.status_code": 200,
         "http.user_agent": "old", "http.flavor": "1.1"},
        {"source.address": "10.0.0.2:0", "request.method": "PUT", "request.path": "/old?x",
         "request.host": "old.test", "response.code": 200, "request.useragent": "old",
         "request.protocol": "HTTP/1.1"},
    ),
    (
        {"url.full": "https://u:p@a.test:9/x?y=z", "rpc.grpc.status_code": 5},
        {"request.path": "/x?y=z", "request.host": "a.test:9", "response.grpc_status": 5},
    ),
    ({"server.address": "a", "server.port": 443, "url.scheme": "https"}, {"request.host": "a"}),
    ({"http.server.request.duration": 0.25}, {"request.duration": Duration(250_000_000)}),
    ({"http.server.request.duration": float("nan")}, {"request.duration": None}),
    (
        {"request.path": "/a", "request.method": "GET", "response.code": "503",
         "response.flags": "UF,URX", "request.duration": "12", "upstream.address": "10.0.0.3:1",
         "request.size": "9", "connection.mtls": "true", "connection.id": "3",
         "xds.route_name": "r", "upstream.local_address": "-", "response.code_details": "-",
         "request.time": "2020-01-02T03:04:05.5Z", "response.size": "x"},
        {"request.path": "/a", "request.method": "GET", "response.code": 503,
         "response.flags": 1 << 5 | 1 << 15, "request.duration": Duration(12_000_000),
         "upstream.address": "10.0.0.3:1", "request.size": 9, "connection.mtls": True,
         "connection.id": Uint(3), "xds.route_name": "r", "upstream.local_address": None,
         "response.code_details": None, "request.time": Timestamp(1577934245_500_000_000),
         "response.size": None},
    ),
    (
        {"request.duration": "1.5ms", "response.flags": "32", "response.code": 200.0,
         "request.size": 1.5, "upstream.request_attempt_count": -1, "response.backend_latency": 2},
        {"request.duration": Duration(1_500_000), "response.flags": 32, "response.code": 200,
         "request.size": None, "upstream.request_attempt_count": None,
         "response.backend_latency": Duration(2_000_000)},
    ),
    (
        {"request.path": "/ours", "url.path": "/theirs", "response.code": 200,
         "http.response.status_code": 500},
        {"request.path": "/ours", "response.code": 200},
    ),
    ({"mixer.operation": "check", "plugin_name": "x"}, {"mixer.operation": "report",
                                                        "plugin_name": None}),
]  # fmt: skip


@pytest.mark.parametrize(("attributes", "expected"), TOLD)
def test_what_a_record_tells(attributes: dict[str, Any], expected: dict[str, Value | None]) -> None:
    """By OpenTelemetry's names, and by Envoy's before them, each with its type."""
    record = recorded(attributes)
    found = {name: record.attributes.get(name) for name in expected}
    assert found == expected
    assert [type(one) for one in found.values()] == [type(one) for one in expected.values()]


def test_headers() -> None:
    """They are told one by one, with all their values, or as a map."""
    record = recorded(
        {
            "http.request.method": "GET",
            "url.path": "/a",
            "http.request.header.x-a": ["1", "2"],
            "http.request.header.x-b": "3",
            "http.request.header.x-none": "-",
            "http.response.status_code": 200,
            "http.response.header.x-r": ["4"],
            "request.headers": {"x-c": "5", "x-b": "other"},
            "response.trailers": {"grpc-status": "6"},
        }
    )
    assert record.headers.pairs() == [
        (b":method", b"GET"), (b":path", b"/a"),
        (b"x-a", b"1"), (b"x-a", b"2"), (b"x-b", b"3"), (b"x-c", b"5"),
    ]  # fmt: skip
    assert record.headers.first(b"x-a") == b"1"
    assert record.response_headers is not None
    assert record.response_headers.pairs() == [(b":status", b"200"), (b"x-r", b"4")]
    assert record.response_trailers is not None
    assert record.response_trailers.pairs() == [(b"grpc-status", b"6")]
    assert record.attributes.get("response.grpc_status") == 6


def test_the_record_as_one_of_a_log() -> None:
    """Body, severity, trace, resource and all attributes are read part by part."""
    record = log_record(
        {"a": {"b": [1, "x"]}},
        body=any_value({"m": "text"}),
        severity_number=17,
        event_name="e",
        time_unix_nano=5,
        trace_id=bytes(range(16)),
    )
    data = export(record, resource={"service.name": "shop", "log_name": "l"}, scope="s")
    (found,) = Export(data).records()
    assert found is not None
    expected = {
        "name": b"l", "body m": b"text", "severity": b"ERROR", "event_name": b"e",
        "trace_id": bytes(range(16)).hex().encode(), "attributes a b 1": b"x",
        "resource service.name": b"shop", "scope": b"s", "span_id": None,
    }  # fmt: skip
    assert {path: prop(found, "mixer", "log", *path.split()) for path in expected} == expected
    assert found.attributes.get("request.time") == Timestamp(5)


def test_the_name_of_a_log_without_envoy() -> None:
    """It is that of the scope."""
    (found,) = Export(export(log_record({}), scope="s")).records()
    assert found is not None
    assert prop(found, "mixer", "log", "name") == b"s"


def test_bytes_that_are_no_text() -> None:
    """They spoil nothing, and read as they were sent."""
    data = export(log_record({"url.path": "/__"})).replace(b"/__", b"/\xff\xfe")
    (found,) = Export(data).records()
    assert found is not None
    assert found.headers.first(b":path") == b"/\xff\xfe"


def test_batches() -> None:
    """All records come, in order, whatever groups they are in; empty groups are none."""
    request = logs_service_pb2.ExportLogsServiceRequest()
    for number in range(3):
        group = request.resource_logs.add()
        group.scope_logs.add()
        group.scope_logs.add(log_records=[log_record({"url.path": f"/{number}"})] * 2)
    told = Export(request.SerializeToString())
    assert sum(1 for _ in told.read()) == 6
    assert len(told) == 6
    paths = [record.attributes.get("request.path") for record in filter(None, told.records())]
    assert paths == ["/0", "/0", "/1", "/1", "/2", "/2"]


def test_malformed_records() -> None:
    """They are counted, the first one is named, and the others are given."""
    told = Export(framed(b"\xff", b"", b"\xff\xff", b""))
    assert list(told.read()) == [None]
    assert [record is None for record in told.records()] == [True, False, True, False]
    assert told.malformed == 2
    assert told.first_error.startswith("record 1 of 4: not a LogRecord: ")


@pytest.mark.parametrize("data", [b"\xff", b"\x0a\x01\xff", b"\x0a\x03\x12\x01\xff"])
def test_malformed_bytes(data: bytes) -> None:
    """What is not even groups of records is refused as a whole."""
    with pytest.raises(MalformedExportError, match="not an ExportLogsServiceRequest"):
        list(Export(data).read())


def test_answers() -> None:
    """OpenTelemetry's own messages read them."""
    answer = logs_service_pb2.ExportLogsServiceResponse
    assert not answer.FromString(otlp_logs.ACCEPTED).HasField("partial_success")
    rejected = answer.FromString(otlp_logs.encode_rejected(3, "why")).partial_success
    assert (rejected.rejected_log_records, rejected.error_message) == (3, "why")
    status = status_pb2.Status.FromString(otlp_logs.encode_retry("later", 1.25))
    retry = error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(retry)
    assert (status.code, status.message) == (14, "later")
    assert retry.retry_delay.ToTimedelta().total_seconds() == 1.25


def framed(*records: bytes) -> bytes:
    """A request with short records, which may be any bytes."""
    scope = b"".join(b"\x12%c%b" % (len(one), one) for one in records)
    group = b"\x12%c%b" % (len(scope), scope)
    return b"\x0a%c%b" % (len(group), group)


@given(st.binary(max_size=110))
def test_any_bytes(data: bytes) -> None:
    """They are records or an error, and every attribute of a record is of its type or absent."""
    for one in (data, framed(data)):
        try:
            records = list(Export(one).records())
        except MalformedExportError:
            continue
        for record in filter(None, records):
            record.headers.pairs()
            for name, kind in VOCABULARY.items():
                value = record.attributes.get(name)
                assert kind is not Kind.STRING or value is None or isinstance(value, str)
                try:
                    encode(value) if value is not None else None
                except NotALeaf:
                    assert kind in (Kind.MAP, Kind.MESSAGE)


_VALUES = st.recursive(
    st.text() | st.booleans() | st.integers(-(1 << 63), (1 << 63) - 1) | st.floats() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(VOCABULARY)), _VALUES, max_size=8))
def test_any_values(values: dict[str, Any]) -> None:
    """Whatever is sent under the name of an attribute, it is of its type or absent."""
    types = {Kind.STRING: str, Kind.INT: int, Kind.UINT: Uint, Kind.BOOL: bool,
             Kind.TIMESTAMP: Timestamp, Kind.DURATION: Duration}  # fmt: skip
    record = recorded(values)
    for name, kind in VOCABULARY.items():
        value = record.attributes.get(name)
        assert value is None or isinstance(value, types.get(kind, object))
