"""Calls of Check: what is sent, and when again."""

import uuid
from collections.abc import Callable, Generator, Mapping
from itertools import count
from typing import NamedTuple

from mixer.client.effects import Effect, Pause, Reply, Send
from mixer.client.metrics import ClientMetrics
from mixer.client.references import Attributes
from mixer.client.retry import Backoff, Failure
from mixer.client.words import KnownWords
from mixer.wire import mixer_v1_pb2 as pb

_NS = 1_000_000_000

Params = Mapping[str, pb.CheckRequest.QuotaParams]


class Sent(NamedTuple):
    """When a call was sent, in nanoseconds of the monotonic clock.

    Attributes:
        first: Its first try: quota that an earlier one was granted holds from then.
        last: The one that brought its answer.
    """

    first: int
    last: int


class Calls:
    """Calls with the same deduplication id in each of their tries.

    Args:
        words: How many words the server knows.
        metrics: Where it counts.
        clock: Nanoseconds, monotonic.
        backoff: When to try again.
    """

    def __init__(
        self,
        words: KnownWords,
        metrics: ClientMetrics,
        clock: Callable[[], int],
        backoff: Backoff,
    ) -> None:
        self._words = words
        self._metrics = metrics
        self._clock = clock
        self._backoff = backoff
        self._id = f"{uuid.uuid4()}-"
        self._ids = count()

    def call(
        self, attributes: Attributes, params: Params, timeout: float, retries: int
    ) -> Generator[Effect, Reply, tuple[pb.CheckResponse | Failure, Sent]]:
        """Call the server, again if need be.

        Args:
            attributes: Of the request.
            params: What is asked of quotas.
            timeout: Seconds for all tries.
            retries: How many there may be after the first.

        Returns:
            What came of it, and when it was sent.

        Raises:
            TypeError: A value has no type of an attribute.
            ValueError: A number is out of its bounds, or a text is not Unicode.
        """
        request = self._request(attributes, params)
        first = self._clock()
        deadline = first + int(timeout * _NS)
        failed = 0
        while True:
            sent = self._clock()
            self._metrics.remote_calls += 1
            reply = yield Send(request, max(0.0, (deadline - sent) / _NS))
            assert reply is not None
            if not isinstance(reply, Failure):
                return reply, Sent(first, sent)
            self._metrics.remote_failures += 1
            if self._words.too_many(reply, request.global_word_count):
                self._encode(attributes, request)
                continue
            failed += 1
            delay = self._backoff.delay(failed)
            late = self._clock() + delay * _NS >= deadline
            if failed > retries or late or not reply.retryable:
                return reply, Sent(first, sent)
            self._metrics.retries += 1
            yield Pause(delay)

    def _request(self, attributes: Attributes, params: Params) -> pb.CheckRequest:
        request = pb.CheckRequest(deduplication_id=f"{self._id}{next(self._ids)}", quotas=params)
        self._encode(attributes, request)
        return request

    def _encode(self, attributes: Attributes, request: pb.CheckRequest) -> None:
        request.global_word_count = self._words.count
        request.attributes.CopyFrom(self._words.compress(attributes))
