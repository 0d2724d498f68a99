"""Calls of Mixer as a caller makes them, for tests."""

from collections.abc import Mapping, Sequence
from typing import Any

from mixer.attributes import Caller, Manifest, Value
from mixer.engine import Admission
from mixer.wire import mixer_v1_pb2 as pb
from mixer.wire.compression import WordList, compress
from mixer.wire.dictionary import WORDS

CALLER = "10.0.0.9"


def asked_by() -> Caller:
    return Caller(CALLER)


TOO_MANY = pb.CompressedAttributes(
    int64s=dict.fromkeys(range(2048), 1), bools=dict.fromkeys(range(2049), True)
)
"""One attribute more than there may be."""

Reference = tuple[str, str | None, str]
"""Name, key of a map, and condition."""


def admission() -> Admission:
    """One that knows Istio's attributes."""
    return Admission(Manifest())


def check_bytes(
    attributes: Mapping[str, Value],
    *,
    known: int = len(WORDS),
    dedup_id: str = "",
    quotas: Mapping[str, tuple[int, bool]] | None = None,
) -> bytes:
    """A CheckRequest.

    Args:
        attributes: By Istio's names.
        known: ``global_word_count``.
        dedup_id: ``deduplication_id``.
        quotas: Amount and ``best_effort`` by name.
    """
    request = pb.CheckRequest(global_word_count=known, deduplication_id=dedup_id)
    words = WordList(known)
    request.attributes.CopyFrom(compress(attributes, words))
    request.attributes.words.extend(words.words)
    for name, (amount, best_effort) in (quotas or {}).items():
        request.quotas[name].amount = amount
        request.quotas[name].best_effort = best_effort
    return request.SerializeToString()


def report_bytes(records: Sequence[Mapping[str, Value]], **fields: Any) -> bytes:
    """A ReportRequest whose records have their words in common."""
    words = WordList()
    request = pb.ReportRequest(attributes=[compress(record, words) for record in records], **fields)
    request.default_words.extend(words.words)
    return request.SerializeToString()


def references(message: pb.ReferencedAttributes) -> set[Reference]:
    """What an answer follows from; each is told once."""
    found = [
        (
            _word(message, one.name),
            _word(message, one.map_key) if one.map_key else None,
            pb.ReferencedAttributes.Condition.Name(one.condition),
        )
        for one in message.attribute_matches
    ]
    assert len(set(found)) == len(found)
    return set(found)


def _word(message: pb.ReferencedAttributes, index: int) -> str:
    return WORDS[index] if index >= 0 else message.words[~index]
