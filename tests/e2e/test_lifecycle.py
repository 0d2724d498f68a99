"""Services that come and go, behind an Envoy that stays."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from google.rpc import code_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from mixer.study.process import ChildProcess
from mixer.study.service import SERVE, ServiceProcess
from tests.e2e.calls import call, channel, check, check_request
from tests.e2e.guests import Guests
from tests.e2e.stack import Proxy, Services, adapter, asks, decided, lines, running_envoy
from tests.support import adapters as do
from tests.support.compile import wasm

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAMES = ("restarted", "partly-broken")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxy(envoy: Path, services: Services) -> AsyncIterator[Proxy]:
    listeners = [asks(name, service=name) for name in NAMES]
    async with running_envoy(listeners, {name: services.address(name) for name in NAMES}) as one:
        yield one


def socket_of(service: ServiceProcess) -> Path:
    return Path(service.address.removeprefix("unix:"))


async def ended(service: ServiceProcess) -> None:
    async with asyncio.timeout(30):
        while service.exit_status is None:  # noqa: ASYNC110 - another process has no Event
            await asyncio.sleep(0.01)


async def test_killed_and_started_again(proxy: Proxy, services: Services, guests: Guests) -> None:
    """Without its service Envoy answers 503; a new one takes over the socket left behind."""
    adapters = [adapter("adds", guests.adds((b"x-added", b"1")))]
    absent = await proxy.get("restarted")
    assert (absent.status, absent.details) == (503, "ext_authz_error")
    async with services.service("restarted", adapters) as service:
        assert lines(await proxy.get("restarted"), "x-added") == ["1"]
        os.kill(service.pid, signal.SIGKILL)
        await ended(service)
        gone = await proxy.get("restarted")
        assert (gone.status, gone.upstream, gone.details) == (503, None, "ext_authz_error")
        assert socket_of(service).is_socket()
    async with services.service("restarted", adapters) as service:
        assert lines(await proxy.get("restarted"), "x-added") == ["1"]
    assert not socket_of(service).exists()


async def test_continue_on_errors(proxy: Proxy, services: Services, guests: Guests) -> None:
    """With --continue-on-errors a broken FAIL_CLOSE adapter denies, and the service serves."""
    adapters = [adapter("broken", guests.file("broken", b"not wasm"))]
    command = (*SERVE[:-1], "--continue-on-errors", "-c")
    async with services.service("partly-broken", adapters, command=command) as service:
        seen = await proxy.get("partly-broken")
        assert (seen.status, seen.upstream) == (503, None)
        assert decided(seen) == {
            "verdict": "error",
            "adapter": "broken",
            "reason": "adapter_broken",
            "adapters": [],
        }
    assert "BROKEN" in service.log_text()


async def test_plugins_end_with_their_service(services: Services, guests: Guests) -> None:
    """A plugin that runs by itself ticks, and at SIGTERM may still finish what it put off."""
    text = do.adapter(
        configure=[do.tick(10)],
        tick=[do.log("ticks"), do.done],
        done=[do.log("is told"), do.answer(0)],
        delete=[do.log("has ended")],
    )
    module = guests.file("service", wasm(text))
    alone = adapter("alone", module, annotations={"service": "singleton"})
    async with services.service("ending", [alone]) as service, asyncio.timeout(30):
        while "ticks" not in service.log_text():  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)
    log = service.log_text()
    assert log.index("ticks") < log.index("is told") < log.rindex("ticks") < log.index("has ended")


async def test_second_service_on_the_same_socket(services: Services, guests: Guests) -> None:
    """A socket that is in use is not taken away from its service."""
    adapters = [adapter("adds", guests.adds((b"x-added", b"1")))]
    async with services.service("twice", adapters) as first:
        second = await ChildProcess.start(
            "the second", [*SERVE, str(services.configure("twice", adapters))], first.log
        )
        assert await second.wait(30) == 1
        assert f"{first.address}: it is in use by another process" in second.log_text()
        async with channel(first.address) as opened:
            assert (await check(opened, check_request())).status.code == code_pb2.OK


IN_FLIGHT = 30
GRACE_S = 10


async def test_sigterm_with_requests_in_flight(services: Services, guests: Guests) -> None:
    """SIGTERM: what is in flight is answered, health says NOT_SERVING, the process ends with 0."""
    slow = adapter("slow", guests.hostile(), annotations={"cpu-limit": "10s"})
    shutdown = {"grace": f"{GRACE_S}s"}
    async with (
        services.service("stopped", [slow], shutdown=shutdown) as service,
        channel(service.address) as opened,
        channel(service.address) as watching,
    ):
        statuses = health_pb2_grpc.HealthStub(watching).Watch(
            health_pb2.HealthCheckRequest(service="")
        )
        first = await statuses.read()
        assert first.status == health_pb2.HealthCheckResponse.SERVING
        calls = [call(opened, check_request(x_attack="burn")) for _ in range(IN_FLIGHT)]
        await calls[0]
        began = time.monotonic()
        os.kill(service.pid, signal.SIGTERM)
        second = await statuses.read()
        assert second.status == health_pb2.HealthCheckResponse.NOT_SERVING
        statuses.cancel()
        await asyncio.gather(*calls)
        await ended(service)
        assert time.monotonic() - began < GRACE_S
    assert service.exit_status == 0
    assert not socket_of(service).exists()
    assert "Traceback" not in service.log_text()


async def test_nobody_without_a_call_is_waited_for(services: Services) -> None:
    """Who never spoke, who reads nothing and who watches the health do not hold the stop up."""
    settings = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
    async with (
        services.service("deserted", [], shutdown={"grace": "10m"}) as service,
        channel(service.address) as watching,
    ):
        path = service.address.removeprefix("unix:")
        _, silent = await asyncio.open_unix_connection(path)
        reader, deaf = await asyncio.open_unix_connection(path)
        deaf.write(settings)
        await reader.read(1)
        statuses = health_pb2_grpc.HealthStub(watching).Watch(
            health_pb2.HealthCheckRequest(service="")
        )
        await statuses.read()
        os.kill(service.pid, signal.SIGTERM)
        second = await statuses.read()
        assert second.status == health_pb2.HealthCheckResponse.NOT_SERVING
        await ended(service)
        silent.close()
        deaf.close()
    assert service.exit_status == 0
    assert "stopping: connections without a call are cut" in service.log_text()


async def test_grace_cuts_what_takes_longer(services: Services, guests: Guests) -> None:
    """What outlasts the grace period is cut, and the process still ends with 0."""
    adapters = [adapter("adds", guests.adds((b"x-added", b"1")))]
    async with (
        services.service("cut", adapters, shutdown={"grace": "100ms"}) as service,
        channel(service.address) as watching,
    ):
        statuses = health_pb2_grpc.HealthStub(watching).Watch(
            health_pb2.HealthCheckRequest(service="")
        )
        await statuses.read()  # and it stays open
        os.kill(service.pid, signal.SIGTERM)
        await ended(service)
    assert service.exit_status == 0
    assert "Traceback" not in service.log_text()
