"""Modules that attack the service, next to good ones."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from mixer.demo.comparison import Observation
from mixer.study.client import HttpConnection, Request
from tests.e2e.calls import health
from tests.e2e.guests import Guests
from tests.e2e.stack import Services, Stack, adapter, asks, decided, lines, running

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("envoy")]

CPU_LIMIT_S = 0.05
MEMORY_LIMIT = 8 << 20


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(envoy: Path, services: Services, guests: Guests) -> AsyncIterator[Stack]:
    limits = {"cpu-limit": "50ms", "memory-limit": "8Mi"}
    hostile = guests.hostile()
    good = adapter("good", guests.adds((b"x-good", b"1")), priority=-1)
    chains = {
        "closed": [adapter("hostile", hostile, annotations=limits), good],
        "open": [
            adapter("hostile", hostile, annotations=limits, failStrategy="FAIL_OPEN"),
            good,
        ],
        "good": [good],
    }
    async with running(services, chains, [asks(name) for name in chains]) as started:
        yield started


async def until(stack: Stack, listener: str, status: int) -> Observation:
    async with asyncio.timeout(30):
        while (seen := await stack.get(listener)).status != status:
            assert decided(seen)["reason"] == "adapter_failed"
    return seen


async def test_endless_loop(stack: Stack) -> None:
    """A loop ends with 503 at the CPU limit; requests beside it are served in the meantime."""
    await until(stack, "closed", 200)
    began = time.monotonic()
    attack = asyncio.create_task(stack.get("closed", "/", ("x-attack", "loop")))
    beside = await asyncio.gather(*(stack.get("good") for _ in range(10)))
    seen = await attack
    # The limit is checked by CPU time; the bound leaves room for a busy machine.
    assert time.monotonic() - began < CPU_LIMIT_S + 5
    assert (seen.status, seen.upstream) == (503, None)
    assert decided(seen)["reason"] == "trap_deadline"
    assert [one.status for one in beside] == [200] * 10
    await until(stack, "closed", 200)


async def test_memory_bomb(stack: Stack) -> None:
    """Memory ends at the module's limit, whatever it asks for, and comes back after the trap."""
    await until(stack, "closed", 200)
    process = psutil.Process(stack.service.pid)
    before = process.memory_info().rss
    for _ in range(5):
        seen = await stack.get("closed", "/", ("x-attack", "grow"))
        assert (seen.status, decided(seen)["verdict"]) == (503, "error")
        await until(stack, "closed", 200)
    assert process.memory_info().rss - before < 2 * MEMORY_LIMIT
    assert (await stack.get("good")).status == 200


TRAPS = 200


@pytest.mark.parametrize("listener", ["closed", "open"])
async def test_traps_in_a_row(stack: Stack, listener: str) -> None:
    """200 requests that trap do not keep another chain from its work, nor FAIL_OPEN a request."""
    trap = Request("GET", "/", (("x-attack", "trap"),))

    async def attack() -> list[int]:
        async with HttpConnection(stack.envoy.address(listener)) as connection:
            return [(await connection.send(trap)).status for _ in range(TRAPS)]

    attacking = asyncio.create_task(attack())
    served = 0
    while not attacking.done() or not served:
        seen = await stack.get("good")
        assert (seen.status, lines(seen, "x-good")) == (200, ["1"])
        served += 1
    statuses = {"closed": {503}, "open": {200}}
    assert set(await attacking) == statuses[listener]
    assert lines(await until(stack, listener, 200), "x-good") == ["1"]
    assert await health(stack.service.address) == "SERVING"


async def test_health_of_an_adapter_comes_back(stack: Stack) -> None:
    """A trap makes its adapter NOT_SERVING, and the next start SERVING; the service stays it."""
    await until(stack, "closed", 200)
    await stack.get("closed", "/", ("x-attack", "trap"))
    name = "mixer.adapter.closed/hostile"
    assert await health(stack.service.address, name) == "NOT_SERVING"
    assert await health(stack.service.address) == "SERVING"
    await until(stack, "closed", 200)
    assert await health(stack.service.address, name) == "SERVING"
