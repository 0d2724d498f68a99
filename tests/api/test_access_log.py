"""Reading a StreamAccessLogsMessage."""

from typing import Any

import pytest
from envoy.data.accesslog.v3 import accesslog_pb2
from envoy.service.accesslog.v3 import als_pb2
from google.protobuf import wrappers_pb2
from hypothesis import given
from hypothesis import strategies as st

from mixer.api.access_log import AccessLogs, MalformedMessageError
from mixer.attributes import VOCABULARY, Caller, Duration, Kind, Timestamp, Uint
from mixer.engine import Record
from mixer.proxywasm.property_codec import NotALeaf, encode, look_up, split

HTTP_ENTRY = accesslog_pb2.HTTPAccessLogEntry


def entry() -> HTTP_ENTRY:
    """One with something in every field that is read."""
    one = HTTP_ENTRY(protocol_version=HTTP_ENTRY.HTTP2)
    common = one.common_properties
    for field, port in (("downstream_remote", 1), ("downstream_local", 2), ("upstream_remote", 3)):
        socket = getattr(common, f"{field}_address").socket_address
        socket.address, socket.port_value = "10.0.0.1", port
    common.upstream_local_address.pipe.path = "/run/upstream.sock"
    common.start_time.FromNanoseconds(12_000_000_034)
    common.duration.FromNanoseconds(5_000_000_006)
    common.time_to_first_upstream_tx_byte.FromNanoseconds(100)
    common.time_to_last_upstream_rx_byte.FromNanoseconds(350)
    common.upstream_cluster, common.route_name, common.stream_id = "c", "r", "s"
    common.upstream_request_attempt_count = 2
    common.upstream_transport_failure_reason = "reset"
    common.downstream_transport_failure_reason = "no TLS"
    common.connection_termination_details = "rbac"
    common.access_log_type = accesslog_pb2.DownstreamEnd
    common.response_flags.upstream_connection_failure = True
    common.metadata.filter_metadata["f"].update({"a": ["b"]})
    common.filter_state_objects["text"].Pack(wrappers_pb2.StringValue(value="t"))
    common.filter_state_objects["other"].Pack(accesslog_pb2.ConnectionProperties(sent_bytes=1))
    common.custom_tags.update({"tag": "v", "xds.virtual_host_name": "all", "connection.id": "7"})
    tls = common.tls_properties
    tls.tls_version, tls.tls_sni_hostname = tls.TLSv1_3, "a.test"
    tls.peer_certificate_properties.subject = "CN=peer"
    tls.peer_certificate_properties.subject_alt_name.add(dns="d")
    tls.peer_certificate_properties.subject_alt_name.add(uri="spiffe://a/b")
    tls.local_certificate_properties.subject = "CN=local"
    request, response = one.request, one.response
    request.request_method, request.scheme, request.authority = 1, "https", "a.test"
    request.path, request.user_agent, request.referer = "/a?b=c", "u", "ref"
    request.forwarded_for, request.request_id, request.original_path = "10.1.1.1", "i", "/o"
    request.request_headers_bytes, request.request_body_bytes = 100, 20
    request.request_headers.update({"x-a": "1", "user-agent": "another"})
    response.response_code.value, response.response_code_details = 503, "via_upstream"
    response.response_headers_bytes, response.response_body_bytes = 200, 30
    response.response_headers.update({"x-r": "1"})
    response.response_trailers.update({"grpc-status": "7"})
    return one


def message(*entries: HTTP_ENTRY, log_name: str = "log") -> bytes:
    """What tells them; the first message of a stream."""
    found = als_pb2.StreamAccessLogsMessage()
    found.identifier.log_name = log_name
    found.identifier.node.id = "n"
    found.identifier.node.extensions.add(name="x")
    found.http_logs.log_entry.extend(entries)
    return bytes(found.SerializeToString())


def recorded(data: bytes) -> Record:
    """The only record of a message."""
    (record,) = AccessLogs(lambda: Caller("10.9.9.9")).read(data).records()
    assert record is not None
    return record


def prop(record: Record, *path: str) -> Any:
    """A property as a module reads it; None where it is absent."""
    value = look_up(record.attributes.get, split("\0".join(path).encode()))
    return None if value is None else encode(value)


