"""Records encoded together: words that they share are sent once."""

from collections.abc import Mapping, Sequence
from typing import Any

from mixer.attributes import Value
from mixer.client.references import comparable
from mixer.client.settings import ReportEncoding
from mixer.wire import mixer_v1_pb2 as pb
from mixer.wire.compression import WordList, compress, decompress

MOST_BYTES = 1016 << 10
"""Of a request. Istio's Mixer takes 1 MiB unless told otherwise; the rest is for words of the
dictionary that it may turn out not to know."""

_FRAME = 4
"""Bytes before each record and each word in a request."""
_HEAD = 16
"""Bytes of all else in it."""

_SEMANTICS = {
    ReportEncoding.INDEPENDENT: pb.ReportRequest.INDEPENDENT_ENCODING,
    ReportEncoding.DELTA: pb.ReportRequest.DELTA_ENCODING,
}


class ReportBatch:
    """Records in one request.

    Args:
        encoding: How they follow from each other.
        known: How many words of the global dictionary the server knows.
        now: Nanoseconds, monotonic.

    Attributes:
        request: To send.
        size: Bytes that it takes.
        began: When.
        tries: How often it was sent.
    """

    __slots__ = ("_delta", "_last", "_words", "began", "request", "size", "tries")

    def __init__(self, encoding: ReportEncoding, known: int, now: int) -> None:
        self._delta = encoding is ReportEncoding.DELTA
        self._last: dict[str, Any] = {}
        self._words = WordList(known)
        self.request = pb.ReportRequest(
            global_word_count=known, repeated_attributes_semantics=_SEMANTICS[encoding]
        )
        self.began = now
        self.size = _HEAD
        self.tries = 0

    def __len__(self) -> int:
        return len(self.request.attributes)

    def takes(self, attributes: Mapping[str, Value]) -> bool:
        """Whether this record can be told after the last one: DELTA deletes nothing."""
        return attributes.keys() >= self._last.keys()

    def add(self, attributes: Mapping[str, Value]) -> bool:
        """Add a record; after a failure, or where it has no room, this batch takes no more.

        Returns:
            Whether there was room for it.

        Raises:
            TypeError: A value has no type of an attribute.
            ValueError: A number is out of its bounds, a text is not Unicode, or the record takes
                more than `MOST_BYTES`.
        """
        told = len(self._words.words)
        values = _comparables(attributes) if self._delta else {}
        try:
            record = compress(self._changed(attributes, values), self._words)
            self.request.default_words.extend(self._words.words[told:])
            size = _size(record, self._words.words[told:])
            if _HEAD + size > MOST_BYTES:
                raise ValueError(f"a record may take {MOST_BYTES - _HEAD} bytes, not {size}")
        except (TypeError, ValueError):
            del self.request.default_words[told:]
            raise
        if self.size + size > MOST_BYTES:
            del self.request.default_words[told:]
            return False
        self.request.attributes.append(record)
        self.size += size
        self._last.update(values)
        return True

    def _changed(
        self, attributes: Mapping[str, Value], values: Mapping[str, Any]
    ) -> Mapping[str, Value]:
        if not self._delta:
            return attributes
        return {
            name: value
            for name, value in attributes.items()
            if name not in self._last or self._last[name] != values[name]
        }

    def encode_again(self, known: int) -> None:
        """Encode with fewer words of the global dictionary."""
        words = WordList(known)
        own = self.request.default_words
        records = [compress(decompress(one, own), words) for one in self.request.attributes]
        del self.request.attributes[:], self.request.default_words[:]
        self.request.attributes.extend(records)
        self.request.default_words.extend(words.words)
        self.request.global_word_count = known


def _comparables(attributes: Mapping[str, Value]) -> dict[str, Any]:
    try:
        return {name: comparable(value) for name, value in attributes.items()}
    except TypeError:
        compress(attributes)  # raises an error that names the attribute
        raise


def _size(record: pb.CompressedAttributes, words: Sequence[str]) -> int:
    return record.ByteSize() + _FRAME + sum(len(word.encode()) + _FRAME for word in words)
