"""Reading a CheckRequest."""

import hashlib
import math
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from envoy.service.auth.v3 import external_auth_pb2
from google.protobuf.struct_pb2 import Struct
from hypothesis import given
from hypothesis import strategies as st

from mixer.api import ext_authz
from mixer.attributes import Timestamp
from mixer.engine import Request
from mixer.proxywasm.property_codec import NotALeaf, encode, look_up, look_up_older, split

_DER = b"not really a certificate, but bytes between two markers"
_PEM = ssl.DER_cert_to_PEM_cert(_DER)


def _message() -> external_auth_pb2.CheckRequest:
    message = external_auth_pb2.CheckRequest()
    context = message.attributes
    http = context.request.http
    http.method, http.path, http.host, http.scheme = "POST", "/a/b?x=1#f", "example.com", "https"
    http.protocol = "HTTP/2"
    http.headers.update(
        {
            ":method": "POST",
            ":path": "/a/b?x=1#f",
            ":authority": "example.com",
            ":scheme": "https",
            "user-agent": "curl",
            "x-request-id": "7",
        }
    )
    context.request.time.seconds, context.request.time.nanos = 12, 34
    source = context.source.address.socket_address
    source.address, source.port_value = "10.0.0.1", 5000
    context.destination.address.pipe.path = "/run/envoy.sock"
    context.source.principal = "spiffe://cluster.local/ns/a/sa/b"
    context.source.certificate = quote(_PEM)
    context.source.labels["app"] = "shop"
    context.tls_session.sni = "example.com"
    context.context_extensions.update({"xds.route_name": "r1", "xds.listener_direction": "1"})
    metadata = Struct()
    metadata.update({"sub": "alice", "groups": ["a", "b"], "age": 4})
    context.metadata_context.filter_metadata["envoy.filters.http.jwt_authn"].CopyFrom(metadata)
    return message


def _decode(message: external_auth_pb2.CheckRequest) -> Request:
    request = ext_authz.decode(message.SerializeToString())
    assert isinstance(request, Request)
    return request


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("request.path", "/a/b?x=1#f"),
        ("request.url_path", "/a/b"),
        ("request.query", "x=1"),
        ("request.method", "POST"),
        ("request.host", "example.com"),
        ("request.scheme", "https"),
        ("request.protocol", "HTTP/2"),
        ("request.useragent", "curl"),
        ("request.referer", None),
        ("request.id", "7"),
        ("request.time", Timestamp(12_000_000_034)),
        ("source.address", "10.0.0.1:5000"),
        ("source.port", 5000),
        ("destination.address", "/run/envoy.sock"),
        ("destination.port", None),
        ("source.principal", "spiffe://cluster.local/ns/a/sa/b"),
        ("source.labels", {"app": "shop"}),
        ("connection.mtls", True),
        ("connection.requested_server_name", "example.com"),
        ("connection.uri_san_peer_certificate", "spiffe://cluster.local/ns/a/sa/b"),
        ("connection.uri_san_local_certificate", None),
        ("connection.sha256_peer_certificate_digest", hashlib.sha256(_DER).hexdigest()),
        ("xds.route_name", "r1"),
        ("xds.listener_direction", 1),
        ("xds.cluster_name", None),
        ("upstream.address", None),
    ],
)
def test_every_fact_is_an_attribute(name: str, value: object) -> None:
    """What Envoy sends has its attribute; what it does not send is absent."""
    assert _decode(_message()).attributes.get(name) == value


def test_an_ipv6_address_is_written_in_brackets() -> None:
    """Address and port can be told apart."""
    message = _message()
    message.attributes.source.address.socket_address.address = "2001:db8::1"
    assert _decode(message).attributes.get("source.address") == "[2001:db8::1]:5000"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (b"metadata\0filter_metadata\0envoy.filters.http.jwt_authn\0sub", "alice"),
        (b"metadata\0filter_metadata\0envoy.filters.http.jwt_authn\0age", 4.0),
        (b"metadata\0filter_metadata\0absent\0sub", None),
        (b"route_name", "r1"),
        (b"xds\0route_name", "r1"),
        (b"request\0headers\0user-agent", "curl"),
        (b"source\0labels\0app", "shop"),
        (b"context_extensions\0xds.route_name", "r1"),
    ],
)
def test_a_property_path_reaches_into_maps(path: bytes, value: object) -> None:
    """Metadata, labels and headers are reached by NUL-separated paths."""
    find, parts = _decode(_message()).attributes.get, split(path)
    found = look_up(find, parts)
    assert (look_up_older(find, parts) if found is None else found) == value


