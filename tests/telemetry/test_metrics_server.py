"""The HTTP server of the metrics, on the loop of the test."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from mixer.engine import Engine
from mixer.proxywasm import MetricType
from mixer.study.client import get
from mixer.telemetry import Metrics
from mixer.transport.metrics_server import MetricsServer
from tests.engine.conftest import MakeEngine
from tests.telemetry.reading import series_of

MANY = 10_000
ASKS = b"GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n"


@pytest.fixture
def engine(make_engine: MakeEngine) -> Engine:
    """An engine whose metrics take far more than the buffers of a socket."""
    engine = make_engine()
    for number in range(MANY):
        metric = engine.services.metrics.define(MetricType.HISTOGRAM, f"h{number}")
        assert metric is not None
        metric.record(number)
    return engine


@asynccontextmanager
async def slow_reader(address: str) -> AsyncIterator[socket.socket]:
    """A client that asks, and takes nothing."""
    host, _, port = address.rpartition(":")
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, (host, int(port)))
        await loop.sock_sendall(client, ASKS)
        yield client


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something; the test bounds the time."""
    while True:
        if condition():
            return
        await asyncio.sleep(0.01)


async def test_other_work_goes_on_during_a_scrape(engine: Engine) -> None:
    """A scrape of very many series lets the loop do everything else between its pieces."""
    turns, scraped = 0, False

    async def other_work() -> None:
        nonlocal turns
        while not scraped:
            await asyncio.sleep(0)
            turns += 1

    async with MetricsServer(Metrics(engine)).listening("127.0.0.1:0") as address:
        other = asyncio.create_task(other_work())
        answer = await get(address, "/metrics", 60.0)
        scraped = True
        await other
    found = series_of(answer.body.decode())
    assert found["h7_bucket", (("le", "10"),)] == 1
    assert len([name for name, _ in found if name.endswith("_sum")]) == MANY
    assert turns > MANY / 25


async def test_a_slow_reader(engine: Engine) -> None:
    """Who takes nothing is cut off in time, and holds up nobody meanwhile."""
    server = MetricsServer(Metrics(engine), exchange_s=3.0)
    async with server.listening("127.0.0.1:0") as address, slow_reader(address) as slow:
        assert (await get(address, "/healthz")).status == 200
        received = 0
        async with asyncio.timeout(60.0):
            await until(lambda: server.connections == 0)
            with contextlib.suppress(ConnectionResetError):
                while block := await asyncio.get_running_loop().sock_recv(slow, 1 << 20):
                    received += len(block)
        assert received < MANY * 500


async def test_leaving_ends_what_is_going_on(engine: Engine) -> None:
    """The end of the service does not wait for a slow reader."""
    server = MetricsServer(Metrics(engine))
    async with contextlib.AsyncExitStack() as clients, asyncio.timeout(10.0):
        async with server.listening("127.0.0.1:0") as address:
            await clients.enter_async_context(slow_reader(address))
            await until(lambda: server.connections == 1)
        assert not server.connections
