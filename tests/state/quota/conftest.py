"""The implementations that the suite holds equal; a new one is a line in the table."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from mixer.state.quota import Answer, MemoryQuotas, QuotaLimits, Quotas, Take
from mixer.state.quota.lmdb import LmdbQuotas
from mixer.state.quota.redis import RedisQuotas
from mixer.state.quota.unavailable import OnUnavailable, fallback
from mixer.state.redis_store import RedisOptions
from tests.state.quota.waiting import MAP_SIZE, TIMEOUT_S, answered

if TYPE_CHECKING:
    from tests.support.redis_server import RedisServer

START = 1_700_000_000 * 10**9


class Counters:
    """An implementation, a clock that moves when it is told to, and answers that are waited for.

    Attributes:
        now: Nanoseconds.
        quotas: The implementation.
    """

    def __init__(self, make: Callable[[Callable[[], int]], Quotas], runner: asyncio.Runner) -> None:
        self.now = START
        self._runner = runner
        self.quotas = make(lambda: self.now)

    def take(self, take: Take, vm_id: str = "") -> Answer:
        return self._runner.run(answered(self.quotas, take, vm_id))


MakeCounters = Callable[..., AbstractContextManager[Counters]]
_NUMBERS = count()


def _memory(_request: pytest.FixtureRequest, limits: QuotaLimits, clock: Any) -> Quotas:
    return MemoryQuotas(limits, clock)


def _lmdb(request: pytest.FixtureRequest, limits: QuotaLimits, clock: Any) -> Quotas:
    folder = request.getfixturevalue("tmp_path") / f"quota{next(_NUMBERS)}"
    return LmdbQuotas(folder, MAP_SIZE, limits, clock)


def _redis(request: pytest.FixtureRequest, _limits: QuotaLimits, clock: Any) -> Quotas:
    server: RedisServer = request.getfixturevalue("redis_server")
    options = RedisOptions(server.url, prefix=f"quota-{next(_NUMBERS)}", timeout=TIMEOUT_S)
    closed = fallback(OnUnavailable.CLOSED, MemoryQuotas())
    return RedisQuotas(options, closed, lambda: clock() // 1000)


IMPLEMENTATIONS = {"memory": _memory, "lmdb": _lmdb, "redis": _redis}


def make_counters(
    request: pytest.FixtureRequest, name: str, limits: QuotaLimits | None = None
) -> AbstractContextManager[Counters]:
    """Empty counters of an implementation, closed at the end."""

    @contextmanager
    def made() -> Iterator[Counters]:
        with asyncio.Runner() as runner:
            counters = Counters(
                lambda clock: IMPLEMENTATIONS[name](request, limits or QuotaLimits(), clock), runner
            )
            try:
                yield counters
            finally:
                runner.run(_close(counters.quotas))

    return made()


async def _close(quotas: Quotas) -> None:
    quotas.close()
    await asyncio.sleep(0)


@pytest.fixture(params=IMPLEMENTATIONS)
def implementation(request: pytest.FixtureRequest) -> str:
    """The name of an implementation."""
    return str(request.param)


@pytest.fixture
def counters(request: pytest.FixtureRequest, implementation: str) -> Iterator[Counters]:
    """Empty counters with the default bounds."""
    with make_counters(request, implementation) as made:
        yield made
