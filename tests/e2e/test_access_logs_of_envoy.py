"""The configurations in deploy/ in the real Envoy, with what adapters count of what it tells."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from mixer.study import bootstrap as build
from mixer.study.client import HttpConnection, Request
from mixer.study.envoy import EnvoyProcess
from mixer.study.service import ServiceProcess
from mixer.study.upstream import EchoUpstream
from tests.e2e.stack import START_TIMEOUT_S, Services, adapter
from tests.e2e.test_access_logs import counted, until
from tests.e2e.test_metrics import telemetry

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("envoy")]

DEPLOY = Path(__file__).parents[2] / "deploy" / "envoy"

COUNTS = {
    "metrics": [
        {
            "name": "requests_total",
            "kind": "COUNTER",
            "dimensions": {
                "log": "mixer.log.name",
                "code": "response.code",
                "method": "request.method",
                "path": "request.path",
                "user": 'request.headers["x-user"]',
                "host": "request.host",
                "protocol": "request.protocol",
                "cluster": "xds.cluster_name",
                "route": "xds.route_name",
                "vhost": "xds.virtual_host_name",
                "flags": "response.flags",
                "region": 'mixer.log.resource["region"]',
                "body": "mixer.log.body",
            },
        },
        {"name": "received_bytes", "kind": "COUNTER", "value": "request.size",
         "dimensions": {"log": "mixer.log.name"}},
        {"name": "took_milliseconds", "kind": "HISTOGRAM", "value": "request.duration",
         "dimensions": {"log": "mixer.log.name"}},
    ]
}  # fmt: skip


def deployed(name: str, addresses: Mapping[str, str]) -> dict[str, Any]:
    """A configuration, with free ports, other addresses of clusters, and entries sent at once."""
    config = yaml.safe_load((DEPLOY / name).read_text())
    for listener in config["static_resources"]["listeners"]:
        listener["address"] = build.socket_address("127.0.0.1:0")
    for cluster in config["static_resources"]["clusters"]:
        endpoint = {"endpoint": {"address": build.socket_address(addresses[cluster["name"]])}}
        cluster["load_assignment"]["endpoints"][0]["lb_endpoints"] = [endpoint]
    text = json.dumps(config).replace(
        '"buffer_flush_interval": "1s"', '"buffer_flush_interval": "0.05s"'
    )
    changed: dict[str, Any] = json.loads(text)
    return changed


@asynccontextmanager
async def telling(name: str, service: ServiceProcess) -> AsyncIterator[EnvoyProcess]:
    """An Envoy with one of the configurations."""
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(EchoUpstream())
        addresses = {"mixer_logs": service.address, "upstream": upstream.address,
                     "database": upstream.address}  # fmt: skip
        config = deployed(name, addresses)
        yield await stack.enter_async_context(EnvoyProcess(config, start_timeout_s=START_TIMEOUT_S))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(services: Services) -> AsyncIterator[ServiceProcess]:
    counts = [adapter("counts", "builtin://telemetry", COUNTS)]
    async with services.service("envoy-logs", counts, telemetry=telemetry()) as running:
        yield running


async def send(envoy: EnvoyProcess, listener: str, target: str, *headers: tuple[str, str]) -> None:
    async with HttpConnection(envoy.address(listener), 30.0) as connection:
        request = Request("POST", target, headers, b"hello")
        assert (await connection.send(request)).status == 200


async def counts(service: ServiceProcess, number: int, **labels: str) -> None:
    """Waits until so many requests are counted."""

    async def are_there() -> bool:
        return await counted(service, **labels) >= number

    await until(are_there)
    assert await counted(service, **labels) == number


async def test_access_log(service: ServiceProcess) -> None:
    """Requests and connections are told, with what the configuration adds to them."""
    async with telling("access_log.yaml", service) as envoy:
        for _ in range(3):
            await send(envoy, "ingress", "/als?x=y", ("x-user", "alice"))
        await send(envoy, "database", "/tcp")
        expected = {"log": "ingress", "code": "200", "method": "POST", "path": "/als?x=y",
                    "user": "alice", "host": "demo.mixer.dev", "protocol": "HTTP/1.1", "flags": "0",
                    "cluster": "upstream", "route": "default", "vhost": "all"}  # fmt: skip
        await counts(service, 3, **expected)
        connection = {"log": "database", "code": "unknown", "path": "unknown",
                      "cluster": "database"}  # fmt: skip
        await counts(service, 1, **connection)
    assert await counted(service, "received_bytes", log="ingress") == 15
    assert await counted(service, "received_bytes", log="database") > 30
    assert await counted(service, "took_milliseconds_count", log="ingress") == 3


async def test_otlp_log(service: ServiceProcess) -> None:
    """OpenTelemetry's names, Envoy's, the body and the resource are told."""
    async with telling("otlp_log.yaml", service) as envoy:
        for _ in range(2):
            await send(envoy, "ingress", "/otlp", ("x-user", "bob"))
        await send(envoy, "ingress", "/otlp")
        expected = {"log": "ingress", "code": "200", "method": "POST", "path": "/otlp",
                    "host": "demo.mixer.dev", "protocol": "HTTP/1.1", "cluster": "upstream",
                    "route": "default", "vhost": "all", "flags": "0", "region": "nowhere-1",
                    "body": "POST /otlp 200"}  # fmt: skip
        await counts(service, 2, user="bob", **expected)
        await counts(service, 1, user="unknown", **expected)


async def test_bytes_that_are_no_text(service: ServiceProcess) -> None:
    """A client that sends them keeps no request from being told, its own neither."""
    headers = (b"host: a", b"x-request-id: \xfe", b"x-user: \xff", b"connection: close", b"", b"")
    raw = b"\r\n".join((b"GET /%s HTTP/1.1", *headers))
    for name, path in (("access_log.yaml", b"odd-als"), ("otlp_log.yaml", b"odd-otlp")):
        async with telling(name, service) as envoy:
            host, _, port = envoy.address("ingress").rpartition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(raw % path)
            await reader.read()
            writer.close()
            await writer.wait_closed()
            await send(envoy, "ingress", f"/after-{path.decode()}")
            await counts(service, 1, path=f"/{path.decode()}")
            await counts(service, 1, path=f"/after-{path.decode()}")


async def test_a_restart_of_the_service(services: Services) -> None:
    """Envoy goes on to tell the one that comes after it."""
    adapters = [adapter("counts", "builtin://telemetry", COUNTS)]
    made = [services.service("restart", adapters, telemetry=telemetry()) for _ in range(2)]
    async with made[0] as first, telling("access_log.yaml", first) as envoy:
        await send(envoy, "ingress", "/first")
        await counts(first, 1, path="/first")
        assert await first.stop(30.0) == 0
        assert "adapter counts: 0 requests, 0 denied, 1 reports" in first.log_text()
        async with made[1] as second:

            async def is_told() -> bool:
                await send(envoy, "ingress", "/second")
                return await counted(second, path="/second") > 0

            await until(is_told)
