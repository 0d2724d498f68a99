"""Attributes as Mixer's callers send them: names and strings are indices of words."""

from collections.abc import Callable, Mapping
from typing import Any

from mixer.attributes import Duration, Timestamp, Value
from mixer.wire import mixer_v1_pb2 as pb
from mixer.wire.decompression import DictionaryError, decompress
from mixer.wire.dictionary import WordList
from mixer.wire.refusal import refusal

__all__ = ["DictionaryError", "WordList", "compress", "decompress"]

_NS = 1_000_000_000


def compress(
    attributes: Mapping[str, Value], words: WordList | None = None
) -> pb.CompressedAttributes:
    """Encode attributes.

    Args:
        attributes: By name: str, bytes, bool, int, float, Timestamp, Duration, or a mapping of str.
        words: Those of a whole report; unless it is given, the message gets its own.

    Raises:
        TypeError: A value is of no such type.
        ValueError: A number is out of its bounds, or a text is not Unicode.
    """
    own = WordList() if words is None else words
    message = pb.CompressedAttributes()
    for name, value in attributes.items():
        put = _PUT.get(type(value)) or _put_of(value)
        try:
            put(message, own, own.index(name), value)
        except (TypeError, ValueError):
            raise refusal(name, value) from None
    if words is None:
        message.words.extend(own.words)
    return message


def _put_of(value: object) -> "_Put":
    return _put_map if isinstance(value, Mapping) else _put_nothing


def _put_nothing(
    _message: pb.CompressedAttributes, _words: WordList, _key: int, value: object
) -> None:
    raise TypeError(f"{type(value).__name__} is no type of an attribute")


def _put_map(
    message: pb.CompressedAttributes, words: WordList, key: int, value: Mapping[str, str]
) -> None:
    string_map = message.string_maps[key]
    for name, text in value.items():
        index = words.index(name)  # before that of the text, as `mixc` numbers them
        string_map.entries[index] = words.index(text)


def _put_string(message: pb.CompressedAttributes, words: WordList, key: int, value: str) -> None:
    message.strings[key] = words.index(value)


def _scalar(field: str) -> "_Put":
    def put(message: pb.CompressedAttributes, _words: WordList, key: int, value: Any) -> None:
        getattr(message, field)[key] = value

    return put


def _put_time(message: pb.CompressedAttributes, _words: WordList, key: int, value: int) -> None:
    time = message.timestamps[key]
    time.seconds, time.nanos = divmod(value, _NS)


def _put_duration(message: pb.CompressedAttributes, _words: WordList, key: int, value: int) -> None:
    seconds, rest = divmod(abs(value), _NS)
    span, sign = message.durations[key], 1 if value >= 0 else -1  # one sign for both fields
    span.seconds, span.nanos = sign * seconds, sign * rest


_Put = Callable[[pb.CompressedAttributes, WordList, int, Any], None]
_PUT: dict[type, _Put] = {
    str: _put_string,
    int: _scalar("int64s"),
    float: _scalar("doubles"),
    bool: _scalar("bools"),
    bytes: _scalar("bytes"),
    Timestamp: _put_time,
    Duration: _put_duration,
}
