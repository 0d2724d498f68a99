"""Shared data, queues, metrics and ticks: Envoy's Wasm filter and this host log the same."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from mixer.proxywasm import (
    ManualScheduler,
    PluginSettings,
    RootContext,
    Services,
    StreamContext,
    WasmVm,
)
from mixer.study import bootstrap as build
from mixer.study.client import get
from mixer.study.envoy import EnvoyProcess
from mixer.vm import VmLimits
from tests.differential.scripted import BAD, BYTES, CAS, KEPT, MARK, RESULT, Step, step, text
from tests.support.compile import linker, plugin, wasm
from tests.support.envoy import installed_envoy
from tests.support.guest import http_stream

VM_ID = "shared"
SETTLE_S = 10.0
QUIET_S = 0.3


def get_data(key: bytes, *, keep: bool = False) -> Step:
    return step("get_shared_data", key, *BYTES, CAS, shows="bytes", keep=keep)


def set_data(key: bytes, value: bytes, cas: int | str = 0) -> Step:
    return step("set_shared_data", key, value, cas)


def register(name: bytes) -> Step:
    return step("register_shared_queue", name, RESULT, shows="word")


def resolve(vm_id: bytes, name: bytes) -> Step:
    return step("resolve_shared_queue", vm_id, name, RESULT, shows="word")


def enqueue(queue: int, message: bytes) -> Step:
    return step("enqueue_shared_queue", queue, message)


def dequeue(queue: int) -> Step:
    return step("dequeue_shared_queue", queue, *BYTES, shows="bytes")


def define(kind: int, name: bytes) -> Step:
    return step("define_metric", kind, name, RESULT, shows="word")


def increment(metric: int, delta: int) -> Step:
    return step("increment_metric", metric, delta)


def record(metric: int, value: int) -> Step:
    return step("record_metric", metric, value)


def read(metric: int) -> Step:
    return step("get_metric", metric, RESULT, shows="wide")


def period(milliseconds: int) -> Step:
    return step("set_tick_period_milliseconds", milliseconds)


DATA = (
    get_data(b"absent"),
    set_data(b"k", b"1", 5),
    get_data(b"k", keep=True),
    set_data(b"k", b"2", KEPT),
    set_data(b"k", b"3", KEPT),
    get_data(b"k", keep=True),
    set_data(b"k", b"4", "(i32.add (global.get $kept) (i32.const 1))"),
    set_data(b"k", b"five"),
    get_data(b"k"),
    set_data(b"k", b""),
    get_data(b"k"),
    set_data(b"", b"of the empty key"),
    get_data(b""),
    step("get_shared_data", BAD, 1, *BYTES, CAS, shows="bytes"),
    step("get_shared_data", b"", BAD, RESULT, CAS, shows="bytes"),
    step("get_shared_data", b"", RESULT, BAD, CAS),
    step("get_shared_data", b"", *BYTES, BAD, shows="bytes"),
    step("get_shared_data", b"absent", BAD, BAD, BAD),
    step("set_shared_data", BAD, 1, b"v", 0),
    step("set_shared_data", b"k", BAD, 1, 0),
    step("set_shared_data", b"k", BAD, 0, 0),
    get_data(b"k"),
)
QUEUES = (
    register(b"q"),
    register(b"q"),
    register(b"other"),
    register(b""),
    resolve(b"", b"q"),
    resolve(VM_ID.encode(), b"other"),
    resolve(b"", b"absent"),
    resolve(b"absent", b"q"),
    dequeue(1),
    enqueue(1, b"taken at once"),
    enqueue(1, b""),
    dequeue(1),
    dequeue(1),
    dequeue(1),
    enqueue(99, b"m"),
    enqueue(0, b"m"),
    dequeue(99),
    enqueue(1, b"taken when told"),
    enqueue(1, b"and another"),
    step("register_shared_queue", BAD, 1, RESULT, shows="word"),
    step("register_shared_queue", b"unheard", BAD),
    resolve(b"", b"unheard"),
    step("resolve_shared_queue", BAD, 1, b"q", RESULT),
    step("resolve_shared_queue", b"", BAD, 1, RESULT),
    step("resolve_shared_queue", b"", b"q", BAD),
    step("resolve_shared_queue", b"", b"absent", BAD),
    step("enqueue_shared_queue", 1, BAD, 1),
    step("enqueue_shared_queue", 99, BAD, 1),
    step("dequeue_shared_queue", 99, BAD, BAD),
    step("dequeue_shared_queue", 3, BAD, BAD),
    enqueue(3, b"lost"),
    step("dequeue_shared_queue", 3, BAD, BAD),
    dequeue(3),
)
METRICS = (
    define(0, b"c"),
    define(1, b"g"),
    define(2, b"h"),
    define(0, b"c"),
    define(1, b"c"),
    define(0, b""),
    define(3, b"x"),
    define(-1, b"x"),
    step("define_metric", 3, BAD, 1, RESULT),
    step("define_metric", 0, BAD, 1, RESULT),
    step("define_metric", 0, b"unheard", BAD),
    define(0, b"after"),
    increment(8, 5),
    increment(8, 0),
    increment(8, -1),
    increment(12, 2),
    record(8, 10),
    read(8),
    read(12),
    increment(9, 3),
    increment(9, -1),
    increment(9, 0),
    read(9),
    record(9, 40),
    increment(9, -41),
    read(9),
    record(9, 7),
    read(13),
    increment(6, 1),
    record(6, 3),
    record(6, 0),
    read(6),
    *(
        one
        for unknown in (0, 1, 2, 3, 7, 400, 401, 402, 403, -1)
        for one in (increment(unknown, 1), increment(unknown, 0), record(unknown, 1), read(unknown))
    ),
    step("get_metric", 8, BAD),
    step("get_metric", 400, BAD),
    step("get_metric", 6, BAD),
)
REQUESTS: tuple[tuple[Step, ...], ...] = (
    DATA,
    QUEUES,
    METRICS,
    (period(10),),
    (period(10), period(0)),
    (period(10), period(20), get_data(b"k"), read(8)),
    (period(-1), enqueue(1, b"for a stream")),
)
OTHERS = {
    "configure": (
        register(b"q"),
        define(0, b"started"),
        resolve(b"", b"q"),
        get_data(b"absent"),
        period(0),
    ),
    "tick": (period(0), define(0, b"in a tick")),
    "queue_ready": (dequeue(1), dequeue(2)),
}
MODULE = text(REQUESTS, OTHERS)


SENDS = text(
    [
        (set_data(b"said", b"by the first"), define(0, b"both"), increment(4, 1)),
        (resolve(b"", b"q"), enqueue(1, b"for the other"), get_data(b"said")),
        (register(b"q"), enqueue(1, b"for me"), read(4)),
    ],
    {"queue_ready": (dequeue(1), dequeue(98))},
)
RECEIVES = text(
    [
        (get_data(b"said"), set_data(b"said", b"by the second"), define(0, b"both"), read(4)),
        (increment(4, 41), dequeue(97)),
        (enqueue(1, b"for the first"),),
    ],
    {"configure": (register(b"q"),), "queue_ready": (dequeue(1), dequeue(99))},
)


class Host:
    """Modules in this host, as a chain of adapters with one vm_id."""

    def __init__(self, *modules: str) -> None:
        self.lines: list[str] = []
        self.time = ManualScheduler()
        self.services = Services(
            log=lambda _level, line: self.lines.append(line), scheduler=self.time
        )
        self._roots = [self._start(module) for module in modules]

    def _start(self, module: str) -> RootContext:
        vm = WasmVm(
            plugin(module),
            linker(),
            VmLimits(cpu=5.0),
            start_cpu=5.0,
            services=self.services,
            vm_id=VM_ID,
        )
        root = vm.start_plugin(PluginSettings("scripted"))
        vm.started()
        return root

    def run(self) -> list[str]:
        """What one request has them log, until nothing more happens."""
        before = len(self.lines)
        stream = http_stream([(b":path", b"/")])
        contexts = [StreamContext(root, stream) for root in self._roots]
        for context in contexts:
            context.on_request_headers(end_of_stream=True)
        for context in contexts:
            context.delete()
        self.time.advance(60.0)
        return self.lines[before:]

    def metrics(self) -> dict[str, int]:
        """Counters and gauges under the names that Envoy gives them."""
        found = self.services.metrics.snapshot()
        return {f"wasmcustom.{m.name}": m.value for m in found if not m.buckets}


class InEnvoy:
    """The modules in Envoy."""

    def __init__(self, running: EnvoyProcess) -> None:
        self._running = running
        self.start = self._lines()

    def _lines(self) -> list[str]:
        logged = self._running.log.read_text(errors="replace").splitlines()
        return [MARK + line.partition(MARK)[2] for line in logged if MARK in line]

    async def run(self, expected: int) -> list[str]:
        """What one request has them log: as many lines as expected, and what comes soon after."""
        before = len(self._lines())
        assert (await get(self._running.address("wasm"), "/")).status == 200
        for _ in range(int(SETTLE_S / QUIET_S)):
            await asyncio.sleep(QUIET_S)
            if len(self._lines()) >= before + expected:
                break
        return self._lines()[before:]

    async def metrics(self) -> dict[str, int]:
        """Counters and gauges of modules; those that were never changed are not told."""
        return await self._running.stats("wasmcustom.")


MakeEnvoy = Callable[..., AbstractAsyncContextManager[InEnvoy]]


@pytest.fixture
def in_envoy(tmp_path: Path) -> MakeEnvoy:
    """Runs modules in an Envoy with one worker; skipped without an Envoy, except in CI."""
    installed_envoy()

    @asynccontextmanager
    async def run(*modules: str) -> AsyncIterator[InEnvoy]:
        filters = []
        for number, module in enumerate(modules):
            file = tmp_path / f"{number}.wasm"
            file.write_bytes(wasm(module))
            filters.append(build.wasm_filter(f"scripted-{number}", file, "", vm_id=VM_ID))
        bootstrap = build.bootstrap([build.listener("wasm", None, filters)], [])
        async with EnvoyProcess(bootstrap, start_timeout_s=120.0) as envoy:
            yield InEnvoy(envoy)

    return run


@pytest.mark.parametrize(
    ("modules", "requests"),
    [((MODULE,), len(REQUESTS)), ((SENDS, RECEIVES), 3)],
    ids=["one", "two"],
)
async def test_both_log_the_same(
    in_envoy: MakeEnvoy, modules: tuple[str, ...], requests: int
) -> None:
    """Every status, value and event is equal, and so are the metrics that result."""
    host = Host(*modules)
    async with in_envoy(*modules) as envoy:
        # Envoy starts a module several times: each start must log what ours does.
        assert host.lines
        assert envoy.start
        assert envoy.start == host.lines * (len(envoy.start) // len(host.lines))
        for _ in range(requests):
            ours = host.run()
            assert ours
            assert await envoy.run(len(ours)) == ours
        theirs = await envoy.metrics()
        assert theirs
        assert {name: host.metrics()[name] for name in theirs} == theirs
