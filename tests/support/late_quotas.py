"""Counters of quotas whose answers the test gives."""

from collections.abc import Callable

from mixer.state.quota import Answer, QuotaCounts, Standing, Take

STANDING = Standing(3, False, 7, 11, 0)


class LateQuotas:
    """A store of which the test gives the answers; see `mixer.state.quota.Quotas`."""

    def __init__(self) -> None:
        self.counts = QuotaCounts()
        self.asked: list[tuple[str, Take]] = []
        self.waiting: list[Late] = []

    def take(self, vm_id: str, take: Take) -> "Late":
        self.asked.append((vm_id, take))
        self.waiting.append(Late())
        return self.waiting[-1]

    def __len__(self) -> int:
        return 0

    def close(self) -> None:
        """Nothing is held."""


class Late:
    def __init__(self) -> None:
        self.done: Callable[[Answer], None] | None = None
        self.cancelled = False

    def wait(self, done: Callable[[Answer], None]) -> None:
        self.done = done

    def cancel(self) -> None:
        self.cancelled = True

    def answer(self) -> None:
        assert self.done is not None
        self.done(Answer((STANDING,)))