TELLS = {
    "request.path": "/a?b=c",
    "request.url_path": "/a",
    "request.query": "b=c",
    "request.host": "a.test",
    "request.scheme": "https",
    "request.method": "GET",
    "request.referer": "ref",
    "request.useragent": "u",
    "request.id": "i",
    "request.protocol": "HTTP/2",
    "request.size": 20,
    "request.headers_bytes": 100,
    "request.total_size": 120,
    "request.time": Timestamp(12_000_000_034),
    "request.duration": Duration(5_000_000_006),
    "response.code": 503,
    "response.code_details": "via_upstream",
    "response.flags": 1 << 5,
    "response.grpc_status": 7,
    "response.size": 30,
    "response.headers_bytes": 200,
    "response.total_size": 230 + len("grpc-status7"),
    "response.backend_latency": Duration(250),
    "source.address": "10.0.0.1:1",
    "source.port": 1,
    "source.principal": "spiffe://a/b",
    "destination.address": "10.0.0.1:2",
    "destination.port": 2,
    "destination.principal": "CN=local",
    "upstream.address": "10.0.0.1:3",
    "upstream.port": 3,
    "upstream.local_address": "/run/upstream.sock",
    "upstream.request_attempt_count": Uint(2),
    "upstream.transport_failure_reason": "reset",
    "connection.id": Uint(7),
    "connection.mtls": True,
    "connection.requested_server_name": "a.test",
    "connection.tls_version": "TLSv1.3",
    "connection.subject_peer_certificate": "CN=peer",
    "connection.subject_local_certificate": "CN=local",
    "connection.uri_san_peer_certificate": "spiffe://a/b",
    "connection.dns_san_peer_certificate": "d",
    "connection.termination_details": "rbac",
    "connection.transport_failure_reason": "no TLS",
    "xds.cluster_name": "c",
    "xds.route_name": "r",
    "xds.virtual_host_name": "all",
    "mixer.operation": "report",
    "mixer.caller": "10.9.9.9",
}


@pytest.mark.parametrize("name", TELLS)
def test_what_an_entry_tells(name: str) -> None:
    """Each attribute is found, with Envoy's type."""
    value = recorded(message(entry())).attributes.get(name)
    assert (value, type(value)) == (TELLS[name], type(TELLS[name]))


def test_structures() -> None:
    """Metadata, filter state, the proxy's node, the log and Istio's names are read part by part."""
    record = recorded(message(entry()))
    assert prop(record, "metadata", "filter_metadata", "f", "a", "0") == b"b"
    assert prop(record, "filter_state", "text") == b"t"
    assert prop(record, "filter_state", "other") == b"\x10\x01"
    assert prop(record, "xds", "node", "id") == b"n"
    assert prop(record, "mixer", "log", "name") == b"log"
    assert prop(record, "mixer", "log", "type") == b"DownstreamEnd"
    assert prop(record, "mixer", "log", "stream_id") == b"s"
    assert prop(record, "mixer", "log", "tags", "tag") == b"v"
    assert prop(record, "mixer", "log", "nonesuch") is None
    assert prop(record, "mixer", "attribute", "response.code") == (503).to_bytes(8, "little")


def test_headers() -> None:
    """Fields of their own are headers too, and none comes twice."""
    record = recorded(message(entry()))
    assert record.headers.pairs() == [
        (b":method", b"GET"), (b":path", b"/a?b=c"), (b":authority", b"a.test"),
        (b":scheme", b"https"), (b"user-agent", b"u"), (b"referer", b"ref"),
        (b"x-forwarded-for", b"10.1.1.1"), (b"x-request-id", b"i"),
        (b"x-envoy-original-path", b"/o"), (b"x-a", b"1"),
    ]  # fmt: skip
    assert record.headers.all(b"X-A") == (b"1",)
    assert record.headers.first(b"nonesuch") is None
    assert record.headers.count() == 10
    assert record.response_headers is not None
    assert record.response_headers.pairs() == [(b":status", b"503"), (b"x-r", b"1")]
    assert record.response_trailers is not None
    assert record.response_trailers.pairs() == [(b"grpc-status", b"7")]


def test_a_request_that_came_to_nothing() -> None:
    """What was not told is absent, and not empty: there was no response, and no TLS."""
    record = recorded(message(HTTP_ENTRY()))
    assert (record.response_headers, record.response_trailers) == (None, None)
    names = ("request.path", "request.method", "response.code", "request.time", "source.address",
             "connection.subject_peer_certificate", "upstream.transport_failure_reason",
             "response.grpc_status", "xds.route_name", "source.principal")  # fmt: skip
    assert [record.attributes.get(name) for name in names] == [None] * len(names)
    assert record.attributes.get("response.headers") == {}


def test_a_length_that_was_logged() -> None:
    """As in Envoy, the content length is the size of a request that has one."""
    one = entry()
    one.request.request_headers["content-length"] = "9"
    assert recorded(message(one)).attributes.get("request.size") == 9


