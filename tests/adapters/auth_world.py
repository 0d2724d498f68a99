"""The adapter auth in an engine whose callouts go to a real identity provider."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from mixer.attributes import HeaderMap
from mixer.callouts.assembly import ClusterCallouts
from mixer.callouts.clusters import Cluster, Endpoint
from mixer.callouts.naming import Clusters
from mixer.engine import Decision, Engine, PendingDecision, Verdict
from mixer.proxywasm import LoopScheduler
from tests.engine.conftest import Plugins, request
from tests.support.identity_provider import Answer, IdentityProvider

LONG_S = 30.0


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of engines that compile the module once for all tests."""
    return tmp_path_factory.mktemp("compiled")


@dataclass
class World:
    """An engine, and the identity provider that its adapter asks."""

    engine: Engine
    provider: IdentityProvider

    async def decide(self, *headers: tuple[str, str], path: str = "/") -> Decision:
        """The decision, once it is made."""
        fields = HeaderMap.of((":method", "GET"), (":path", path), *headers)
        return await decided(self.engine.decide(replace(request(), headers=fields)))

    async def ask(self, bearer: str) -> tuple[Verdict, str]:
        """The verdict and the reason."""
        decision = await self.decide(("authorization", f"Bearer {bearer}"))
        return decision.verdict, decision.reason or ""

    async def all(self, *bearers: str) -> list[tuple[Verdict, str]]:
        """Many at one time."""
        return list(await asyncio.gather(*map(self.ask, bearers)))

    async def until(self, bearer: str, wanted: tuple[Verdict, str]) -> None:
        """Ask over and over until it comes to that."""
        await until_true(lambda: self.ask(bearer), wanted)


async def decided(decision: Decision | PendingDecision) -> Decision:
    """The decision, once it is made."""
    if isinstance(decision, Decision):
        return decision
    made: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
    decision.then(made.set_result)
    async with asyncio.timeout(LONG_S):
        return await made


async def until_true(look: Callable[[], Any], wanted: Any) -> None:
    """Wait until a coroutine function gives this."""
    async with asyncio.timeout(LONG_S):
        while await look() != wanted:  # noqa: ASYNC110 - it asks, and changes by that
            await asyncio.sleep(0.02)


@asynccontextmanager
async def world(
    folder: Path, config: dict[str, Any], keys: Answer = (404, b"")
) -> AsyncIterator[World]:
    """An engine with the built module, and a server."""
    plugins = Plugins(folder)
    document = plugins.document("auth", url="builtin://auth", pluginConfig=config)
    async with IdentityProvider(keys) as provider:
        endpoint = Endpoint("127.0.0.1", provider.port)
        clusters = Clusters([Cluster("id", (endpoint,), connect_timeout=5.0)])
        scheduler = LoopScheduler(asyncio.get_running_loop())
        async with ClusterCallouts(clusters) as callouts:
            configuration = plugins.configuration(document)
            with Engine(configuration, scheduler=scheduler, callouts=callouts) as engine:
                yield World(engine, provider)
