"""Traps and what follows: Envoy's Wasm filter and this engine answer the same, in order."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mixer.engine import Decision, Engine
from mixer.study import bootstrap as build
from mixer.study.client import HttpConnection, Request
from mixer.study.envoy import EnvoyProcess
from tests.engine.conftest import Plugins, request
from tests.support import adapters as do
from tests.support.adapters import adapter
from tests.support.compile import wasm
from tests.support.envoy import installed_envoy

WARN = 3
BACKOFF_S = 2.0
PATIENCE_S = 20.0
MODULE = adapter(
    do.when("x-trap", do.trap),
    context_create=[do.log("create", WARN)],
    vm_start=[do.log("vm_start", WARN)],
    configure=[do.log("configure", WARN)],
    done=[do.log("done", WARN)],
    delete=[do.log("delete", WARN)],
)


@pytest.fixture
def plugins(tmp_path: Path) -> Plugins:
    """Documents in a folder of the test's own."""
    return Plugins(tmp_path)


Ask = Callable[..., Awaitable[int]]
"""Sends a request, which traps if told so; the status."""


class Side:
    """Envoy, or this engine.

    Attributes:
        ask: See `Ask`.
        lines: What the module has logged so far.
    """

    def __init__(self, ask: Ask, lines: Callable[[], list[str]]) -> None:
        self.ask = ask
        self.lines = lines

    async def until(self, status: int) -> list[int]:
        """The statuses until one is this, for as long as one may have patience."""
        seen, ends = [], time.monotonic() + PATIENCE_S
        while status not in seen and time.monotonic() < ends:
            seen.append(await self.ask())
            await asyncio.sleep(0.02)
        return seen


@asynccontextmanager
async def envoy_side(folder: Path, policy: str, backoff: str) -> AsyncIterator[Side]:
    installed_envoy()
    module = folder / "module.wasm"
    module.write_bytes(wasm(MODULE))
    one = build.wasm_filter("module", module, "", vm_id="module")  # names it in every line
    plugin = one["typed_config"]["config"]
    if policy == "fail_open":
        plugin |= {"failure_policy": "UNSPECIFIED", "fail_open": True}
    else:
        plugin["failure_policy"] = policy
    if policy == "FAIL_RELOAD":
        plugin["reload_config"] = {"backoff": {"base_interval": backoff}}
    bootstrap = build.bootstrap([build.listener("wasm", None, [one])], [])
    async with EnvoyProcess(bootstrap, start_timeout_s=120.0) as envoy:

        async def ask(*, trap: bool = False) -> int:
            headers = (("connection", "close"), *((("x-trap", "1"),) if trap else ()))
            async with HttpConnection(envoy.address("wasm")) as connection:
                return (await connection.send(Request("GET", "/", headers))).status

        def lines() -> list[str]:
            return re.findall(r"wasm log module[^:]*: (.*)", envoy.log.read_text(errors="replace"))

        yield Side(ask, lines)


@asynccontextmanager
async def engine_side(
    plugins: Plugins, policy: str, backoff: str, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Side]:
    ours = {"FAIL_CLOSED": "FAIL_CLOSE", "fail_open": "FAIL_OPEN"}.get(policy, policy)
    document = plugins.plugin("a", MODULE, {"reload-backoff": backoff}, failStrategy=ours)
    with Engine(plugins.configuration(document)) as engine:

        async def ask(*, trap: bool = False) -> int:
            decision = engine.decide(request(*([("x-trap", "1")] if trap else [])))
            assert isinstance(decision, Decision)
            return decision.response.status if decision.response else 200

        def lines() -> list[str]:
            return [r.getMessage() for r in caplog.records if r.name == "mixer.adapter.a"]

        yield Side(ask, lines)


async def within_the_backoff(side: Side) -> tuple[list[int], list[str]]:
    """A trap, and requests that come long before the backoff is over."""
    statuses = [await side.ask(), await side.ask(trap=True)]
    lines = len(side.lines())
    statuses += [await side.ask() for _ in range(3)]
    return statuses, side.lines()[lines:]


async def after_the_backoff(side: Side) -> tuple[list[int], list[str]]:
    """A trap right after a reload: some requests fail, and then there is a new VM."""
    await side.ask(trap=True)
    await side.until(200)
    before = time.monotonic()
    statuses = [await side.ask(trap=True), await side.ask()]
    lines = len(side.lines())
    waited = await side.until(200)
    took = time.monotonic() - before
    assert BACKOFF_S - 0.2 < took < 1.5 * BACKOFF_S + 2.0
    return [*statuses, *sorted(set(waited), reverse=True)], side.lines()[lines:]


async def test_requests_after_a_trap(
    plugins: Plugins, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With FAIL_RELOAD and a long backoff every request fails, without a word of the module."""
    async with engine_side(plugins, "FAIL_RELOAD", "1h", caplog) as side:
        ours = await within_the_backoff(side)
    assert ours == ([200, 503, 503, 503, 503], [])
    async with envoy_side(tmp_path, "FAIL_RELOAD", "3600s") as side:
        assert await within_the_backoff(side) == ours


async def test_a_reload(plugins: Plugins, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """After the backoff the next request has a VM that is started and configured anew."""
    backoff = f"{BACKOFF_S:g}s"
    async with engine_side(plugins, "FAIL_RELOAD", backoff, caplog) as side:
        ours = await after_the_backoff(side)
    started = ["create", "vm_start", "configure"]
    assert ours == ([503, 503, 503, 200], [*started, "create", "done", "delete"])
    async with envoy_side(tmp_path, "FAIL_RELOAD", backoff) as side:
        assert await after_the_backoff(side) == ours


async def test_fail_open(
    plugins: Plugins, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The request that traps passes, as with Envoy's ``fail_open``, and so do those that follow."""
    async with engine_side(plugins, "fail_open", "1s", caplog) as side:
        ours = (await within_the_backoff(side))[0]
    assert ours == [200] * 5
    async with envoy_side(tmp_path, "fail_open", "1s") as side:
        assert (await within_the_backoff(side))[0] == ours


async def test_envoys_other_fail_open(tmp_path: Path) -> None:
    """Its ``failure_policy: FAIL_OPEN`` refuses the request that traps: a difference."""
    async with envoy_side(tmp_path, "FAIL_OPEN", "1s") as side:
        assert (await within_the_backoff(side))[0] == [200, 503, 200, 200, 200]


async def test_fail_close_is_not_for_ever(
    plugins: Plugins, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """In Envoy a plugin that failed closed stays so; here its VM is replaced: a difference."""
    async with envoy_side(tmp_path, "FAIL_CLOSED", "1s") as side:
        assert await within_the_backoff(side) == ([200, 503, 503, 503, 503], [])
    async with engine_side(plugins, "FAIL_CLOSED", "1s", caplog) as side:
        assert await side.ask(trap=True) == 503
        assert (await side.until(200))[-1] == 200
