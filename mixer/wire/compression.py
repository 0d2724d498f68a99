"""Attributes as Mixer's callers send them: names and strings are indices of words."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from mixer.attributes import Duration, Timestamp, Value
from mixer.wire import mixer_v1_pb2 as pb
from mixer.wire.dictionary import INDICES, WORDS

_NS = 1_000_000_000


class DictionaryError(ValueError):
    """An index names no word."""


class WordList:
    """Gives words their indices, and keeps those that the global dictionary lacks.

    Attributes:
        words: The words of the message, in the order of their indices -1, -2, ...
    """

    __slots__ = ("_indices", "words")

    def __init__(self) -> None:
        self.words: list[str] = []
        self._indices: dict[str, int] = {}

    def index(self, word: str) -> int:
        """The index of a word, new or not."""
        known = INDICES.get(word)
        if known is None:
            known = self._indices.get(word)
        if known is None:
            self.words.append(word)
            known = self._indices[word] = -len(self.words)
        return known


def compress(
    attributes: Mapping[str, Value], words: WordList | None = None
) -> pb.CompressedAttributes:
    """Encode attributes.

    Args:
        attributes: By name: str, bytes, bool, int, float, Timestamp, Duration, or a mapping of str.
        words: Those of a whole report; unless it is given, the message gets its own.

    Raises:
        TypeError: A value is of no such type.
    """
    own = WordList() if words is None else words
    message = pb.CompressedAttributes()
    for name, value in attributes.items():
        put = _PUT.get(type(value)) or _put_of(name, value)
        put(message, own, own.index(name), value)
    if words is None:
        message.words.extend(own.words)
    return message


def _put_of(name: str, value: object) -> "_Put":
    if isinstance(value, Mapping):
        return _put_map
    raise TypeError(f"attribute {name}: {type(value).__name__} is no type of an attribute")


def _put_map(
    message: pb.CompressedAttributes, words: WordList, key: int, value: Mapping[str, str]
) -> None:
    entries = message.string_maps[key].entries
    for name, text in value.items():
        entries[words.index(name)] = words.index(text)


def _put_string(message: pb.CompressedAttributes, words: WordList, key: int, value: str) -> None:
    message.strings[key] = words.index(value)


def _scalar(field: str) -> "_Put":
    def put(message: pb.CompressedAttributes, _words: WordList, key: int, value: Any) -> None:
        getattr(message, field)[key] = value

    return put


def _span(field: str) -> "_Put":
    def put(message: pb.CompressedAttributes, _words: WordList, key: int, value: int) -> None:
        span = getattr(message, field)[key]
        span.seconds, span.nanos = divmod(value, _NS)

    return put


_Put = Callable[[pb.CompressedAttributes, WordList, int, Any], None]
_PUT: dict[type, _Put] = {
    str: _put_string,
    int: _scalar("int64s"),
    float: _scalar("doubles"),
    bool: _scalar("bools"),
    bytes: _scalar("bytes"),
    Timestamp: _span("timestamps"),
    Duration: _span("durations"),
}


def decompress(
    message: pb.CompressedAttributes, default_words: Sequence[str] = ()
) -> dict[str, Value]:
    """Decode attributes.

    Args:
        message: What was sent.
        default_words: Words of the report, for a record that brings none.

    Raises:
        DictionaryError: An index names no word.
    """
    own = message.words or default_words
    try:
        return dict(_decoded(message, own))
    except IndexError:
        raise DictionaryError("an index is out of the dictionary") from None


def _decoded(message: pb.CompressedAttributes, own: Sequence[str]) -> Iterator[tuple[str, Value]]:
    def word(index: int) -> str:
        return WORDS[index] if index >= 0 else own[~index]

    for key, index in message.strings.items():
        yield word(key), word(index)
    for scalars in (message.int64s, message.doubles, message.bools, message.bytes):
        for key, value in scalars.items():
            yield word(key), value
    for key, time in message.timestamps.items():
        yield word(key), Timestamp(time.seconds * _NS + time.nanos)
    for key, span in message.durations.items():
        yield word(key), Duration(span.seconds * _NS + span.nanos)
    for key, texts in message.string_maps.items():
        yield word(key), {word(k): word(v) for k, v in texts.entries.items()}
