"""Requests that do not need a backend are answered in time while it hangs."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import grpc.aio
import pytest
import pytest_asyncio

from mixer.study.service import ServiceProcess
from tests.e2e.calls import channel
from tests.e2e.stack import Services
from tests.e2e.test_metrics import scrape
from tests.support.needing import (
    Backends,
    Call,
    adapters,
    backends_running,
    needing,
    others,
    passes,
    spec,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

WAITS_S = 10
"""What a call of a backend may take: a service that waited for one would miss the next bound."""
IN_TIME_S = 4.0
PATIENCE_S = 30.0
REQUESTS, AT_ONCE, WAITING = 400, 20, 40


class Running(NamedTuple):
    """A service, and what its adapters need."""

    process: ServiceProcess
    channel: grpc.aio.Channel
    backends: Backends

    async def ask(self, call: Call, timeout_s: float = PATIENCE_S) -> bool:
        """Whether a call passes; one that is not answered in time is an error."""
        method, request = call
        return passes(call, await self.channel.unary_unary(method)(request, timeout=timeout_s))

    async def pending(self) -> float:
        """How many decisions wait."""
        return (await scrape(self.process))["mixer_decisions_pending", ()]


@pytest.fixture(scope="module")
def backends() -> Iterator[Backends]:
    with backends_running() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(services: Services, backends: Backends) -> AsyncIterator[Running]:
    documents = adapters(services.folder, WAITS_S)
    process = services.service("faults", documents, **spec(backends, WAITS_S))
    async with process as service, channel(service.address) as opened:
        yield Running(service, opened, backends)


@contextmanager
def hanging(running: Running, name: str) -> Iterator[None]:
    """A backend answers nothing, and keeps its connections."""
    backend = running.backends.named(name)
    backend.freeze()
    try:
        yield
    finally:
        backend.thaw()


async def recovers(running: Running, name: str) -> None:
    """Wait until requests pass that need it."""
    async with asyncio.timeout(2 * PATIENCE_S):
        while not await running.ask(needing(name)):
            pass


async def waiting(running: Running, name: str) -> set[asyncio.Task[bool]]:
    """Requests that wait for a backend which hangs: what it said before may be used for a while."""
    tasks = set[asyncio.Task[bool]]()
    async with asyncio.timeout(PATIENCE_S):
        while await running.pending() < WAITING:
            tasks = {task for task in tasks if not task.done()}
            more = range(WAITING - len(tasks))
            tasks |= {asyncio.ensure_future(running.ask(needing(name))) for _ in more}
    return tasks


async def all_others_pass(running: Running) -> None:
    """Hundreds of them, some at once, each within its own deadline."""
    call = others()

    async def caller() -> list[bool]:
        return [await running.ask(call, IN_TIME_S) for _ in range(REQUESTS // AT_ONCE)]

    seen = await asyncio.gather(*(caller() for _ in range(AT_ONCE)))
    assert all(passed for found in seen for passed in found)


@pytest.mark.parametrize("name", ["redis", "postgresql", "jwks"])
async def test_others_do_not_wait(running: Running, name: str) -> None:
    """They pass in time while others wait for a backend that hangs, which pass once it goes on."""
    await recovers(running, name)
    with hanging(running, name):
        wait = await waiting(running, name)
        await all_others_pass(running)
        assert await running.pending() > 0, "the backend was asked no more"
    await asyncio.gather(*wait, return_exceptions=True)
    await recovers(running, name)


async def test_nobody_waits_for_a_collector(running: Running) -> None:
    """Reports that are told to one that hangs are answered in time, and so are all others."""
    call, collector = needing("collector"), running.backends.collector
    async with asyncio.timeout(PATIENCE_S):
        while not collector.exports():
            await running.ask(call)
    with hanging(running, "collector"):
        told = [running.ask(call, IN_TIME_S) for _ in range(WAITING)]
        assert all(await asyncio.gather(*told))
        await all_others_pass(running)
    before = collector.exports()
    async with asyncio.timeout(PATIENCE_S):
        while collector.exports() <= before:
            await running.ask(call)


async def test_shared_data_costs_all_one_timeout(running: Running) -> None:
    """A host call waits for its answer, and only one does: then calls fail until it is back."""
    place = f"Redis at {running.backends.store.socket} is"
    with hanging(running, "store"):
        await asyncio.gather(*(running.ask(needing("store")) for _ in range(WAITING)))
        await all_others_pass(running)
    async with asyncio.timeout(PATIENCE_S):
        while f"{place} back" not in running.process.log_text():
            await running.ask(needing("store"))
    assert running.process.log_text().count(f"{place} down") == 1
