"""How attribute values look to a guest, and how a path finds one."""

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixer.attributes import (
    AttributeBag,
    Duration,
    HeaderMap,
    Message,
    PairSource,
    Timestamp,
)
from mixer.proxywasm.pairs import serialize
from mixer.proxywasm.property_codec import NotALeaf, encode, look_up


def eight(value: int) -> bytes:
    return value.to_bytes(8, "little", signed=value < 0)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("/päth", "/päth".encode()),
        ("", b""),
        (b"\0\xff", b"\0\xff"),
        (True, b"\1"),
        (False, b"\0"),
        (0, bytes(8)),
        (443, eight(443)),
        (-1, b"\xff" * 8),
        (2**64 - 1, b"\xff" * 8),
        (1.5, struct.pack("<d", 1.5)),
        (Timestamp(1_700_000_000_123_456_789), eight(1_700_000_000_123_456_789)),
        (Duration(5), eight(5)),
        (Message(b"\x0a\x01a"), b"\x0a\x01a"),
        (None, b""),
        ({}, serialize([])),
        ({"a": "1", "b": 2}, serialize([(b"a", b"1"), (b"b", eight(2))])),
        ({"a": None}, serialize([(b"a", b"")])),
        (["a", "b"], serialize([(b"a", b""), (b"b", b"")])),
        ((), serialize([])),
        ({"a": ["x"]}, serialize([(b"a", serialize([(b"x", b"")]))])),
        (
            HeaderMap.of(("x", "1"), ("y", "2"), ("x", "3")),
            serialize([(b"x", b"1,3"), (b"y", b"2")]),
        ),
    ],
    ids=lambda v: type(v).__name__,
)
def test_encoding(value: Any, expected: bytes) -> None:
    """Each type of attribute has its own form."""
    assert encode(value) == expected


@given(st.lists(st.tuples(st.binary(max_size=3), st.binary(max_size=3)), max_size=5))
def test_headers_of_any_bytes_are_encoded(pairs: list[tuple[bytes, bytes]]) -> None:
    """A header map is encoded whatever bytes its names and values are made of."""
    assert encode(HeaderMap(PairSource(pairs)))[:4] == len(
        {b":authority" if n.lower() == b"host" else n.lower() for n, _ in pairs}
    ).to_bytes(4, "little")


ATTRIBUTES: dict[str, Any] = {
    "request.path": "/p",
    "request.headers": HeaderMap.of(("x-a", "1"), ("x-a", "2")),
    "request.time": None,
    "connection.mtls": True,
    "metadata": {"filter_metadata": {"ns": {"key": "value", "n": {"deep": 1}}}},
    "xds.cluster_name": "cluster",
    "xds.node": {"id": "node-1", "metadata": {"K": "V"}},
    "plugin_root_id": "root",
    "my.namespaced.attribute": "dotted",
}
BAG = AttributeBag({n: (lambda s, n=n: s[n]) for n in ATTRIBUTES}, ATTRIBUTES)


def path(*parts: str) -> bytes:
    return "\0".join(parts).encode()


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("request", "path"), "/p"),
        (("request", "headers"), ATTRIBUTES["request.headers"]),
        (("request", "headers", "x-a"), "1,2"),
        (("request", "headers", "X-A"), "1,2"),
        (("request", "headers", "none"), None),
        (("request", "time"), None),
        (("request", "none"), None),
        (("request", "path", "deeper"), None),
        (("connection", "mtls"), True),
        (("metadata", "filter_metadata", "ns", "key"), "value"),
        (("metadata", "filter_metadata", "ns", "n", "deep"), 1),
        (("metadata", "filter_metadata", "none", "key"), None),
        (("xds", "cluster_name"), "cluster"),
        (("plugin_root_id",), "root"),
        (("none",), None),
        (("none", "deeper"), None),
    ],
    ids=lambda v: ".".join(v) if isinstance(v, tuple) else type(v).__name__,
)
def test_look_up(parts: tuple[str, ...], expected: Any) -> None:
    """A path finds an attribute, or a part of one, or nothing."""
    assert look_up(BAG, path(*parts)) == expected


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("cluster_name",), "cluster"),
        (("node", "id"), "node-1"),
        (("node", "metadata", "K"), "V"),
        (("route_name",), None),
    ],
    ids=lambda v: ".".join(v) if isinstance(v, tuple) else type(v).__name__,
)
def test_legacy_names(parts: tuple[str, ...], expected: Any) -> None:
    """Names from before ``xds`` find what they mean today."""
    assert look_up(BAG, path(*parts)) == expected


@pytest.mark.parametrize("name", ["", "request", "connection", "xds"])
def test_group_is_no_leaf(name: str) -> None:
    """The empty path, and one that names a group of attributes, are told apart from the unknown."""
    with pytest.raises(NotALeaf):
        look_up(BAG, name.encode())


@given(st.binary(max_size=30))
def test_any_path_is_answered(data: bytes) -> None:
    """Whatever path a guest asks for, it finds something, nothing, or a group."""
    try:
        found = look_up(BAG, data)
    except NotALeaf:
        return
    assert isinstance(encode(found), bytes)
