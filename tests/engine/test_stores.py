"""Engines that share a store with engines of other processes."""

import asyncio
import logging
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mixer.config import Configuration, loads
from mixer.engine import Engine, Verdict
from mixer.state import StoreError
from tests.engine.conftest import Plugins, request
from tests.state.peer import Peer, Place
from tests.support import adapters as do
from tests.support.adapters import adapter
from tests.support.redis_server import RedisServer, free_port

CONSUMES = adapter(
    configure=[do.register_queue("q")],
    queue_ready=[do.dequeue(None), do.log_taken],
)
PRODUCES = adapter(
    do.when("x-message", do.resolve_queue("consumers", "q"), do.enqueue(None, "hello from afar")),
    do.when("x-set", do.set_shared("k", "v")),
    do.when_shared("k", do.add("x-shared", "yes")),
)


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A server that keeps what it answered for, on a port."""
    with (
        tempfile.TemporaryDirectory(prefix="mixer-redis-") as folder,
        RedisServer(Path(folder), port=free_port(), durable=True) as server,
    ):
        yield server


def stored(configuration: Configuration, store: dict[str, Any]) -> Configuration:
    """The same configuration with another store."""
    text = {"apiVersion": "mixer.dev/v1alpha1", "kind": "Mixer", "metadata": {"name": "m"}}
    state = loads(repr({**text, "spec": {"state": {"store": store}}}), environ={}).mixer.state
    return replace(configuration, mixer=configuration.mixer.model_copy(update={"state": state}))


async def logged(caplog: pytest.LogCaptureFixture, text: str, times: int = 1) -> None:
    """Wait until something is in the log."""
    async with asyncio.timeout(30):
        while caplog.text.count(text) < times:  # noqa: ASYNC110 - a log has no Event
            await asyncio.sleep(0.005)


def redis_of(server: RedisServer) -> dict[str, Any]:
    return {"redis": {"url": server.url, "timeout": "5s"}}


async def test_two_engines_on_one_server(
    plugins: Plugins, server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A message that one engine's adapter puts in wakes the consumer in another, once for each."""
    caplog.set_level("INFO")
    consumer = plugins.configuration(plugins.plugin("c", CONSUMES, {"vm-id": "consumers"}))
    producer = plugins.configuration(plugins.plugin("p", PRODUCES, {"vm-id": "producers"}))
    with (
        Engine(stored(consumer, redis_of(server))),
        Engine(stored(producer, redis_of(server))) as one,
        Engine(stored(producer, redis_of(server))) as other,
    ):
        for engine in (one, other, one):
            engine.decide(request(("x-message", "1")))
        await logged(caplog, "mixer.adapter.c:guest_log.py", 3)
        assert caplog.text.count("hello from afar") == 3
        one.decide(request(("x-set", "1")))
        assert "x-shared" in str(other.decide(request()).request_headers)


async def test_an_engine_and_another_process_in_one_folder(
    plugins: Plugins, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A message from another process on the host wakes the consumer plugin; data is shared."""
    caplog.set_level("INFO")
    folder = tmp_path / "state"
    documents = [
        plugins.plugin("c", CONSUMES, {"vm-id": "consumers"}),
        plugins.plugin("p", PRODUCES, {"vm-id": "producers"}),
    ]
    configuration = stored(plugins.configuration(*documents), {"lmdb": {"path": str(folder)}})
    with Engine(configuration) as engine, Peer(Place(folder, map_size=1 << 30)) as other:
        queue = other.ask("queues.resolve", "consumers", b"q")
        other.ask("queues.enqueue", queue, b"of a process")
        await logged(caplog, "of a process")
        other.ask("data.set", "producers", b"k", b"v")
        assert "x-shared" in str(engine.decide(request()).request_headers)


async def test_a_restart_of_the_server_in_the_middle(
    plugins: Plugins, server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """While the server is away requests are answered, and afterwards all is as before."""
    caplog.set_level("INFO")
    documents = [
        plugins.plugin("c", CONSUMES, {"vm-id": "consumers"}),
        plugins.plugin("p", PRODUCES, {"vm-id": "producers"}),
    ]
    configuration = stored(plugins.configuration(*documents), redis_of(server))
    with Engine(configuration) as engine:
        engine.decide(request(("x-set", "1")))
        server.stop()
        began = time.monotonic()
        for _ in range(200):
            decision = engine.decide(request(("x-message", "1")))
            assert decision.verdict is Verdict.ALLOW
            assert "x-shared" not in str(decision.request_headers)
        assert time.monotonic() - began < 5
        assert len([r for r in caplog.records if r.levelno >= logging.WARNING]) == 1
        server.start()
        await logged(caplog, "is back after")
        decision = engine.decide(request(("x-message", "1")))
        assert "x-shared" in str(decision.request_headers)
        await logged(caplog, "hello from afar")


def test_no_server_at_the_start(plugins: Plugins) -> None:
    """An engine does not start without its store: its modules would not get their queues."""
    port = free_port()
    store = {"redis": {"url": f"redis://:pass-word@127.0.0.1:{port}", "startTimeout": "100ms"}}
    configuration = stored(plugins.configuration(plugins.plugin("c", CONSUMES)), store)
    with pytest.raises(StoreError) as caught:
        Engine(configuration)
    told = f"spec.state.store.redis: Redis at 127.0.0.1:{port}: Connection refused."
    assert str(caught.value) == told
    assert "pass-word" not in f"{caught.value} {configuration!r}"


def test_a_try_beside_a_service(plugins: Plugins, tmp_path: Path) -> None:
    """What is only tried has a state of its own, and takes no queue over."""
    store = {"lmdb": {"path": str(tmp_path / "state")}}
    configuration = stored(plugins.configuration(plugins.plugin("c", CONSUMES)), store)
    with Engine(configuration.in_memory()) as engine:
        assert engine.broken == ()
    assert not (tmp_path / "state").exists()


def test_closing_an_engine_closes_its_store(plugins: Plugins, tmp_path: Path) -> None:
    """The folder can be opened by the next engine of the same process."""
    store = {"lmdb": {"path": str(tmp_path / "state")}}
    configuration = stored(plugins.configuration(plugins.plugin("p", PRODUCES)), store)
    with Engine(configuration) as engine:
        engine.decide(request(("x-set", "1")))
    with Engine(configuration) as engine:
        assert "x-shared" in str(engine.decide(request()).request_headers)
