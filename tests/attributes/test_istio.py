"""Istio's attributes: names, types, and what they are in terms of Envoy's."""

from typing import Any

import pytest

from mixer.attributes import (
    ISTIO_VOCABULARY,
    AttributeBag,
    Duration,
    HeaderMap,
    IstioAttributes,
    Manifest,
    Timestamp,
    Value,
    ValueType,
)

_OF_TYPE: dict[ValueType, Value] = {
    ValueType.STRING: "text",
    ValueType.EMAIL_ADDRESS: "a@b.c",
    ValueType.URI: "https://a.b",
    ValueType.DNS_NAME: "a.b",
    ValueType.INT64: 1,
    ValueType.DOUBLE: 1.0,
    ValueType.BOOL: True,
    ValueType.TIMESTAMP: Timestamp(1),
    ValueType.DURATION: Duration(1),
    ValueType.IP_ADDRESS: b"\x0a\0\0\1",
    ValueType.STRING_MAP: {"a": "b"},
}
_MANIFEST = Manifest({f"own.{kind.lower()}": kind for kind in ValueType})


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("source.ip", ValueType.IP_ADDRESS),
        ("destination.port", ValueType.INT64),
        ("connection.mtls", ValueType.BOOL),
        ("request.headers", ValueType.STRING_MAP),
        ("request.time", ValueType.TIMESTAMP),
        ("response.duration", ValueType.DURATION),
        ("response.grpc_status", ValueType.STRING),
        ("source.workload.namespace", ValueType.STRING),
    ],
)
def test_the_vocabulary(name: str, kind: ValueType) -> None:
    """Names have the types that Istio's manifests give them."""
    assert ISTIO_VOCABULARY[name] is kind
    assert len(ISTIO_VOCABULARY) == 88


@pytest.mark.parametrize("kind", ValueType)
def test_attributes_of_their_type(kind: ValueType) -> None:
    """A value of the declared type is admitted, as it is."""
    sent = {f"own.{kind.lower()}": _OF_TYPE[kind]}
    assert _MANIFEST.admit(sent) == (sent, [])


@pytest.mark.parametrize("kind", ValueType)
@pytest.mark.parametrize("given", ValueType)
def test_attributes_of_another_type(kind: ValueType, given: ValueType) -> None:
    """A value of any other type is rejected by name, and the rest is admitted."""
    value = _OF_TYPE[given]
    if type(value) is type(_OF_TYPE[kind]):
        return
    name = f"own.{kind.lower()}"
    admitted, wrong = _MANIFEST.admit({name: value, "request.path": "/"})
    assert admitted == {"request.path": "/"}
    assert [(one.name, one.wanted) for one in wrong] == [(name, kind)]


@pytest.mark.parametrize("size", [0, 3, 5, 15, 17])
def test_addresses_of_no_size(size: int) -> None:
    """An IP address has 4 or 16 bytes."""
    admitted, (wrong,) = Manifest().admit({"source.ip": b"\0" * size})
    assert not admitted
    assert str(wrong) == f"source.ip: must be IP_ADDRESS, not {size} bytes"


def test_names_in_no_manifest() -> None:
    """They are ignored, whatever their type."""
    assert Manifest().admit({"source.port": 5, "x": "y"}) == ({}, [])


def _bag(**more: Any) -> AttributeBag:
    headers = HeaderMap.of(("content-type", "application/grpc"), ("x-a", "b"))
    known: dict[str, Value] = {
        "request.headers": headers,
        "request.path": "/a?x=1&y=&x=2",
        "request.query": "x=1&y=&x=2",
        "request.time": Timestamp(5),
        "source.address": "[::1]:80",
        "destination.address": "10.0.0.1:443",
        "source.principal": "spiffe://cluster.local/ns/a/sa/b",
        "xds.listener_direction": 1,
        "connection.mtls": True,
        "response.grpc_status": 5,
        "destination.service": "shop",
    } | {name.replace("__", "."): value for name, value in more.items()}
    return AttributeBag({name: lambda s, n=name: s[n] for name in known}, known)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("request.path", "/a?x=1&y=&x=2"),
        ("request.query_params", {"x": "1", "y": ""}),
        ("request.time", Timestamp(5)),
        ("context.time", Timestamp(5)),
        ("source.ip", b"\0" * 15 + b"\1"),
        ("origin.ip", b"\0" * 15 + b"\1"),
        ("destination.ip", b"\x0a\0\0\1"),
        ("source.principal", "cluster.local/ns/a/sa/b"),
        ("context.reporter.kind", "inbound"),
        ("context.protocol", "grpc"),
        ("connection.mtls", True),
        ("response.grpc_status", "5"),
        ("destination.service.host", "shop"),
    ],
)
def test_istio_names_of_what_envoy_tells(name: str, value: Value) -> None:
    """What a proxy tells by Envoy's names is found by Istio's, in Istio's type."""
    attributes = IstioAttributes(_bag().get)
    assert attributes[name] == value
    assert Manifest().admit({name: value})[0] == {name: value}


def test_headers_by_istio_name() -> None:
    """The headers are a mapping there as well."""
    headers = IstioAttributes(_bag().get)["request.headers"]
    assert isinstance(headers, HeaderMap)
    assert headers["x-a"] == "b"


@pytest.mark.parametrize("name", ["request.host", "source.uid", "response.code", "nonsense"])
def test_what_is_not_told_is_absent(name: str) -> None:
    """An attribute that the proxy did not tell, or cannot, is no key."""
    attributes = IstioAttributes(_bag().get)
    assert name not in attributes
    assert name not in list(attributes)


def test_an_address_that_is_a_path() -> None:
    """A Unix socket has no IP address."""
    assert "source.ip" not in IstioAttributes(_bag(source__address="/run/a.sock").get)


def test_every_name_is_in_the_vocabulary() -> None:
    """No name is told that no manifest has."""
    assert set(IstioAttributes(_bag().get)) <= set(ISTIO_VOCABULARY)
