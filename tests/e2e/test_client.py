"""`mixer.client` and the service: what is kept on one side follows from what ran on the other."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from mixer.client import (
    AsyncMixerClient,
    ClientSettings,
    HeaderAction,
    HeaderOperation,
    MixerClient,
    ReportSettings,
    RetrySettings,
)
from mixer.study.service import ServiceProcess
from tests.e2e.guests import Guests
from tests.e2e.stack import ASK_TIMEOUT_S, Document, Services, adapter
from tests.e2e.test_metrics import scrape, telemetry
from tests.support import adapters as do
from tests.support.compile import wasm

pytestmark = pytest.mark.asyncio(loop_scope="module")

DECIDES = do.adapter(
    do.where_header("x-deny", None, do.deny(403, "not you")), do.add("x-added", "1")
)
GRANTS = do.adapter(
    do.set_property("mixer.valid_duration", "1m"), do.set_property("mixer.quota.granted", "1000")
)
LOGS = do.adapter(
    configure=[lambda t: f"(drop (call $define (i32.const 0) {t.place('told')} (i32.const 128)))"],
    log=[lambda _: "(drop (call $increment (i32.load (i32.const 128)) (i64.const 1)))"],
)


def adapters(guests: Guests) -> list[Document]:
    """One that decides, one that grants quota, one that counts records."""
    return [
        adapter("decides", guests.file("c-decides", wasm(DECIDES)),
                annotations={"valid-duration": "1h", "valid-use-count": "-1"}),
        adapter("logs", guests.file("c-logs", wasm(LOGS)), annotations={"valid-duration": "1h"}),
        adapter("grants", guests.file("c-grants", wasm(GRANTS)),
                annotations={"quotas": "calls", "valid-duration": "1h"}),
    ]  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(services: Services, guests: Guests) -> AsyncIterator[ServiceProcess]:
    async with services.service("client", adapters(guests), telemetry=telemetry()) as running:
        yield running


def settings(service: ServiceProcess, **more: Any) -> ClientSettings:
    return ClientSettings(address=service.address, timeout=ASK_TIMEOUT_S, **more)


def asked(**headers: str) -> dict[str, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"request.path": "/", "request.headers": {":path": "/", **named}}


def _checks(service: ServiceProcess) -> list[tuple[int, bool, tuple[HeaderOperation, ...]]]:
    with MixerClient(settings(service)) as client:
        requests = [asked(), asked(x_other="1"), asked(x_deny="1"), asked(x_deny="1"), asked()]
        results = [client.check(request) for request in requests]
    return [(r.code, r.from_cache, r.route_directive.request_operations) for r in results]


async def test_answers_are_kept(service: ServiceProcess) -> None:
    """By the headers that the module read; what it does to the headers is kept with them."""
    added = (HeaderOperation("x-added", "1", HeaderAction.REPLACE),)
    assert await asyncio.to_thread(_checks, service) == [
        (0, False, added),
        (0, True, added),
        (7, False, ()),
        (7, True, ()),
        (0, True, added),
    ]


async def test_quota_is_granted_in_advance(service: ServiceProcess) -> None:
    """A hundred checks take a few calls."""
    async with AsyncMixerClient(settings(service)) as client:
        for _ in range(100):
            result = await client.check(asked(), quotas={"calls": 1})
            assert (result.code, result.quotas["calls"].granted) == (0, 1)
        metrics = client.metrics()
        unknown = await client.check(asked(), quotas={"nosuch": 1})
    assert metrics.quota_cache_hits >= 80
    assert metrics.remote_calls <= 20
    assert (unknown.code, unknown.message) == (5, "no adapter serves this quota")


async def _told(service: ServiceProcess) -> float:
    return (await scrape(service)).get(("told", ()), 0)


@pytest.mark.parametrize("encoding", ["INDEPENDENT", "DELTA"])
async def test_reports_arrive(service: ServiceProcess, encoding: str) -> None:
    """Each record once, in either encoding."""
    before = await _told(service)
    report = ReportSettings(encoding=encoding)
    async with AsyncMixerClient(settings(service, report=report)) as client:
        for number in range(250):
            await client.report(asked() | {"response.code": 200 + number % 2})
        assert await client.flush(ASK_TIMEOUT_S) == 0
    assert await _told(service) - before == 250


async def test_a_service_that_is_killed(services: Services, guests: Guests) -> None:
    """What is kept is answered, the rest refused; records wait for the next service."""
    config = services.service("client-killed", adapters(guests))
    fast = RetrySettings(base=0.01, most=0.05)
    async with AsyncMixerClient(settings(config, retry=fast)) as client:
        async with config as running:
            assert (await client.check(asked())).ok
            os.kill(running.pid, signal.SIGKILL)
        await client.report(asked())
        assert await client.flush(0.2) == 1
        assert (await client.check(asked())).from_cache
        assert (await client.check(asked(x_deny="1"))).code == 14
        again = services.service("client-killed", adapters(guests))
        async with again:
            assert await client.flush(ASK_TIMEOUT_S) == 0
            assert client.metrics().report_entries_delivered == 1
            assert (await client.check(asked(x_deny="1"))).code == 7
