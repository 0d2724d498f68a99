"""The quota adapter in engines whose counters are on a real Redis server."""

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from mixer.config import loads
from mixer.engine import Decision, Engine, PendingDecision, Verdict
from mixer.proxywasm import LoopScheduler
from tests.adapters.asking import quota_request
from tests.adapters.test_quota_engine import documents
from tests.engine.conftest import request
from tests.support.redis_server import RedisServer

PATIENCE_S = 30.0
LIMIT = 25
ALGORITHMS = ["FIXED_WINDOW", "SLIDING_WINDOW", "TOKEN_BUCKET"]


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A server of the test's own."""
    with (
        tempfile.TemporaryDirectory(prefix="mixer-redis-") as folder,
        RedisServer(Path(folder)) as running,
    ):
        yield running


class Asked:
    """Engines with one quota adapter each, all of them with one server.

    Args:
        server: Has the counters.
        folder: For what the engines keep.
        number: Of engines.
        quota: Their quota.
        state: More of ``spec.state.quota``.

    Attributes:
        engines: Once entered.
        reasons: Of requests that did not pass.
    """

    def __init__(
        self, server: RedisServer, folder: Path, number: int, quota: dict[str, Any], **state: Any
    ) -> None:
        redis = {"url": server.url, "timeout": state.pop("timeout", "5s")}
        text = documents(folder, quota, state={"quota": {"store": {"redis": redis}, **state}})
        self._configuration = loads(text, base=folder, environ={})
        self._number = number
        self._stack = ExitStack()
        self.engines: list[Engine] = []
        self.reasons: set[str] = set()

    async def __aenter__(self) -> "Asked":
        scheduler = LoopScheduler(asyncio.get_running_loop())
        for _ in range(self._number):
            engine = Engine(self._configuration, scheduler=scheduler)
            self.engines.append(self._stack.enter_context(engine))
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._stack.close()
        await asyncio.sleep(0)

    async def passes(self, engine: int = 0) -> bool:
        """Whether a request passes; why one does not is noted."""
        decision = await settled(self.engines[engine].decide(request()))
        if decision.verdict is Verdict.ALLOW:
            return True
        self.reasons.add(decision.reason)
        return False


async def settled(found: Decision | PendingDecision) -> Decision:
    """What comes of it, now or later."""
    if isinstance(found, Decision):
        return found
    told: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
    found.then(lambda decision: None if told.done() else told.set_result(decision))
    async with asyncio.timeout(PATIENCE_S):
        return await told


def quota(algorithm: str = "FIXED_WINDOW", most: int = LIMIT) -> dict[str, Any]:
    return {"name": "requests", "max": most, "window": "8760h", "algorithm": algorithm}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_several_services_let_exactly_so_many_pass(
    server: RedisServer, tmp_path: Path, algorithm: str
) -> None:
    """Requests that wait at once in two services together get the limit, and each an answer."""
    async with Asked(server, tmp_path, 2, quota(algorithm)) as asked:
        passed = await asyncio.gather(*(asked.passes(n % 2) for n in range(3 * LIMIT)))
        assert sum(passed) == LIMIT
        assert asked.reasons == {"quota_exhausted:requests"}
        counts = [engine.services.quotas.counts for engine in asked.engines]
        assert all(one.waits > 0 and one.local == 0 for one in counts)


async def test_with_a_lease_no_more_passes(server: RedisServer, tmp_path: Path) -> None:
    """What each service holds was counted: in one window the limit passes, and no more."""
    lease = {"amount": 6, "maxAge": "10s"}
    async with Asked(server, tmp_path, 2, quota(), lease=lease) as asked:
        passed = [await asked.passes(n % 2) for n in range(3 * LIMIT)]
        counts = [engine.services.quotas.counts for engine in asked.engines]
        assert any(one.waits < one.takes for one in counts)
        assert LIMIT - 2 * 6 <= sum(passed) <= LIMIT


