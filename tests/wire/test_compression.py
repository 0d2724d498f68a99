"""Attributes in and out of their compressed form, and what is wrong with some."""

import re
from http import HTTPStatus
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from mixer.attributes import Duration, Timestamp, Value
from mixer.wire import mixer_v1_pb2 as pb
from mixer.wire.compression import DictionaryError, WordList, compress, decompress
from mixer.wire.decompression import TOLD_TWICE, UNREADABLE, decompress_what_is_sound
from mixer.wire.dictionary import INDICES, WORDS
from mixer.wire.lenient import parse, parse_frames

_i64 = st.integers(-(1 << 63), (1 << 63) - 1)
_ns = st.integers(-(10**18), 10**18)
_word = st.sampled_from(WORDS) | st.text(max_size=20)
_value: st.SearchStrategy[Value] = st.one_of(
    _word,
    _i64,
    st.floats(allow_nan=False),
    st.booleans(),
    st.binary(max_size=20),
    st.builds(Timestamp, _ns),
    st.builds(Duration, _ns),
    st.dictionaries(_word, _word, max_size=5),
)
_attributes = st.dictionaries(_word, _value, max_size=20)


def _typed(attributes: dict[str, Any]) -> dict[str, tuple[type, Any]]:
    return {name: (type(value), value) for name, value in attributes.items()}


@given(_attributes)
def test_what_is_compressed_comes_back(attributes: dict[str, Value]) -> None:
    """Attributes of all types come back as they were, types included."""
    sent = compress(attributes).SerializeToString()
    assert _typed(decompress(pb.CompressedAttributes.FromString(sent))) == _typed(attributes)


@given(st.lists(_attributes, max_size=5), st.integers(0, len(WORDS)))
def test_records_with_words_in_common(records: list[dict[str, Value]], known: int) -> None:
    """Records that share their words come back, whatever part of the dictionary is known."""
    words = WordList(known)
    sent = [compress(record, words) for record in records]
    assert all(index < known for one in sent for index in one.strings)
    assert [decompress(one, words.words) for one in sent] == records