def test_a_certificate_that_is_none_has_no_digest() -> None:
    """Rubbish in place of a certificate makes the attribute absent, and nothing else."""
    message = _message()
    message.attributes.source.certificate = "rubbish"
    bag = _decode(message).attributes
    assert bag.get("connection.sha256_peer_certificate_digest") is None
    assert bag.get("request.method") == "POST"


def test_an_extension_that_is_no_number_is_absent() -> None:
    """A context extension must be of its attribute's type."""
    message = _message()
    message.attributes.context_extensions["xds.listener_direction"] = "inbound"
    assert _decode(message).attributes.get("xds.listener_direction") is None


@pytest.mark.parametrize("raw", [True, False])
def test_pseudo_headers_that_the_proxy_left_out_come_from_its_fields(raw: bool) -> None:
    """With allowed_headers Envoy may send no :path; modules still see it."""
    message = _message()
    http = message.attributes.request.http
    http.ClearField("headers")
    if raw:
        http.header_map.headers.add(key="x", raw_value=b"1")
    else:
        http.headers["x"] = "1"
    headers = _decode(message).headers
    assert headers.pairs() == [
        (b":method", b"POST"), (b":path", b"/a/b?x=1#f"), (b":authority", b"example.com"),
        (b":scheme", b"https"), (b"x", b"1"),
    ]  # fmt: skip
    assert headers.count() == 5
    assert headers.first(b"host") == b"example.com"


def test_raw_headers_keep_duplicates_order_and_bytes() -> None:
    """encode_raw_headers brings headers as they were sent."""
    message = _message()
    pairs = [(":path", b"/"), ("X-A", b"1"), ("x-b", b"caf\xe9"), ("x-a", b"2")]
    for key, value in pairs:
        message.attributes.request.http.header_map.headers.add(key=key, raw_value=value)
    headers = _decode(message).headers
    assert headers.all(b"x-a") == (b"1", b"2")
    assert headers.first(b"X-A") == b"1"
    assert headers.first(b"x-b") == b"caf\xe9"
    assert headers.pairs()[-3:] == [(b"x-a", b"1"), (b"x-b", b"caf\xe9"), (b"x-a", b"2")]


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("partial", ["true", "false"])
def test_the_partial_body_header_is_for_the_service_alone(raw: bool, partial: str) -> None:
    """Modules do not see Envoy's note about the body, but a part of a body is not the whole."""
    message = _message()
    http = message.attributes.request.http
    http.raw_body = b"abc"
    if raw:
        http.header_map.headers.add(key="x-envoy-auth-partial-body", raw_value=partial.encode())
        http.header_map.headers.add(key="x-a", raw_value=b"1")
    else:
        http.headers["x-envoy-auth-partial-body"] = partial
    request = _decode(message)
    assert request.body_complete is (partial == "false")
    assert request.headers.first(b"x-envoy-auth-partial-body") is None
    assert b"x-envoy-auth-partial-body" not in dict(request.headers.pairs())
    assert request.headers.count() == len(request.headers.pairs())


@pytest.mark.parametrize(
    ("field", "value"), [("body", "caf\u00e9"), ("raw_body", "caf\u00e9".encode())]
)
def test_a_body_is_taken_from_either_field(field: str, value: object) -> None:
    """pack_as_bytes or not, the body is the same bytes."""
    message = _message()
    setattr(message.attributes.request.http, field, value)
    request = _decode(message)
    assert (request.body, request.has_body) == ("caf\u00e9".encode(), True)


@pytest.mark.parametrize(
    ("headers", "has_body"),
    [
        ({}, False),
        ({"content-length": "0"}, False),
        ({"content-length": "5"}, True),
    ],
)
def test_a_body_that_was_not_sent_along_is_known_of(
    headers: dict[str, str], has_body: bool
) -> None:
    """A request whose body Envoy keeps to itself does not end with its headers."""
    message = _message()
    message.attributes.request.http.headers.update(headers)
    request = _decode(message)
    assert (request.body, request.has_body) == (None, has_body)


@pytest.mark.parametrize("raw", [True, False])
def test_an_empty_body_that_was_sent_along_is_a_body(raw: bool) -> None:
    """A module that waits for the end of a chunked request sees it, though nothing came."""
    message = _message()
    http = message.attributes.request.http
    if raw:
        http.header_map.headers.add(key="x-envoy-auth-partial-body", raw_value=b"false")
    else:
        http.headers["x-envoy-auth-partial-body"] = "false"
    request = _decode(message)
    assert (request.body, request.has_body, request.body_complete) == (b"", True, True)


@pytest.mark.parametrize("raw", [True, False])
def test_host_is_the_authority(raw: bool) -> None:
    """A caller that sends a host header instead of the pseudo-header is understood."""
    message = external_auth_pb2.CheckRequest()
    http = message.attributes.request.http
    if raw:
        http.header_map.headers.add(key="Host", raw_value=b"a.b")
    else:
        http.headers["host"] = "a.b"
    request = _decode(message)
    assert request.headers.first(b":authority") == b"a.b"
    assert dict(request.headers) == {":authority": "a.b"}


