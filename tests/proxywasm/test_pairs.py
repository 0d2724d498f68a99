"""The serialization of header maps."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixer.proxywasm.pairs import MAX_BYTES, MAX_PAIRS, deserialize, serialize

PAIRS = st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=20)), max_size=12)


@given(PAIRS)
def test_what_was_serialized_is_read_back(pairs: list[tuple[bytes, bytes]]) -> None:
    """Order, duplicates, empty parts and NULs inside of parts survive."""
    assert deserialize(serialize(pairs)) == pairs


def test_layout() -> None:
    """A count, the lengths of each pair, and each part with a NUL behind it."""
    expected = struct.pack("<5I", 2, 1, 2, 0, 1) + b"a\0bc\0\0d\0"
    assert serialize([(b"a", b"bc"), (b"", b"d")]) == expected


def test_empty_map() -> None:
    """The empty map is a count of zero; no bytes and one NUL are read as empty as well."""
    assert serialize([]) == bytes(4)
    assert [deserialize(data) for data in (bytes(4), b"", b"\0")] == [[], [], []]


@given(st.binary(max_size=64))
def test_any_bytes_are_read_without_an_error(data: bytes) -> None:
    """What a guest hands over is read as pairs that would be serialized like that, or none."""
    pairs = deserialize(data)
    assert pairs == [] or serialize(pairs) == data


@given(PAIRS.filter(bool), st.data())
def test_damaged_bytes_are_an_empty_map(
    pairs: list[tuple[bytes, bytes]], data: st.DataObject
) -> None:
    """Bytes that are cut, or longer than what their lengths say, are an empty map."""
    sound = serialize(pairs)
    assert deserialize(sound[: data.draw(st.integers(0, len(sound) - 1))]) == []
    assert deserialize(sound + b"\0") == []


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("<3I", 1, 1, 1) + b"a\0b!",
        struct.pack("<3I", 1, 1, 1) + b"a!b\0",
        struct.pack("<3I", 2, 1, 1) + b"a\0b\0",
        struct.pack("<3I", 1, 2**32 - 1, 3) + b"a\0b\0",
        struct.pack("<I", 2**32 - 1),
    ],
    ids=["no NUL at the end", "no NUL between", "count too large", "huge length", "huge count"],
)
def test_malformed_bytes_are_an_empty_map(data: bytes) -> None:
    """Lengths, counts and NULs that do not agree are an empty map."""
    assert deserialize(data) == []


def test_bound_on_pairs() -> None:
    """As many pairs as the bound are read, and one more is an empty map."""
    pairs = [(b"a", b"b")] * MAX_PAIRS
    assert deserialize(serialize(pairs)) == pairs
    assert MAX_PAIRS == 1024
    assert deserialize(serialize([*pairs, (b"a", b"b")])) == []


def test_bound_on_bytes() -> None:
    """As many bytes as the bound are read, and one more is an empty map."""
    overhead = len(serialize([(b"a", b"")]))
    pairs = [(b"a", bytes(MAX_BYTES - overhead))]
    assert deserialize(serialize(pairs)) == pairs
    assert MAX_BYTES == 1 << 20
    assert deserialize(serialize([(b"a", bytes(MAX_BYTES - overhead + 1))])) == []
