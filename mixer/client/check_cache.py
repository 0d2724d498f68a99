"""Answers to checks, kept as long and used as often as the server allows."""

import time
from collections.abc import Callable
from dataclasses import replace

from mixer.client.alike import AlikeMap
from mixer.client.references import Attributes, references
from mixer.client.results import CheckResult
from mixer.client.settings import CheckCacheSettings
from mixer.wire import mixer_v1_pb2 as pb


class _Answer:
    __slots__ = ("expires", "result", "uses")

    def __init__(self, result: CheckResult, expires: int) -> None:
        self.result = result
        self.uses = result.valid_use_count
        self.expires = expires


class CheckCache:
    """Answers by what they followed from; refusals as well. Not safe for threads.

    Args:
        settings: Its bounds.
        clock: Nanoseconds, monotonic.
    """

    def __init__(
        self, settings: CheckCacheSettings, clock: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._enabled = settings.enabled
        self._clock = clock
        self.answers: AlikeMap[_Answer] = AlikeMap(
            settings.entries, settings.max_bytes, settings.reference_sets
        )

    def find(self, attributes: Attributes) -> CheckResult | None:
        """The answer that holds for a request; this is one use of it."""
        while found := self.answers.find(attributes):
            key, answer = found
            if self._clock() < answer.expires:
                if answer.uses > 0:
                    answer.uses -= 1
                    if not answer.uses:
                        self.answers.remove(key)
                return answer.result
            self.answers.remove(key)
        return None

    def keep(
        self, attributes: Attributes, response: pb.CheckResponse, result: CheckResult, asked: int
    ) -> None:
        """Keep an answer, if the server allows it.

        Args:
            attributes: Of the request, as they were sent.
            response: The answer.
            result: What it says of the check.
            asked: When the request was sent: the answer holds no longer than for the server.
        """
        said = response.precondition
        expires = asked + result.valid_duration
        if not self._enabled or not result.valid_use_count or expires <= self._clock():
            return
        if not said.HasField("referenced_attributes"):
            return
        conditions = references(said.referenced_attributes, attributes)
        if conditions is not None:
            answer = _Answer(replace(result, from_cache=True), expires)
            self.answers.keep(attributes, conditions, answer, said.ByteSize())
