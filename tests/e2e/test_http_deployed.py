"""The service of deploy/mixer/http.yaml behind nginx, HAProxy and Caddy."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from mixer.study.upstream import EchoUpstream
from tests.e2e.deployed import adapters
from tests.e2e.stack import Services
from tests.e2e.test_http_proxies import Stack, each, http_address, listeners
from tests.support.proxies import KINDS, Kind, running_proxy

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(services: Services) -> AsyncIterator[Stack]:
    async with AsyncExitStack() as entered:
        upstream = await entered.enter_async_context(EchoUpstream())
        service = await entered.enter_async_context(
            services.service(
                "deployed", adapters("http"), listeners=listeners(services, "deployed")
            )
        )
        asked, proxies = http_address(service), {}
        for kind in KINDS:
            if kind.installed():
                running = running_proxy(kind, services.folder / kind.name, asked, upstream.address)
                proxies[kind.name] = await entered.enter_async_context(running)
        yield Stack(proxies, service)


@each()
async def test_a_key(stack: Stack, kind: Kind) -> None:
    """Whose it is reaches the upstream, in place of what the client claims; the key does not."""
    seen = await stack.get(kind, "/", ("x-api-key", "demo-key"), ("x-consumer", "forged"))
    assert (seen.status, seen.lines("x-consumer"), seen.lines("x-api-key")) == (200, ["alice"], [])


@each()
async def test_a_forged_consumer(stack: Stack, kind: Kind) -> None:
    """Where everybody may ask, nobody can say who he is."""
    seen = await stack.get(kind, "/health", ("x-consumer", "forged"))
    assert (seen.status, seen.lines("x-consumer")) == (200, [])


@each()
async def test_a_wrong_key(stack: Stack, kind: Kind) -> None:
    """It is refused."""
    seen = await stack.get(kind, "/", ("x-api-key", "guess"), ("x-consumer", "forged"))
    assert (seen.status, seen.upstream) == (401, None)
