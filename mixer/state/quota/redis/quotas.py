"""Counters on the server, and what is answered while it cannot be reached."""

from collections.abc import Callable, Sequence

from mixer.state.quota.ports import Answer, QuotaCounts, Take
from mixer.state.quota.redis.link import Asked, RedisLink
from mixer.state.quota.unavailable import Fallback
from mixer.state.redis_store.client import RedisOptions


class RedisQuotas:
    """`mixer.state.quota.Quotas` for many hosts, in the thread of an event loop.

    An answer comes later, at most ``options.timeout`` after the asking (and what the loop is late
    by). Where the server cannot be reached it comes at once, from the fallback. The time is the
    server's, so that no clocks of hosts have to agree. The server clears counters away that are
    full again.

    Args:
        options: Where the server is.
        fallback: Answers while it cannot be reached.
        clock: Microseconds, instead of the server's clock; for tests.

    Attributes:
        counts: What became of takes.
    """

    def __init__(
        self,
        options: RedisOptions,
        fallback: Fallback,
        clock: Callable[[], int] | None = None,
    ) -> None:
        self.counts = QuotaCounts()
        self._fallback = fallback
        self._link = RedisLink(options, self._answered, self._failed, fallback.told, clock)

    def take(self, vm_id: str, take: Take) -> Answer | Asked:
        """See `mixer.state.quota.Quotas`."""
        self.counts.takes += 1
        asked = self._link.ask(vm_id, take)
        if asked is None:
            return self._answer_locally(vm_id, take)
        self.counts.waits += 1
        return asked

    def _answered(self, asked: Asked, answer: Answer) -> None:
        self.counts.note(asked.take, answer)
        asked.answer(answer)

    def _failed(self, batch: Sequence[Asked]) -> None:
        self.counts.store_errors += 1
        for asked in batch:
            asked.answer(self._answer_locally(asked.vm_id, asked.take))

    def _answer_locally(self, vm_id: str, take: Take) -> Answer:
        self.counts.local += 1
        answer = self._fallback.answer(vm_id, take)
        self.counts.note(take, answer)
        return answer

    def __len__(self) -> int:
        """See `mixer.state.quota.Quotas`; those on the server are not of this process."""
        return self._fallback.held()

    def close(self) -> None:
        """See `mixer.state.quota.Quotas`."""
        self._link.close()
