"""A process that takes of one counter as fast as it can, and prints how much it was granted."""

import asyncio
import sys
from pathlib import Path

from mixer.state.quota import Algorithm, Charge, MemoryQuotas, Quotas, Take
from mixer.state.quota.unavailable import OnUnavailable, fallback
from tests.state.quota.waiting import MAP_SIZE, TIMEOUT_S, answered

ONE = Charge(b"shared", Algorithm.FIXED_WINDOW, 1000, 3600 * 10**9)
OTHER = Charge(b"other", Algorithm.TOKEN_BUCKET, 5000, 24 * 3600 * 10**9)
TAKES = 600


def opened(kind: str, place: str) -> Quotas:
    """The counters."""
    if kind == "lmdb":
        from mixer.state.quota.lmdb import LmdbQuotas

        return LmdbQuotas(Path(place), MAP_SIZE)
    from mixer.state.quota.redis import RedisQuotas
    from mixer.state.redis_store import RedisOptions

    options = RedisOptions(place, prefix="takers", timeout=TIMEOUT_S)
    return RedisQuotas(options, fallback(OnUnavailable.CLOSED, MemoryQuotas()))


async def main(kind: str, place: str) -> None:
    """Take, many at a time."""
    quotas = opened(kind, place)
    takes = (answered(quotas, Take((ONE, OTHER))) for _ in range(TAKES))
    answers = await asyncio.gather(*takes)
    print(sum(one.standings[0].granted for one in answers))  # noqa: T201
    quotas.close()
    await asyncio.sleep(0)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
