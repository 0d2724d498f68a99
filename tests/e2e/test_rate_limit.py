"""Envoy's own rate limit filters, as deploy/envoy has them, and the quota adapter."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from copy import deepcopy
from typing import Any

import pytest
import pytest_asyncio
from envoy.service.ratelimit.v3 import rls_pb2

from mixer.demo.comparison import Observation
from mixer.study.envoy import EnvoyProcess
from mixer.study.service import ServiceProcess
from mixer.study.upstream import EchoUpstream
from tests.e2e.calls import call, channel
from tests.e2e.deployed import adapters, envoy_configuration
from tests.e2e.stack import START_TIMEOUT_S, Document, Proxy, Services

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("envoy")]

SHOULD_RATE_LIMIT = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"
PATIENCE_S = 30.0
ASK_TIMEOUT = "10s"


def of(unit: str, number: int) -> Document:
    return {"unit": unit, "requests_per_unit": number}


def limits() -> list[Document]:
    """Those of deploy/mixer, with numbers and windows that a test can wait for."""
    [plugin] = adapters("rate_limit")
    plugin = deepcopy(plugin)
    rules = plugin["spec"]["pluginConfig"]["domains"][0]["descriptors"]
    by_key = {rule["key"]: rule for rule in rules}
    assert set(by_key) == {"remote_address", "path", "listener", "backend"}
    by_key["remote_address"]["rate_limit"] = of("hour", 6)
    by_key["path"]["descriptors"][0]["rate_limit"] |= of("hour", 2)
    by_key["listener"]["rate_limit"] = of("hour", 2)
    by_key["backend"]["rate_limit"] = of("hour", 5)
    rules.append({"key": "backend", "value": "nothing", "rate_limit": of("second", 0)})
    rules.append({"key": "backend", "value": "open", "rate_limit": {"unlimited": True}})
    return [plugin]


def patient(config: Any) -> Any:
    """The same with long timeouts: a busy machine must not look like a service that is down."""
    if isinstance(config, dict):
        waits = {"timeout"} & config.keys()
        return {k: ASK_TIMEOUT if k in waits else patient(v) for k, v in config.items()}
    return [patient(one) for one in config] if isinstance(config, list) else config


@asynccontextmanager
async def started(config: dict[str, Any]) -> AsyncIterator[Proxy]:
    async with EnvoyProcess(config, start_timeout_s=START_TIMEOUT_S) as envoy:
        yield Proxy(envoy)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def upstream() -> AsyncIterator[str]:
    async with EchoUpstream() as running:
        yield running.address


@asynccontextmanager
async def serving(services: Services, name: str, **spec: Any) -> AsyncIterator[ServiceProcess]:
    async with services.service(name, limits(), **spec) as service:
        yield service


async def remaining(service: ServiceProcess, *entries: tuple[str, str]) -> int:
    """What is left of a limit, by a request that takes nothing of it."""
    request = rls_pb2.RateLimitRequest(domain="edge")
    descriptor = request.descriptors.add()
    descriptor.hits_addend.value = 0
    for key, value in entries:
        descriptor.entries.add(key=key, value=value)
    async with channel(service.address) as opened:
        answer = await call(opened, request.SerializeToString(), SHOULD_RATE_LIMIT)
    status = rls_pb2.RateLimitResponse.FromString(answer).statuses[0]
    assert status.HasField("current_limit")
    return int(status.limit_remaining)


async def until(check: Callable[[], Any]) -> Any:
    """Wait until an awaitable is true."""
    async with asyncio.timeout(PATIENCE_S):
        while not (found := await check()):  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.05)
    return found


def reset_free(seen: Observation) -> dict[str, str]:
    """Its rate limit headers without the seconds, which pass."""
    headers = dict(seen.headers)
    return {k: headers[k].partition(";t=")[0] for k in headers if k.startswith("ratelimit")}


async def test_http(services: Services, upstream: str) -> None:
    """Each client has its limit; what one of several refuses is not taken of the others."""
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(serving(services, "http"))
        config = envoy_configuration("rate_limit", mixer=service.address, upstream=upstream)
        proxy = await stack.enter_async_context(started(patient(config)))
        seen = [await proxy.get("ingress", "/login") for _ in range(4)]
        assert [one.status for one in seen] == [200, 200, 429, 429]
        assert reset_free(seen[0])["ratelimit"] == '"logins";r=1'
        assert 3000 < int(dict(seen[2].headers)["retry-after"]) <= 3600
        seen = [await proxy.get("ingress", "/orders") for _ in range(5)]
        assert [one.status for one in seen] == [200] * 4 + [429]
        assert reset_free(seen[3]) == {
            "ratelimit-policy": '"remote_address";q=6;w=3600',
            "ratelimit": '"remote_address";r=0',
        }
        await service.stop()
        down = await proxy.get("ingress", "/orders")
        assert down.status == 503


async def test_tcp(services: Services, upstream: str) -> None:
    """Connections beyond the limit are closed."""
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(serving(services, "tcp"))
        config = envoy_configuration("rate_limit", mixer=service.address, upstream=upstream)
        proxy = await stack.enter_async_context(started(patient(config)))

        async def answer() -> bytes:
            host, port = proxy.envoy.address("tcp").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            try:
                async with asyncio.timeout(PATIENCE_S):
                    return await reader.readline()
            except ConnectionError:
                return b""
            finally:
                writer.close()

        ok = b"HTTP/1.1 200 \r\n"
        assert [await answer() for _ in range(3)] == [ok, ok, b""]


def buckets(config: dict[str, Any], **backends: str) -> dict[str, Any]:
    """The quota filter once for each listener, with another backend."""
    [listener] = config["static_resources"]["listeners"]
    listeners = []
    for name, backend in backends.items():
        copy = deepcopy(listener) | {"name": name}
        manager = copy["filter_chains"][0]["filters"][0]["typed_config"]
        settings = manager["http_filters"][0]["typed_config"]["bucket_matchers"]["on_no_match"]
        builder = settings["action"]["typed_config"]["bucket_id_builder"]["bucket_id_builder"]
        assert builder == {"backend": {"string_value": "orders"}}
        builder["backend"]["string_value"] = backend
        listeners.append(copy)
    config["static_resources"]["listeners"] = listeners
    return config


async def test_quota(services: Services, upstream: str) -> None:
    """Envoy keeps to what it is assigned, and what it reports is taken of the quota."""
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(serving(services, "quota"))
        config = envoy_configuration("rate_limit_quota", mixer=service.address, upstream=upstream)
        config = buckets(config, orders="orders", nothing="nothing", open="open")
        proxy = await stack.enter_async_context(started(config))

        async def status(name: str) -> int:
            return (await proxy.get(name)).status

        async def refused(name: str) -> bool:
            return await status(name) == 429

        async def used_up() -> bool:
            await status("orders")
            return await remaining(service, ("backend", "orders")) == 0

        await until(used_up)
        await until(lambda: all_pass(lambda: status("open"), 40))
        await until(lambda: refused("orders"))
        assert await refused("nothing")


async def all_pass(status: Callable[[], Any], number: int) -> bool:
    """Whether so many requests at once all pass."""
    seen = await asyncio.gather(*(status() for _ in range(number)))
    return set(seen) == {200}


async def test_a_quota_is_shared_by_proxies(services: Services, upstream: str) -> None:
    """What one Envoy has used up, another one does not get."""
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(serving(services, "shared"))
        config = envoy_configuration("rate_limit_quota", mixer=service.address, upstream=upstream)
        one = await stack.enter_async_context(started(config))
        other = await stack.enter_async_context(started(config))

        async def used_up() -> bool:
            await one.get("ingress")
            return await remaining(service, ("backend", "orders")) == 0

        await until(used_up)

        async def refused(proxy: Proxy) -> bool:
            seen = [(await proxy.get("ingress")).status for _ in range(2)]
            return seen == [429, 429]

        await until(lambda: refused(other))
        await until(lambda: refused(one))


async def test_an_assignment_ends_without_the_service(services: Services, upstream: str) -> None:
    """A proxy that is left alone keeps to its assignment as long as that holds, and no longer."""
    settings = {"quota": {"assignmentTimeToLive": "2s"}}
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(serving(services, "ends", rateLimit=settings))
        config = envoy_configuration("rate_limit_quota", mixer=service.address, upstream=upstream)
        config = buckets(config, open="open")
        proxy = await stack.enter_async_context(started(config))
        await until(lambda: all_pass(lambda: get_status(proxy), 40))
        await service.stop()

        async def some_pass() -> bool:
            seen = await asyncio.gather(*(get_status(proxy) for _ in range(40)))
            return set(seen) == {200, 429}

        await until(some_pass)


async def get_status(proxy: Proxy) -> int:
    return (await proxy.get("open")).status
