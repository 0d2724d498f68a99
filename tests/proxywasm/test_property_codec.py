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
from mixer.cel.values import TYPES
from mixer.proxywasm.pairs import serialize
from mixer.proxywasm.property_codec import (
    NotALeaf,
    encode,
    encode_known,
    look_up,
    look_up_older,
    split,
)


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
        ({}, serialize([])),
        ({"a": "1", "b": 2}, serialize([(b"a", b"1"), (b"b", eight(2))])),
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


@pytest.mark.parametrize("value", [None, {"a": None}, [None], {1: [None]}, TYPES["int"]])
def test_what_has_no_form_is_told_apart(value: Any) -> None:
    """Null has no serialized form, nor what holds one."""
    with pytest.raises(NotALeaf):
        encode(value)


@pytest.mark.parametrize("year", [-1, 10_000])
def test_times_out_of_range_are_at_its_end(year: int) -> None:
    """A time that 64 bits of nanoseconds cannot tell is the first or the last one."""
    edge = -(1 << 63) if year < 0 else (1 << 63) - 1
    assert encode(Timestamp((year - 1970) * 31_556_952 * 10**9)) == eight(edge)


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


PARTS = [part.encode() for name in ATTRIBUTES for part in name.split(".")] + [
    b"ns", b"key", b"deep", b"metadata", b"x-a", b"", b"0", b"1", b"-1", b"node", b"cluster_name",
]  # fmt: skip


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
    assert look_up(BAG.get, parts) == expected


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
    assert look_up_older(BAG.get, parts) == expected


@pytest.mark.parametrize("name", ["", "request", "connection", "xds"])
def test_group_is_no_leaf(name: str) -> None:
    """The empty path, and one that names a group of attributes, are told apart from the unknown."""
    with pytest.raises(NotALeaf):
        look_up(BAG.get, split(name.encode()))


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        (b"a", ("a",)),
        (b"a\0", ("a",)),
        (b"a\0b", ("a", "b")),
        (b"a\0\0b\0", ("a", "", "b")),
        (b"\0", ("",)),
        (b"\xff", ("\udcff",)),
        (b"x" * 5000, ("x" * 5000,)),
    ],
)
def test_path_is_split(path: bytes, parts: tuple[str, ...]) -> None:
    """Parts end with a NUL, the last one too where a module writes it."""
    assert split(path) == parts


@given(st.binary(max_size=30) | st.lists(st.sampled_from(PARTS), max_size=5).map(b"\0".join))
def test_any_path_is_answered(data: bytes) -> None:
    """Whatever path a guest asks for, it finds something, nothing, or a group."""
    try:
        parts = split(data)
        for found in (look_up(BAG.get, parts), look_up_older(BAG.get, parts)):
            assert isinstance(encode_known(found), bytes | None)
    except NotALeaf:
        return
