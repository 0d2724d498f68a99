"""From the bytes of a CheckRequest to what the engine is asked."""

from collections.abc import Mapping
from dataclasses import dataclass

from mixer.api.mixer_v1.attributes import RESOLVERS
from mixer.api.mixer_v1.parsing import (
    admitted,
    check_attributes,
    check_dictionary,
    check_number,
    malformed,
    parse_call,
)
from mixer.api.mixer_v1.references import References
from mixer.api.mixer_v1.source import Asked, MixerSource
from mixer.attributes import AttributeBag, FindCaller, Value
from mixer.engine import Admission, Request
from mixer.wire import mixer_v1_pb2 as pb
from mixer.wire.decompression import texts

MOST_QUOTAS = 256
"""Of one request."""

_BODY_SIZE = b"content-length"


@dataclass(frozen=True, slots=True)
class Quota:
    """What is asked of a quota.

    Attributes:
        name: Of the quota.
        amount: How much; negative ones are refused.
        best_effort: Whether less is welcome.
    """

    name: str
    amount: int
    best_effort: bool


@dataclass(frozen=True, slots=True)
class Question:
    """One thing that the engine is asked, with a note of what its answer follows from.

    Attributes:
        request: For the engine.
        references: What was looked up.
    """

    request: Request
    references: References


class Check:
    """One CheckRequest.

    Args:
        values: The attributes.
        caller: Tells who asks.
        dedup_id: The same in a repetition; empty where the caller gave none.
        known_words: How many words of the global dictionary the caller knows.
        quotas: That are asked for.

    Attributes:
        quotas: The same.
        known_words: The same.
    """

    __slots__ = ("_caller", "_dedup_id", "_has_body", "_values", "known_words", "quotas")

    def __init__(
        self,
        values: Mapping[str, Value],
        caller: FindCaller,
        dedup_id: str,
        known_words: int,
        quotas: tuple[Quota, ...],
    ) -> None:
        self._values = values
        self._caller = caller
        self._dedup_id = dedup_id or None
        self.known_words = known_words
        self.quotas = quotas
        self._has_body = _announces_body(values)

    def question(self) -> Question:
        """Whether the request may go on."""
        return self._ask(Asked("check", self._caller, self._dedup_id))

    def quota_question(self, quota: Quota) -> Question:
        """How much it gets of a quota."""
        asked = {"name": quota.name, "amount": quota.amount, "best_effort": quota.best_effort}
        return self._ask(Asked("quota", self._caller, self._dedup_id, asked))

    def _ask(self, asked: Asked) -> Question:
        references = References()
        source = MixerSource(self._values, asked, references)
        request = Request(
            headers=source.headers,
            attributes=AttributeBag(RESOLVERS, source),
            has_body=self._has_body,
            headers_are_complete=False,  # as with ext_authz: a removal counts in any case
        )
        return Question(request, references)


def note_told(question: Question) -> None:
    """Note as looked up what every adapter is told: whether the request has a body."""
    question.request.headers.first(_BODY_SIZE)


def _announces_body(values: Mapping[str, Value]) -> bool:
    headers = values.get("request.headers")
    if not isinstance(headers, dict):
        return False
    name = _BODY_SIZE.decode()
    length = headers.get(name)
    if length is None:
        length = next((text for key, text in headers.items() if key.lower() == name), None)
    return length not in (None, "0")


def decode_check(data: bytes, admission: Admission, caller: FindCaller) -> Check:
    """Read a CheckRequest.

    Args:
        data: The message.
        admission: Says which attributes may be used.
        caller: Tells who asks.

    Raises:
        CallRefusedError: The bytes are no CheckRequest, their dictionary is a larger one, or they
            have too many attributes or quotas.
    """
    message = parse_call(pb.CheckRequest, data)
    check_dictionary(message.global_word_count)
    check_attributes(message.attributes)
    values, _ = admitted(message.attributes, admission)
    (dedup_id,) = texts([message.deduplication_id])
    return Check(values, caller, dedup_id, message.global_word_count, _quotas(message))


def _quotas(message: pb.CheckRequest) -> tuple[Quota, ...]:
    check_number(len(message.quotas), "quotas", MOST_QUOTAS)
    try:
        asked = list(message.quotas.items())
    except UnicodeDecodeError as error:
        raise malformed(error) from error
    return tuple(Quota(name, one.amount, one.best_effort) for name, one in asked)
