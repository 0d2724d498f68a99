"""Requests while whoever is to take their spans is killed, slowed, started anew, and lies."""

import asyncio
from collections.abc import Awaitable, Callable

from envoy.service.auth.v3 import external_auth_pb2

from mixer.api import ext_authz
from mixer.telemetry.tracing import MAX_WAITING
from mixer.transport.authorization import handler
from mixer.transport.front_ends import FrontEnd
from mixer.transport.otlp_spans import SpanPush
from mixer.transport.spans import listen
from mixer.transport.spans_push import SpanSettings
from tests.engine.conftest import MakeEngine, Plugins, make_engine, plugins
from tests.support.adapters import adapter
from tests.support.trace_receiver import TraceReceiver, lies, takes
from tests.transport.test_measured import PARENT, World, until

__all__ = ["make_engine", "plugins"]

AT_ONCE = 20


def a_check() -> bytes:
    request = external_auth_pb2.CheckRequest()
    request.attributes.request.http.headers.update({":path": "/", ":method": "GET"})
    return bytes(request.SerializeToString())


class Load:
    """Checks that are asked time and again; each must be answered, and allowed."""

    def __init__(self, check: Callable[..., Awaitable[bytes]]) -> None:
        self._check, self._data = check, a_check()
        self._over = False
        self.answered = 0

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._ask())

    async def _ask(self) -> None:
        while not self._over:
            answer = await self._check(self._data, metadata=PARENT, timeout=30.0)
            assert external_auth_pb2.CheckResponse.FromString(answer).status.code == 0
            self.answered += 1

    async def more(self) -> None:
        """Wait for some more answers."""
        before = self.answered
        await until(lambda: self.answered >= before + 5 * AT_ONCE)

    def end(self) -> None:
        self._over = True


async def test_requests_are_not_harmed(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Each is answered, what waits is bounded, and spans are sent again by themselves."""
    engine = make_engine(plugins.plugin("one", adapter()))
    world = World()
    listen(engine, world.tracer)
    front_end = FrontEnd(ext_authz.SERVICE, handler)
    async with world.listening([(front_end, handler(engine))]):
        load = Load(world.method(ext_authz.METHOD, ext_authz.SERVICE))
        with TraceReceiver() as receiver:
            settings = SpanSettings(receiver.url, 0.02, 0.3, {})
            async with SpanPush(world.queue, world.counts, settings):
                running = asyncio.create_task(load.run())
                await until(lambda: world.counts.sent > 0)
                now = receiver
                for harm in (_hold, _lie, _kill):
                    now = await harm(now, world, load)
                    sent = world.counts.sent
                    await until(lambda sent=sent: world.counts.sent > sent)
                    await load.more()
                    assert len(world.queue) <= MAX_WAITING
                load.end()
                await running
            now.stop()
    assert world.counted(ext_authz.METHOD, ext_authz.SERVICE) == {"OK": load.answered}
    made = world.counts.sent + world.counts.failed + world.counts.dropped
    assert made == 2 * load.answered


async def _hold(receiver: TraceReceiver, world: World, load: Load) -> TraceReceiver:
    failed = world.counts.failed
    receiver.may_answer.clear()
    await until(lambda: world.counts.failed > failed)
    await load.more()
    receiver.may_answer.set()
    return receiver


async def _lie(receiver: TraceReceiver, world: World, load: Load) -> TraceReceiver:
    failed = world.counts.failed
    receiver.answer = lies
    await until(lambda: world.counts.failed > failed)
    await load.more()
    receiver.answer = takes
    return receiver


async def _kill(receiver: TraceReceiver, world: World, load: Load) -> TraceReceiver:
    failed = world.counts.failed
    await asyncio.to_thread(receiver.stop)
    await until(lambda: world.counts.failed > failed)
    await load.more()
    return TraceReceiver(receiver.port).__enter__()