async def test_a_start_with_a_healthy_server(
    server: RedisServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """However long the service loads after the adapter, its counters are found to be there."""
    async with Asked(server, tmp_path, 1, quota(), timeout="100ms") as asked:
        time.sleep(0.3)  # noqa: ASYNC251 (as the loading of more modules does)
        assert await asked.passes()
        counts = asked.engines[0].services.quotas.counts
        assert (counts.local, counts.store_errors) == (0, 0)
    assert not [one for one in caplog.records if one.name.startswith("mixer.state")]


async def test_amounts(server: RedisServer, tmp_path: Path) -> None:
    """A repeated request is told the first answer, wherever it comes again."""
    once = {"mixer.dedup_id": "1", "mixer.caller": "c"}
    async with Asked(server, tmp_path, 2, quota()) as asked:
        for engine in asked.engines:
            wanted = quota_request("requests", 20, **once)
            found = await settled(engine.allocate(wanted, "requests"))
            assert found.granted == 20
        wanted = quota_request("requests", 20, best_effort=True)
        found = await settled(asked.engines[0].allocate(wanted, "requests"))
        assert found.granted == LIMIT - 20


class Load:
    """Clients that ask one after the other, each as soon as it was answered."""

    def __init__(self, asked: Asked) -> None:
        self.passed: list[bool] = []
        self._asked = asked

    async def __aenter__(self) -> "Load":
        self._tasks = [asyncio.create_task(self._ask()) for _ in range(8)]
        return self

    async def _ask(self) -> None:
        while True:
            self.passed.append(await self._asked.passes())
            await asyncio.sleep(0.001)

    async def see(self, wanted: Callable[[list[bool]], bool]) -> list[bool]:
        """Wait for what is seen from now on."""
        begun = len(self.passed)
        async with asyncio.timeout(PATIENCE_S):
            while not wanted(self.passed[begun:]):
                assert not any(one.done() for one in self._tasks)
                await asyncio.sleep(0.005)
        return self.passed[begun:]

    async def __aexit__(self, *_exc: object) -> None:
        for one in self._tasks:
            one.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@pytest.mark.parametrize(("kind", "more"), [("LOCAL", LIMIT), ("CLOSED", 0), ("OPEN", None)])
async def test_redis_is_killed_under_load(
    server: RedisServer, tmp_path: Path, kind: str, more: int | None
) -> None:
    """Every request is answered, as configured while the server is away; a new one counts anew."""
    away = {"onUnavailable": kind}
    async with Asked(server, tmp_path, 1, quota(), **away) as asked, Load(asked) as load:
        counts = asked.engines[0].services.quotas.counts
        await load.see(lambda seen: seen[-20:] == [False] * 20)
        assert sum(load.passed) == LIMIT
        await asyncio.to_thread(server.stop)
        was = counts.local
        await load.see(lambda _: counts.local >= was + 2 * LIMIT)
        passed = sum(load.passed)
        closed = "quota_unavailable:requests" in asked.reasons
        assert closed == (kind == "CLOSED")
        if more is None:
            assert passed >= 2 * LIMIT
        else:
            assert passed == LIMIT + more
        await asyncio.to_thread(server.start)
        was = counts.waits
        await load.see(lambda seen: counts.waits >= was + 2 * LIMIT and seen[-20:] == [False] * 20)
        if more is not None:
            assert sum(load.passed) == passed + LIMIT


async def test_a_server_that_is_slow(server: RedisServer, tmp_path: Path) -> None:
    """While requests wait for their counters, those that need none are decided at once."""
    one = quota() | {"match": 'request.headers["x-limited"] == "1"'}
    async with Asked(server, tmp_path, 1, one, timeout="10s") as asked:
        (engine,) = asked.engines
        assert await asked.passes()
        server.freeze()
        waiting = [engine.decide(request(("x-limited", "1"))) for _ in range(20)]
        await asyncio.sleep(0)
        for _ in range(20):
            decision = engine.decide(request())
            assert isinstance(decision, Decision)
            assert decision.verdict is Verdict.ALLOW
        assert all(isinstance(one, PendingDecision) and one.decision is None for one in waiting)
        server.thaw()
        answers = await asyncio.gather(*map(settled, waiting))
        assert all(one.verdict is Verdict.ALLOW for one in answers)