@given(_attributes, st.data())
def test_a_flipped_bit_does_no_harm(attributes: dict[str, Value], data: st.DataObject) -> None:
    """Whatever bit flips on the way, the only errors are those that are documented."""
    sent = bytearray(compress(attributes).SerializeToString() or b"\0")
    sent[data.draw(st.integers(0, len(sent) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        message = parse(pb.CompressedAttributes, bytes(sent))
    except DecodeError:
        return
    found, rejected = decompress_what_is_sound(message)
    try:
        assert decompress(message) == found
    except DictionaryError:
        assert rejected


@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    """Bytes that are no message are a DecodeError and nothing else."""
    for kind in (pb.CheckRequest, pb.ReportRequest, pb.CompressedAttributes):
        try:
            parse(kind, data)
        except DecodeError:
            continue
    try:
        parse_frames(data)
    except DecodeError:
        return


def _message(**maps: dict[int, int]) -> pb.CompressedAttributes:
    message = pb.CompressedAttributes(words=["a", "b", "a"])
    for field, entries in maps.items():
        getattr(message, field).update(entries)
    return message


@pytest.mark.parametrize("index", [222, 223, 1 << 30, -4, -(1 << 31)])
def test_indices_out_of_the_dictionary(index: int) -> None:
    """Such an attribute is rejected, be it its name or its value; the others are taken."""
    as_value = _message(strings={17: index, 19: 90})
    assert decompress_what_is_sound(as_value) == (
        {"request.method": "GET"},
        [("request.path", UNREADABLE)],
    )
    as_name = _message(int64s={index: 1, 30: 200})
    assert decompress_what_is_sound(as_name) == (
        {"response.code": 200},
        [(f"#{index}", UNREADABLE)],
    )
    for message in (as_value, as_name):
        with pytest.raises(DictionaryError, match="out of the dictionary"):
            decompress(message)


@pytest.mark.parametrize("entry", [(-1, 222), (222, -1), (-1, -9), (-9, -9)])
def test_a_map_with_such_an_index(entry: tuple[int, int]) -> None:
    """A map with an entry that cannot be read is rejected as a whole."""
    message = _message(strings={19: 90})
    message.string_maps[15].entries[-2] = -2
    message.string_maps[15].entries[entry[0]] = entry[1]
    assert decompress_what_is_sound(message) == (
        {"request.method": "GET"},
        [("request.headers", UNREADABLE)],
    )


def test_words_that_repeat() -> None:
    """A word may be there twice: its indices mean the same."""
    assert decompress(_message(strings={-1: -3, -2: -2})) == {"a": "a", "b": "b"}


def test_a_name_that_is_told_twice() -> None:
    """Where one name has two values, by two indices or in two types, none is taken."""
    told = [
        _message(strings={-1: 90, -3: 91, 19: 90}),
        _message(strings={-1: 90, 19: 90}, int64s={-1: 5}),
        _message(strings={-1: 90, 19: 90}, int64s={-1: 5}, bools={-3: True}),
    ]
    for message in told:
        assert decompress_what_is_sound(message) == (
            {"request.method": "GET"},
            [("a", TOLD_TWICE)],
        )


def test_a_key_of_a_map_that_is_told_twice() -> None:
    """A map whose key has two values is rejected as a whole."""
    message = _message()
    message.string_maps[15].entries.update({-1: -1, -3: -2})
    assert decompress_what_is_sound(message) == ({}, [("request.headers", UNREADABLE)])


def test_own_words_go_before_default_words() -> None:
    """Default words count only for a record that brings none."""
    own, none = pb.CompressedAttributes(words=["own"]), pb.CompressedAttributes()
    for message in (own, none):
        message.strings[17] = -1
    assert decompress(own, ["default"]) == {"request.path": "own"}
    assert decompress(none, ["default"]) == {"request.path": "default"}


def test_the_key_of_a_map_is_never_0() -> None:
    """The first word of the dictionary as a key gets an index of its own: 0 means no key."""
    words = WordList()
    assert words.index(WORDS[0]) == 0
    assert (words.key_index(WORDS[0]), words.key_index(WORDS[1])) == (-1, 1)
    assert words.words == [WORDS[0]]


def test_a_caller_with_fewer_words() -> None:
    """What the other side does not know of the dictionary goes along with the message."""
    words = WordList(111)
    assert words.index("request.path") == INDICES["request.path"] == 17
    assert words.index("destination.ip") == -1
    assert words.words == ["destination.ip"]


def test_text_that_is_not_utf8() -> None:
    """It is taken, as C++ sends it, and keeps its bytes."""
    data = bytes.fromhex("0a090a01ff1204082210011a01fe")
    with pytest.raises(DecodeError):
        pb.CheckRequest.FromString(data)
    request = parse(pb.CheckRequest, data)
    (path,) = decompress(request.attributes).values()
    assert isinstance(path, str)
    assert path.encode(errors="surrogateescape") == b"\xff"
    assert request.deduplication_id == b"\xfe"


def test_the_records_of_a_report_are_not_parsed() -> None:
    """A report gives the bytes of its records, and its words, one of which is not UTF-8."""
    frames = parse_frames(bytes.fromhex("0a02ffff 0a00 1201ff 120161 18de01 2001".replace(" ", "")))
    assert list(frames.attributes) == [b"\xff\xff", b""]
    assert list(frames.default_words) == [b"\xff", "a"]
    assert (frames.global_word_count, frames.repeated_attributes_semantics) == (222, 1)


def test_a_value_of_no_type() -> None:
    """What is no attribute is refused by its name."""
    with pytest.raises(TypeError, match="attribute a: list is no type of an attribute"):
        compress({"a": ["b"]})


@pytest.mark.parametrize(
    ("attributes", "error", "message"),
    [
        ({"a": {"x": 1}}, TypeError, "attribute a: the value of 'x' must be text, not int"),
        ({"a": {"x": {}}}, TypeError, "attribute a: the value of 'x' must be text, not dict"),
        ({"a": {1: "x"}}, TypeError, "attribute a: the keys of a map must be text, not 1"),
        ({"a": {"x": "\ud800"}}, ValueError, "attribute a: 'x' or its value is not Unicode text"),
        ({"a": "\ud800"}, ValueError, r"attribute a: '\ud800' is not Unicode text"),
        (
            {"a": 2**70},
            ValueError,
            "attribute a: a number must be from -2**63 to 2**63 - 1",
        ),
        ({"a": Duration(2**99)}, ValueError, "attribute a: the seconds of a Duration"),
        ({"a": None}, TypeError, "attribute a: NoneType is no type of an attribute"),
        ({"a": HTTPStatus.OK}, TypeError, "attribute a: HTTPStatus is no type of an attribute"),
        ({1: "x"}, TypeError, "the name of an attribute must be text, not 1"),
        ({"\ud800": 1}, ValueError, r"attribute '\ud800': its name is not Unicode text"),
    ],
)
def test_a_bad_value_is_named(attributes: Any, error: type[Exception], message: str) -> None:
    """By its attribute, with what is wrong."""
    with pytest.raises(error, match=re.escape(message)):
        compress({"good": 1} | attributes, WordList())
