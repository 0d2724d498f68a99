"""Two services behind one Envoy that count quotas on one Redis server."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e.stack import Proxy, Services, adapter, asks, in_chain, running_envoy
from tests.support.redis_server import RedisServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("envoy")]

LIMIT = 20
PATIENCE_S = 30.0
LIMITED, FREE = ("limited-one", "limited-two"), ("free-one", "free-two")
QUOTA = {
    "quotas": [
        {
            "name": "requests",
            "max": LIMIT,
            "window": "8760h",
            "algorithm": "TOKEN_BUCKET",
            "dimensions": {"tenant": 'request.headers["x-tenant"]'},
        }
    ]
}


@dataclass(frozen=True)
class Deployed(Proxy):
    """An Envoy, two services, and their server."""

    redis: RedisServer

    async def statuses(self, number: int, tenant: str, *listeners: str) -> list[int]:
        """What comes of requests that are sent at once, to the listeners in turn."""
        seen = await asyncio.gather(
            *(
                self.get(listeners[n % len(listeners)], "/", ("x-tenant", tenant))
                for n in range(number)
            )
        )
        return sorted(one.status for one in seen)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deployed(envoy: Path, services: Services) -> AsyncIterator[Deployed]:
    """Both services have the same adapter; each answers for two listeners, one of them limited."""
    names = ("one", "two")
    listeners = [asks(f"{kind}-{n}", service=n) for kind in ("limited", "free") for n in names]
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mixer-redis-"))
        redis = stack.enter_context(RedisServer(Path(folder)))
        store = {"redis": {"url": redis.url, "timeout": "10s"}}
        state = {"quota": {"store": store, "onUnavailable": "CLOSED"}}
        addresses = {name: services.address(name) for name in names}
        proxy = await stack.enter_async_context(running_envoy(listeners, addresses))
        ports = [int(proxy.envoy.address(one).rpartition(":")[2]) for one in LIMITED]
        limit = in_chain(adapter("limit", "builtin://quota", QUOTA), "limited", ports)
        for name in names:
            await stack.enter_async_context(services.service(name, [limit], state=state))
        yield Deployed(proxy.envoy, redis)


async def test_exactly_the_limit_passes(deployed: Deployed) -> None:
    """Whichever service a request comes to, all together get the limit, and the rest 429."""
    seen = await deployed.statuses(3 * LIMIT, "a", *LIMITED)
    assert seen == [200] * LIMIT + [429] * 2 * LIMIT


async def test_a_server_that_is_slow(deployed: Deployed) -> None:
    """Requests that need no counters pass while others wait for theirs."""
    assert await deployed.statuses(2, "b", *LIMITED) == [200] * 2
    deployed.redis.freeze()
    try:
        waiting = asyncio.create_task(deployed.statuses(10, "b", *LIMITED))
        assert await deployed.statuses(20, "b", *FREE) == [200] * 20
        assert not waiting.done()
    finally:
        deployed.redis.thaw()
    assert await waiting == [200] * 10


async def test_a_server_that_is_away(deployed: Deployed) -> None:
    """With CLOSED it is no quota that is used up: 503 until the server is back, and 200 then."""
    await asyncio.to_thread(deployed.redis.stop)
    try:
        assert await deployed.statuses(6, "c", *LIMITED) == [503] * 6
        assert await deployed.statuses(4, "c", *FREE) == [200] * 4
    finally:
        await asyncio.to_thread(deployed.redis.start)
    async with asyncio.timeout(PATIENCE_S):
        while await deployed.statuses(2, "c", *LIMITED) != [200] * 2:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
