"""What a take costs in each store; ``python -m tests.benchmarks.quotas``.

With ``--tenants 1000000`` instead: the resident memory of an engine with the quota adapter after
requests of so many tenants, each of whom is counted for an hour.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

from mixer.config import loads
from mixer.engine import Decision, Engine, Verdict
from mixer.state.quota import Algorithm, Answer, Charge, MemoryQuotas, Quotas, Take
from mixer.state.quota.lease import LeasedQuotas, LeaseOptions
from mixer.state.quota.lmdb import LmdbQuotas
from mixer.state.quota.redis import RedisQuotas
from mixer.state.quota.unavailable import OnUnavailable, fallback
from mixer.state.redis_store import RedisOptions
from tests.engine.conftest import request
from tests.state.quota.waiting import answered
from tests.support.redis_server import redis_running

ROUNDS = 5
CALLS = 4000
CLIENTS = 256
HOUR = 3600 * 10**9


def _take(key: bytes = b"0123456789abcdef", charges: int = 1) -> Take:
    one = Charge(key, Algorithm.TOKEN_BUCKET, 10**9, HOUR)
    return Take(tuple(one._replace(key=b"%b%d" % (key, n)) for n in range(charges)))


def _microseconds(quotas: Quotas, take: Callable[[], Take]) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        takes = [take() for _ in range(CALLS)]
        began = time.perf_counter()
        for one in takes:
            assert isinstance(quotas.take("", one), Answer)
        best = min(best, (time.perf_counter() - began) / CALLS * 1e6)
    return best


def _at_once(name: str, quotas: Quotas) -> None:
    same, several, numbers = _take(), _take(charges=3), count()
    print(
        f"{name:8} one limit {_microseconds(quotas, lambda: same):6.1f} us"
        f"   three limits {_microseconds(quotas, lambda: several):6.1f} us"
        f"   a new tenant {_microseconds(quotas, lambda: _take(b'%d:' % next(numbers))):6.1f} us"
    )
    quotas.close()


async def _later(url: str) -> None:
    options = RedisOptions(url, timeout=5.0)
    redis = RedisQuotas(options, fallback(OnUnavailable.CLOSED, MemoryQuotas()))
    loop = asyncio.get_running_loop()
    leased = LeasedQuotas(
        redis, LeaseOptions(100_000), lambda delay, call: loop.call_later(delay, call).cancel
    )
    for name, quotas in (("Redis", redis), ("leased", leased)):
        began, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(_client(quotas, n) for n in range(CLIENTS)))
        wall, cpu = time.perf_counter() - began, time.process_time() - cpu
        takes = CLIENTS * (CALLS // 50)
        print(f"{name:8} {takes / wall:8.0f} takes a second   {cpu / takes * 1e6:6.1f} us of CPU")
    took = []
    for _ in range(300):
        began = time.perf_counter()
        await answered(redis, _take(b"alone"))
        took.append(time.perf_counter() - began)
    print(f"{'Redis':8} one alone {sorted(took)[150] * 1e6:.0f} us (median)")
    leased.close()
    await asyncio.sleep(0)


async def _client(quotas: Quotas, number: int) -> None:
    take = _take(b"client%d" % (number % 16))
    for _ in range(CALLS // 50):
        assert not (await answered(quotas, take)).local
        await asyncio.sleep(0)


_TENANTS = """
apiVersion: mixer.dev/v1alpha1
kind: Mixer
metadata: {name: tenants}
spec:
  state: {quota: {store: STORE}}
---
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: quota}
spec:
  url: builtin://quota
  pluginConfig:
    quotas:
      - {name: q, max: 5, window: 1h, algorithm: TOKEN_BUCKET, dimensions: {tenant: TENANT}}
"""


def _resident_mib() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") >> 20


def _tenants(number: int, store: str) -> None:
    with tempfile.TemporaryDirectory(prefix="mixer-quotas-") as folder:
        place = "{memory: {}}" if store == "memory" else f"{{lmdb: {{path: {folder}/state}}}}"
        tenant = "'request.headers[\"x-tenant\"]'"
        text = _TENANTS.replace("STORE", place).replace("TENANT", tenant)
        with Engine(loads(text, base=Path(folder), environ={})) as engine:
            print(f"{store}: none {_resident_mib()} MiB")
            for tenant in range(1, number + 1):
                decision = engine.decide(request(("x-tenant", f"tenant-{tenant}")))
                assert isinstance(decision, Decision)
                assert decision.verdict is Verdict.ALLOW
                if tenant in (number // 100, number // 10, number // 5, number // 2, number):
                    print(f"{store}: {tenant} tenants {_resident_mib()} MiB", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tenants", type=int, metavar="N")
    parser.add_argument("--store", choices=("memory", "lmdb"), default="memory")
    given = parser.parse_args()
    if given.tenants:
        _tenants(given.tenants, given.store)
        return
    with tempfile.TemporaryDirectory(prefix="mixer-quotas-") as folder, redis_running() as server:
        _at_once("memory", MemoryQuotas())
        _at_once("LMDB", LmdbQuotas(Path(folder) / "quota", 1 << 30))
        asyncio.run(_later(server.url))


if __name__ == "__main__":
    main()
