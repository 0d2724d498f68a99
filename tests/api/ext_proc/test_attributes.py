"""What a stream tells of a request, as attributes."""

from typing import Any

import pytest
from envoy.config.core.v3 import base_pb2
from google.protobuf import struct_pb2
from hypothesis import given
from hypothesis import strategies as st

from mixer.api.ext_proc.attributes import RESOLVERS, StreamSource
from mixer.api.ext_proc.headers import header_map
from mixer.api.ext_proc.values import typed_value
from mixer.attributes import (
    VOCABULARY,
    AttributeBag,
    Caller,
    Duration,
    HeaderMap,
    IstioAttributes,
    Kind,
    Message,
    Timestamp,
    Uint,
    Value,
)

ENVOY = "envoy.filters.http.ext_proc"


def bag(
    *told: dict[str, Any], headers: HeaderMap | None = None, metadata: Any = None
) -> AttributeBag:
    source = StreamSource(
        headers or HeaderMap.of((":path", "/a?b=c"), (":method", "GET")),
        lambda: Caller("10.0.0.1", "spiffe://proxy"),
        metadata or base_pb2.Metadata(),
    )
    for one in told:
        struct = struct_pb2.Struct()
        struct.update(one)
        source.add({ENVOY: struct})
    return AttributeBag(RESOLVERS, source)


@pytest.mark.parametrize(
    ("name", "sent", "value"),
    [
        ("source.address", "127.0.0.1:40410", "127.0.0.1:40410"),
        ("source.port", 40410.0, 40410),
        ("connection.id", 2.0, Uint(2)),
        ("connection.mtls", False, False),
        ("request.protocol", "HTTP/1.1", "HTTP/1.1"),
        ("request.time", "2026-11-22T11:41:27.322541+00:00", Timestamp(1795347687322541000)),
        ("upstream.cx_pool_ready_duration", "773.997us", Duration(773997)),
        ("upstream.cx_pool_ready_duration", "1h2m3.5s", Duration(3723_500_000_000)),
        ("xds.listener_direction", 1.0, 1),
        ("xds.route_name", "", ""),
        ("response.code_details", "via_upstream", "via_upstream"),
    ],
)
def test_as_envoy_writes_them(name: str, sent: Any, value: Value) -> None:
    """Each has its declared type."""
    found = bag({name: sent}).get(name)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("source.port", "CelMap value"),
        ("source.port", float("inf")),
        ("source.port", float("nan")),
        ("source.port", 1e300),
        ("source.port", True),
        ("connection.id", -1.0),
        ("connection.mtls", "true"),
        ("source.address", 1.0),
        ("request.time", "yesterday"),
        ("request.time", 5.0),
        ("upstream.cx_pool_ready_duration", "5"),
        ("upstream.cx_pool_ready_duration", "x1s"),
        ("xds.upstream_host_metadata", "NULL"),
        ("xds.node", "id: "),
        ("xds.route_metadata", "a: { " * 10_000),
        ("filter_state", "CelMap value"),
    ],
)
def test_what_is_written_otherwise_is_absent(name: str, sent: Any) -> None:
    """A word in place of a value is none, and neither is a value of another type."""
    assert bag({name: sent}).get(name) is None


def test_messages() -> None:
    """Envoy writes them as text."""
    node = bag({"xds.node": 'id: "n" cluster: "c"'}).get("xds.node")
    assert isinstance(node, Message)
    assert base_pb2.Node.FromString(node) == base_pb2.Node(id="n", cluster="c")
    assert node.fields["cluster"] == "c"
    metadata = base_pb2.Metadata()
    metadata.filter_metadata["envoy.lb"].update({"zone": "a"})
    found = bag(metadata=metadata).get("metadata")
    assert isinstance(found, Message)
    assert base_pb2.Metadata.FromString(found) == metadata
    route = bag({"xds.route_metadata": str(metadata)}).get("xds.route_metadata")
    assert isinstance(route, Message)
    assert base_pb2.Metadata.FromString(route) == metadata


def test_headers_go_first() -> None:
    """What follows from headers follows from them as they are now."""
    told = bag(
        {"request.path": "/old", "request.size": 3.0}, headers=HeaderMap.of((":path", "/new"))
    )
    assert told.get("request.path") == "/new"
    assert told.get("request.size") == 3
    headers = HeaderMap.of((":path", "/"), ("content-length", "7"))
    assert bag({"request.size": 3.0}, headers=headers).get("request.size") == 7
    assert bag(headers=headers).get("request.total_size") == 21


def test_what_came_later_counts() -> None:
    """The response's attributes are beside those of the request."""
    both = bag({"source.port": 1.0, "xds.cluster_name": "a"}, {"xds.cluster_name": "b"})
    assert (both.get("source.port"), both.get("xds.cluster_name")) == (1, "b")


def test_who_asks_and_istio_names() -> None:
    """They are there as in every front end."""
    told = bag({"source.address": "10.1.2.3:5"})
    assert told.get("mixer.caller") == "spiffe://proxy"
    assert told.get("mixer.caller_principal") == "spiffe://proxy"
    names = told.get("mixer.attribute")
    assert isinstance(names, IstioAttributes)
    assert names["source.ip"] == bytes([10, 1, 2, 3])


def test_every_attribute_of_a_proxy_can_be_told() -> None:
    """All but what the host itself knows better."""
    own = {name for name in VOCABULARY if name.startswith(("plugin_", "mixer."))}
    unknown = VOCABULARY.keys() - RESOLVERS.keys() - own
    assert all(name.startswith("response.") for name in unknown)


@given(st.sampled_from(sorted(VOCABULARY)), st.text() | st.floats() | st.booleans() | st.none())
def test_whatever_is_sent(name: str, sent: Any) -> None:
    """It is a value of the declared type, or absent; never an error."""
    value = struct_pb2.Value()
    if sent is None:
        value.null_value = struct_pb2.NULL_VALUE
    elif isinstance(sent, bool):
        value.bool_value = sent
    elif isinstance(sent, float):
        value.number_value = sent
    else:
        value.string_value = sent
    types: dict[Kind, type] = {
        Kind.STRING: str, Kind.BOOL: bool, Kind.INT: int, Kind.UINT: Uint,
        Kind.TIMESTAMP: Timestamp, Kind.DURATION: Duration, Kind.MESSAGE: Message,
    }  # fmt: skip
    found = typed_value(name, value)
    assert found is None or type(found) is types[VOCABULARY[name]]


HEADER_NAMES = st.sampled_from(["host", ":authority", "X-A", "x-a", "x-b"])


@given(st.lists(st.tuples(HEADER_NAMES, st.binary(max_size=4), st.booleans())))
def test_headers_as_they_came(sent: list[tuple[str, bytes, bool]]) -> None:
    """In order, with duplicates and bytes; in ``value`` from proxies that do not know better."""
    message = base_pb2.HeaderMap()
    expected = []
    for name, value, is_raw in sent:
        canonical = ":authority" if name == "host" else name.lower()
        if is_raw:
            message.headers.add(key=name, raw_value=value)
            expected.append((canonical.encode(), value))
        else:
            text = value.decode("latin-1")
            message.headers.add(key=name, value=text)
            expected.append((canonical.encode(), text.encode()))
    headers = header_map(message)
    assert headers.count() == len(expected)
    for name in {name for name, _ in expected} | {b"x-absent"}:
        values = tuple(v for n, v in expected if n == name)
        assert headers.all(name) == values
        assert headers.first(name) == next(iter(values), None)
    assert headers.pairs() == expected
