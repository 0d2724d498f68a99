"""Answers of a server, made of what they say."""

from collections.abc import Iterable, Mapping
from typing import Any

from mixer.wire import mixer_v1_pb2 as pb
from mixer.wire.compression import WordList

EXACT = pb.ReferencedAttributes.EXACT
ABSENCE = pb.ReferencedAttributes.ABSENCE
REGEX = pb.ReferencedAttributes.REGEX

Reference = tuple[str, str | None, int]
"""An attribute, an entry of it or None, and a condition."""

FOREVER = 3600.0


def referenced(*references: Reference) -> pb.ReferencedAttributes:
    """Tell what an answer followed from."""
    words = WordList()
    message = pb.ReferencedAttributes()
    for name, key, condition in references:
        match = message.attribute_matches.add(name=words.index(name), condition=condition)
        if key is not None:
            match.map_key = words.index(key)
    message.words.extend(words.words)
    return message


def exact(*names: str) -> list[Reference]:
    """References to attributes that are there."""
    return [(name, None, EXACT) for name in names]


def answer(
    references: Iterable[Reference] | None = (),
    code: int = 0,
    message: str = "",
    seconds: float = FOREVER,
    uses: int = -1,
    quotas: Mapping[str, Any] | None = None,
) -> pb.CheckResponse:
    """An answer to a check; without references where there are None."""
    response = pb.CheckResponse()
    said = response.precondition
    said.status.code, said.status.message = code, message
    said.valid_use_count = uses
    said.valid_duration.FromNanoseconds(int(seconds * 1e9))
    if references is not None:
        said.referenced_attributes.CopyFrom(referenced(*references))
    for name, result in (quotas or {}).items():
        response.quotas[name].CopyFrom(result)
    return response


def granted(
    amount: int, seconds: float = FOREVER, references: Iterable[Reference] = (), code: int = 0
) -> pb.CheckResponse.QuotaResult:
    """What is granted of a quota."""
    result = pb.CheckResponse.QuotaResult(
        granted_amount=amount, referenced_attributes=referenced(*references)
    )
    result.status.code = code
    result.valid_duration.FromNanoseconds(int(seconds * 1e9))
    return result