def test_a_number_that_json_lacks_is_read() -> None:
    """Metadata may hold NaN; a module that asks for it is not punished."""
    message = _message()
    metadata = message.attributes.metadata_context.filter_metadata["x"]
    metadata.fields["n"].number_value = float("nan")
    parts = split(b"metadata\0filter_metadata\0x\0n")
    found = look_up(_decode(message).attributes.get, parts)
    assert isinstance(found, float)
    assert math.isnan(found)


def _certificate(*names: x509.GeneralName) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "peer")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2099, 1, 1, tzinfo=UTC))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    pem = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    return quote(pem.decode())


def test_a_certificate_tells_its_subject_and_names() -> None:
    """With include_peer_certificate, what Envoy knows of the peer is known here."""
    message = _message()
    names = (x509.UniformResourceIdentifier("spiffe://a/b"), x509.DNSName("a.example"))
    message.attributes.source.certificate = _certificate(*names)
    bag = _decode(message).attributes
    assert bag.get("connection.subject_peer_certificate") == "CN=peer"
    assert bag.get("connection.dns_san_peer_certificate") == "a.example"
    assert bag.get("connection.uri_san_peer_certificate") == "spiffe://a/b"


def test_a_certificate_without_names_leaves_them_out() -> None:
    """The principal is then what there is of a URI."""
    message = _message()
    message.attributes.source.certificate = _certificate()
    bag = _decode(message).attributes
    assert bag.get("connection.dns_san_peer_certificate") is None
    assert bag.get("connection.uri_san_peer_certificate") == message.attributes.source.principal


def test_messages_are_read_whole_or_by_field() -> None:
    """Metadata is a message: its bytes, and its fields by path."""
    message = _message()
    route = message.attributes.route_metadata_context
    route.filter_metadata["r"].update({"list": ["a", {"b": True}], "none": None})
    find = _decode(message).attributes.get
    whole = look_up(find, ("xds", "route_metadata"))
    assert type(route).FromString(encode(whole)) == route
    path = ("xds", "route_metadata", "filter_metadata", "r")
    assert look_up(find, (*path, "list", "0")) == "a"
    assert look_up(find, (*path, "list", "1", "b")) is True
    assert look_up(find, (*path, "list", "2")) is None
    with pytest.raises(NotALeaf):
        look_up(find, (*path, "none"))
    metadata = message.attributes.metadata_context
    assert type(metadata).FromString(encode(look_up(find, ("metadata",)))) == metadata


def test_a_principal_with_odd_brackets_is_no_trouble() -> None:
    """What a peer writes into its certificate cannot raise."""
    message = _message()
    message.attributes.source.principal = "spiffe://[x"
    bag = _decode(message).attributes
    assert bag.get("connection.uri_san_peer_certificate") == "spiffe://[x"


def test_the_size_is_the_content_length() -> None:
    """Envoy's own size field counts only what it sent along."""
    message = _message()
    message.attributes.request.http.headers["content-length"] = "123"
    assert _decode(message).attributes.get("request.size") == 123


def _connection() -> external_auth_pb2.CheckRequest:
    message = _message()
    message.attributes.ClearField("request")
    return message


def test_a_connection() -> None:
    """Without an HTTP request it is a connection, with all attributes but those of requests."""
    connection = ext_authz.decode(_connection().SerializeToString())
    assert isinstance(connection, ext_authz.Connection)
    find = connection.attributes.get
    assert find("source.address") == "10.0.0.1:5000"
    assert find("connection.requested_server_name") == "example.com"
    assert find("source.principal") == "spiffe://cluster.local/ns/a/sa/b"
    assert find("source.labels") == {"app": "shop"}
    assert find("xds.route_name") == "r1"
    assert not any(name.startswith("request.") for name in connection.attributes.names())
    istio = find("mixer.attribute")
    assert isinstance(istio, Mapping)
    assert istio["source.ip"] == bytes((10, 0, 0, 1))
    assert "request.path" not in istio


def test_a_check_about_nothing_is_refused() -> None:
    """A message that tells of no connection either is none that could be allowed."""
    message = _connection()
    message.attributes.source.ClearField("address")
    for data in (b"", message.SerializeToString()):
        with pytest.raises(ext_authz.MalformedRequestError, match="neither"):
            ext_authz.decode(data)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Bytes that are no CheckRequest are refused, and raise nothing else."""
    try:
        request = ext_authz.decode(data)
    except ext_authz.MalformedRequestError:
        return
    if isinstance(request, Request):
        request.headers.pairs()
    for name in request.attributes.names():
        request.attributes.get(name)
