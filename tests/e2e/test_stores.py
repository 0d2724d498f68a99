"""Several services with one store of shared state."""

import asyncio
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mixer.study.process import ChildProcess
from mixer.study.service import SERVE, ServiceProcess
from tests.e2e.calls import channel, check, check_request
from tests.e2e.guests import Guests
from tests.e2e.stack import Document, Services, adapter
from tests.support import adapters as do
from tests.support.compile import wasm
from tests.support.redis_server import RedisServer, free_port

CONSUMES = do.adapter(
    configure=[do.register_queue("q")], queue_ready=[do.dequeue(None), do.log_taken]
)
PRODUCES = do.adapter(
    do.when("x-message", do.resolve_queue("consumers", "q"), do.enqueue(None, "hello from afar"))
)


@pytest.fixture(params=["lmdb", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Where the services keep what they share."""
    if request.param == "lmdb":
        yield {"lmdb": {"path": str(tmp_path / "state")}}
        return
    with (
        tempfile.TemporaryDirectory(prefix="mixer-redis-") as folder,
        RedisServer(Path(folder)) as server,
    ):
        yield {"redis": {"url": server.url, "timeout": "5s"}}


def consumer(guests: Guests) -> list[Document]:
    module = guests.file("consumes", wasm(CONSUMES))
    return [adapter("consumer", module, annotations={"vm-id": "consumers"})]


def producer(guests: Guests) -> list[Document]:
    module = guests.file("produces", wasm(PRODUCES))
    return [adapter("producer", module, annotations={"vm-id": "producers"})]


async def send(service: ServiceProcess) -> None:
    """Have the producer put one message in."""
    async with channel(service.address) as opened:
        await check(opened, check_request(x_message="1"))


async def consumed(service: ServiceProcess, times: int) -> None:
    """Wait until the consumer logged so many messages."""
    async with asyncio.timeout(30):
        while service.log_text().count("hello from afar") < times:  # noqa: ASYNC110 - a log has no Event
            await asyncio.sleep(0.01)


async def test_a_message_wakes_the_plugin_of_another_service(
    services: Services, guests: Guests, store: dict[str, Any]
) -> None:
    """A worker that is killed leaves the store to the others, and its successor is told again."""
    state, (kind,) = {"store": store}, store
    async with services.service(f"producer-{kind}", producer(guests), state=state) as one:
        async with services.service(f"consumer-{kind}", consumer(guests), state=state) as other:
            await send(one)
            await consumed(other, 1)
            await send(one)
            await consumed(other, 2)
            os.kill(other.pid, signal.SIGKILL)
            async with asyncio.timeout(30):
                while other.exit_status is None:  # noqa: ASYNC110 - another process has no Event
                    await asyncio.sleep(0.01)
        await send(one)
        async with services.service(f"heir-{kind}", consumer(guests), state=state) as heir:
            assert heir.log_text().count("hello from afar") == 0
            await send(one)
            await consumed(heir, 1)
        assert await one.stop() == 0


async def test_no_server(services: Services, guests: Guests) -> None:
    """A service whose Redis is not there ends with its address, and without the password."""
    port = free_port()
    redis = {"url": f"redis://:pass-word@127.0.0.1:{port}/0", "startTimeout": "100ms"}
    state = {"store": {"redis": redis}}
    config = services.configure("no-server", producer(guests), state=state)
    log = config.with_suffix(".log")
    process = await ChildProcess.start("mixer serve", [*SERVE, str(config)], log)
    try:
        assert await process.wait(30) == 1
    finally:
        await process.stop()
    assert f"mixer serve: spec.state.store.redis: Redis at 127.0.0.1:{port}: " in process.log_text()
    assert "Connection refused" in process.log_text()
    assert "pass-word" not in process.log_text()
    assert "Traceback" not in process.log_text()
