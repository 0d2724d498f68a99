"""From compressed attributes to their names and values."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from mixer.attributes import Duration, Timestamp, Value
from mixer.wire import mixer_v1_pb2 as pb
from mixer.wire.dictionary import WORDS

_NS = 1_000_000_000


class DictionaryError(ValueError):
    """An index names no word, or two attributes have one name."""


class Rejection(NamedTuple):
    """An attribute that is not taken.

    Attributes:
        name: Its name; where that is no word, its index after ``#``.
        reason: Why, for people.
    """

    name: str
    reason: str


UNREADABLE = "an index is out of the dictionary, or a key of a map is told twice"
TOLD_TWICE = "told twice"


def decompress(
    message: pb.CompressedAttributes, default_words: Sequence[str] = ()
) -> dict[str, Value]:
    """Decode attributes.

    Args:
        message: What was sent.
        default_words: Words of the report, for a record that brings none.

    Raises:
        DictionaryError: An index names no word, or two attributes have one name.
    """
    found, rejected = decompress_what_is_sound(message, default_words)
    if rejected:
        raise DictionaryError("; ".join(f"{one.name}: {one.reason}" for one in rejected))
    return found


def decompress_what_is_sound(
    message: pb.CompressedAttributes, default_words: Sequence[str] = ()
) -> tuple[dict[str, Value], list[Rejection]]:
    """Decode attributes, and leave out those that make no sense.

    Args:
        message: What was sent.
        default_words: Words of the report, for a record that brings none.
    """
    own = texts(message.words) or default_words
    try:
        found = _decoded(message, own)
    except IndexError:
        return _decoded_singly(message, own)
    return (found, []) if len(found) == count(message) else _decoded_singly(message, own)


def texts(words: Sequence[str | bytes]) -> list[str]:
    """Words as texts; those that are not UTF-8 come as bytes, see `mixer.wire.lenient`."""
    return [
        word if isinstance(word, str) else word.decode(errors="surrogateescape") for word in words
    ]


def _decoded(message: pb.CompressedAttributes, own: Sequence[str]) -> dict[str, Value]:
    """All of them. Written out, since this is done for every check and every record.

    Raises:
        IndexError: An index names no word, or two keys of one map are the same.
    """
    words = WORDS
    strings = message.strings  # `items` of such a map takes twice as long
    found: dict[str, Value] = {
        words[k] if k >= 0 else own[~k]: words[v] if (v := strings[k]) >= 0 else own[~v]
        for k in strings
    }
    for scalars in (message.int64s, message.bools, message.bytes, message.doubles):
        for k in scalars:
            found[words[k] if k >= 0 else own[~k]] = scalars[k]
    for k, time in message.timestamps.items():
        found[words[k] if k >= 0 else own[~k]] = Timestamp(time.seconds * _NS + time.nanos)
    for k, span in message.durations.items():
        found[words[k] if k >= 0 else own[~k]] = Duration(span.seconds * _NS + span.nanos)
    for key, string_map in message.string_maps.items():
        entries = string_map.entries
        found[words[key] if key >= 0 else own[~key]] = one = {
            words[k] if k >= 0 else own[~k]: words[v] if (v := entries[k]) >= 0 else own[~v]
            for k in entries
        }
        if len(one) != len(entries):
            raise IndexError
    return found


def count(message: pb.CompressedAttributes) -> int:
    """How many attributes were sent."""
    return (
        len(message.strings) + len(message.int64s) + len(message.bools) + len(message.bytes)
        + len(message.doubles) + len(message.timestamps) + len(message.durations)
        + len(message.string_maps)
    )  # fmt: skip


Word = Callable[[int], str]


def _decoded_singly(
    message: pb.CompressedAttributes, own: Sequence[str]
) -> tuple[dict[str, Value], list[Rejection]]:
    """The same one by one; where a name is told twice, nobody knows which one is meant."""

    def word(index: int) -> str:
        return WORDS[index] if index >= 0 else own[~index]

    found: dict[str, Value] = {}
    rejected: dict[str, str] = {}
    for key, value in _entries(message, word):
        try:
            name = word(key)
        except IndexError:
            rejected[f"#{key}"] = UNREADABLE
            continue
        if name in found or name in rejected:
            rejected[name] = TOLD_TWICE
            found.pop(name, None)
        elif value is None:
            rejected[name] = UNREADABLE
        else:
            found[name] = value
    return found, [Rejection(*item) for item in rejected.items()]


def _entries(message: pb.CompressedAttributes, word: Word) -> Iterator[tuple[int, Value | None]]:
    """Keys and values; None for a value that has no word."""
    for key, index in message.strings.items():
        yield key, _or_none(word, index)
    for scalars in (message.int64s, message.bools, message.bytes, message.doubles):
        yield from scalars.items()
    for key, time in message.timestamps.items():
        yield key, Timestamp(time.seconds * _NS + time.nanos)
    for key, span in message.durations.items():
        yield key, Duration(span.seconds * _NS + span.nanos)
    for key, string_map in message.string_maps.items():
        yield key, _string_map(string_map.entries, word)


def _or_none(word: Word, index: int) -> str | None:
    try:
        return word(index)
    except IndexError:
        return None


def _string_map(entries: Mapping[int, int], word: Word) -> dict[str, Any] | None:
    found: dict[str, Any] = {}
    for key, value in entries.items():
        name, text = _or_none(word, key), _or_none(word, value)
        if name is None or text is None or name in found:
            return None
        found[name] = text
    return found