def test_a_method_that_has_no_number() -> None:
    """It is told where the proxy logs the pseudo-header."""
    one = entry()
    one.request.request_method = 0
    assert recorded(message(one)).headers.first(b":method") is None
    one.request.request_headers[":method"] = "PURGE"
    record = recorded(message(one))
    assert record.attributes.get("request.method") == "PURGE"
    assert (b":method", b"PURGE") in record.headers.pairs()


@pytest.mark.parametrize(
    ("field", "bit"), [("failed_local_healthcheck", 0), ("dns_resolution_failure", 26),
                       ("downstream_remote_reset", 28)]
)  # fmt: skip
def test_response_flags(field: str, bit: int) -> None:
    """Each is the bit that Envoy has for it."""
    one = HTTP_ENTRY()
    setattr(one.common_properties.response_flags, field, True)
    assert recorded(message(one)).attributes.get("response.flags") == 1 << bit


def test_a_tag_of_another_type() -> None:
    """A text that is no such value tells nothing."""
    one = HTTP_ENTRY()
    one.common_properties.custom_tags.update({"connection.id": "x", "xds.listener_direction": "2"})
    record = recorded(message(one))
    assert record.attributes.get("connection.id") is None
    assert record.attributes.get("xds.listener_direction") == 2


def test_tcp() -> None:
    """An entry of a connection has its bytes, and nothing of HTTP."""
    found = als_pb2.StreamAccessLogsMessage()
    one = found.tcp_logs.log_entry.add()
    one.common_properties.CopyFrom(entry().common_properties)
    one.connection_properties.received_bytes, one.connection_properties.sent_bytes = 3, 4
    record = recorded(found.SerializeToString())
    values = {name: record.attributes.get(name) for name in VOCABULARY}
    assert (values["request.size"], values["response.size"]) == (3, 4)
    assert (values["request.total_size"], values["response.total_size"]) == (3, 4)
    assert values["source.address"] == "10.0.0.1:1"
    assert values["request.path"] is values["response.code"] is values["request.protocol"] is None
    assert not record.headers.pairs()
    assert record.response_headers is None


def test_who_tells_is_said_once() -> None:
    """The first message names the log and the proxy, and later ones need not."""
    logs = AccessLogs()
    later = als_pb2.StreamAccessLogsMessage()
    later.http_logs.log_entry.add()
    records = [
        r for data in (message(), later.SerializeToString()) for r in logs.read(data).records()
    ]
    (record,) = filter(None, records)
    assert prop(record, "mixer", "log", "name") == b"log"
    assert prop(record, "xds", "node") == b"\n\x01n", "without the list of extensions"


def test_entries_of_what_goes_on() -> None:
    """They count, and there is nothing to tell of."""
    one = entry()
    one.common_properties.intermediate_log_entry = True
    entries = AccessLogs().read(message(one, entry()))
    assert len(entries) == 2
    first, second = entries.records()
    assert first is None
    assert second is not None


def test_bytes_that_are_no_text() -> None:
    """A header that is not UTF-8 spoils nothing, and reads as it was sent."""
    data = message(entry()).replace(b"/a?b=c", b"/\xff?b=c").replace(b"10.1.1.1", b"\xfe0.1.1.1")
    record = recorded(data)
    assert record.headers.first(b":path") == b"/\xff?b=c"
    assert record.headers.first(b"x-forwarded-for") == b"\xfe0.1.1.1"
    assert prop(record, "request", "url_path") == b"/\xff"


def test_malformed_bytes() -> None:
    """They are refused by name."""
    with pytest.raises(MalformedMessageError, match="not a StreamAccessLogsMessage"):
        AccessLogs().read(b"\xff")


def test_a_malformed_entry() -> None:
    """Those before it are given, and the error says which one it is."""
    records = AccessLogs().read(framed(b"", b"\xff", b"")).records()
    assert next(records) is not None
    with pytest.raises(MalformedMessageError, match="entry 2 of 3: not of type HTTPAccessLogEntry"):
        next(records)


def framed(*entries: bytes) -> bytes:
    """A message of short entries, which may be any bytes."""
    logs = b"".join(b"\x0a%c%b" % (len(one), one) for one in entries)
    return b"\x12%c%b" % (len(logs), logs)


@given(st.binary(max_size=120), st.booleans())
def test_any_bytes(data: bytes, is_entry: bool) -> None:
    """They are entries or an error, and every attribute of an entry is of its type or absent."""
    try:
        records = list(AccessLogs().read(framed(data) if is_entry else data).records())
    except MalformedMessageError:
        return
    for record in filter(None, records):
        record.headers.pairs()
        for name, kind in VOCABULARY.items():
            value = record.attributes.get(name)
            assert kind is not Kind.STRING or value is None or isinstance(value, str)
            try:
                encode(value) if value is not None else None
            except NotALeaf:
                assert kind in (Kind.MAP, Kind.MESSAGE)
