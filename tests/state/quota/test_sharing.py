"""Counters that several processes or services share, and how many there are."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis

from mixer.state.quota import Algorithm, Charge, MemoryQuotas, QuotaLimits, Quotas, Take
from mixer.state.quota.lmdb import LmdbQuotas
from mixer.state.quota.redis import RedisQuotas
from mixer.state.quota.unavailable import OnUnavailable, fallback
from mixer.state.redis_store import RedisOptions
from tests.state.quota.conftest import START, Counters, make_counters
from tests.state.quota.taker import ONE, TAKES
from tests.state.quota.waiting import MAP_SIZE, TIMEOUT_S, answered
from tests.support.redis_server import RedisServer

ROOT = Path(__file__).parents[3]
SECOND = 10**9
PROCESSES = 3


@pytest.mark.parametrize("kind", ["lmdb", "redis"])
def test_exactly_the_limit_passes(kind: str, tmp_path: Path, redis_server: RedisServer) -> None:
    """However many processes take at once, together they get the limit and no more."""
    place = str(tmp_path / "quota") if kind == "lmdb" else redis_server.url
    command = [sys.executable, "-m", "tests.state.quota.taker", kind, place]
    takers = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) for _ in range(PROCESSES)]
    granted = [int(one.communicate(timeout=TIMEOUT_S)[0]) for one in takers]
    assert ONE.limit < TAKES * PROCESSES
    assert sum(granted) == ONE.limit


async def test_two_services_take_at_once(redis_server: RedisServer) -> None:
    """Thousands of takes of two services, in batches, are counted one by one."""
    options = RedisOptions(redis_server.url, prefix="services", timeout=TIMEOUT_S)
    closed = fallback(OnUnavailable.CLOSED, MemoryQuotas())
    services = [RedisQuotas(options, closed) for _ in range(2)]
    one = Take((Charge(b"k", Algorithm.SLIDING_WINDOW, 1000, 3600 * SECOND * 24),))
    takes = (answered(quotas, one) for _ in range(1000) for quotas in services)
    answers = await asyncio.gather(*takes)
    assert sum(answer.standings[0].granted for answer in answers) == 1000
    for quotas in services:
        assert (quotas.counts.takes, quotas.counts.waits, quotas.counts.local) == (1000, 1000, 0)
        quotas.close()
    await asyncio.sleep(0)


def test_what_waits_at_the_end_is_taken(redis_server: RedisServer) -> None:
    """What nobody waits for any more, and what was not sent yet, is taken nevertheless."""
    options = RedisOptions(redis_server.url, prefix="ending", timeout=TIMEOUT_S)
    one = Charge(b"k", Algorithm.FIXED_WINDOW, 10, 3600 * SECOND)

    async def ask(cost: int) -> int:
        quotas = RedisQuotas(options, fallback(OnUnavailable.CLOSED, MemoryQuotas()))
        take = Take((one._replace(cost=cost),))
        if not cost:
            remaining = (await answered(quotas, take)).standings[0].remaining
            quotas.close()
            return remaining
        found = quotas.take("", take)
        found.cancel()  # type: ignore[union-attr]
        quotas.close()
        return 0

    asyncio.run(ask(4))
    assert asyncio.run(ask(0)) == 6


async def test_the_server_clears_away_what_is_full_again(redis_server: RedisServer) -> None:
    """Nothing stays on the server of a tenant of whom nothing is taken any more."""
    options = RedisOptions(redis_server.url, prefix="cleared", timeout=TIMEOUT_S)
    quotas = RedisQuotas(options, fallback(OnUnavailable.CLOSED, MemoryQuotas()))
    charges = [Charge(b"%d" % one, one, 5, SECOND // 20) for one in Algorithm]
    take = Take(tuple(charges), dedup_id=b"i", dedup_window_ns=SECOND // 20)
    assert not (await answered(quotas, take)).local
    with redis.Redis.from_url(redis_server.url) as client:
        end = time.monotonic() + TIMEOUT_S
        while client.keys("cleared:*"):
            assert time.monotonic() < end, "some are kept"
            await asyncio.sleep(0.005)
    quotas.close()
    await asyncio.sleep(0)


@pytest.fixture(params=["memory", "lmdb"])
def bounded(request: pytest.FixtureRequest):  # type: ignore[no-untyped-def]
    """Counters that hold 50 for each ``vm_id``."""
    with make_counters(request, request.param, QuotaLimits(max_counters=50)) as made:
        yield made


def tenant(number: int, window: int = 60 * SECOND, **more: int) -> Take:
    algorithm = Algorithm(number % 3)
    return Take((Charge(b"%d" % number, algorithm, 5, window, **more),))


def test_a_flood_of_tenants(bounded: Counters) -> None:
    """However many there are, no more are kept than the bound, and those of others stay."""
    for _ in range(5):
        bounded.take(tenant(0), "other")
    for number in range(2000):
        assert bounded.take(tenant(number)).standings[0].granted == 1
    assert len(bounded.quotas) == 51
    assert bounded.quotas.counts.evicted == 2000 - 50
    assert bounded.take(tenant(0), "other").standings[0].refused


def test_what_is_full_again_goes_first(bounded: Counters) -> None:
    """A counter of which nothing is taken any more makes room for a new one."""
    for number in range(10):
        bounded.take(tenant(number, cost=5, window=24 * 3600 * SECOND))
    for turn in range(1, 20):
        for number in range(20):
            bounded.take(tenant(100 * turn + number, window=SECOND))
        bounded.now += 2 * SECOND
    assert bounded.quotas.counts.evicted == 0
    refused = [bounded.take(tenant(n, window=24 * 3600 * SECOND)) for n in range(10)]
    assert all(one.standings[0].refused for one in refused)


def test_then_the_least_recently_used_goes() -> None:
    """A tenant who floods evicts others, but not those that are in use; in memory exactly."""
    quotas = MemoryQuotas(QuotaLimits(max_counters=50), lambda: START)
    for number in range(500):
        quotas.take("", tenant(number + 10))
        for busy in range(3):
            assert quotas.take("", tenant(busy)).standings[0].refused == (number >= 5)
    assert quotas.counts.evicted == 500 + 3 - 50


def test_answers_that_are_remembered_are_bounded(bounded: Counters) -> None:
    """Of ids no more are kept than of counters."""
    look = Charge(b"k", Algorithm.FIXED_WINDOW, 5, SECOND, cost=1)
    first = Take((look,), dedup_id=b"0", dedup_window_ns=3600 * SECOND)
    bounded.take(first)
    for number in range(1, 300):
        bounded.take(Take((look,), dedup_id=b"%d" % number, dedup_window_ns=3600 * SECOND))
    assert bounded.take(first).standings[0].refused  # it is forgotten, and asked anew


def test_a_full_file_answers_locally(tmp_path: Path) -> None:
    """Where the file has no more room, each process counts for itself, and says so."""
    quotas = LmdbQuotas(tmp_path / "q", 256 << 10, QuotaLimits(max_counters=10**6))
    answers = [quotas.take("", tenant(number)) for number in range(5000)]
    assert answers[-1].local
    assert answers[-1].standings[0].granted == 1
    assert not answers[0].local
    counts = quotas.counts
    assert counts.local == counts.store_errors == sum(one.local for one in answers)
    quotas.close()


def test_a_closed_store_is_given_back(tmp_path: Path) -> None:
    """A folder can be opened again, with what was counted in it."""

    def opened() -> Quotas:
        return LmdbQuotas(tmp_path / "q", MAP_SIZE, clock=lambda: START)

    for left in (4, 3):
        quotas = opened()
        answer = quotas.take("", tenant(0))
        assert answer.standings[0].remaining == left  # type: ignore[union-attr]
        quotas.close()
