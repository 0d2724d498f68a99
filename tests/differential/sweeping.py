"""The sweep in Envoy's own Wasm filter, and in this host."""

import asyncio
import re
import time
from dataclasses import dataclass
from pathlib import Path

import h11

from mixer.attributes import HeaderMap
from mixer.proxywasm import (
    HttpMessage,
    HttpStream,
    ManualScheduler,
    PluginSettings,
    Services,
    StreamContext,
    WasmVm,
)
from mixer.proxywasm.abi import LogLevel
from mixer.runner.attributes import attribute_bag
from mixer.runner.exchange import Exchange
from mixer.runner.messages import TypedSource
from mixer.study import bootstrap as build
from mixer.study.envoy import EnvoyProcess
from mixer.study.http1 import HttpStream as Connection
from mixer.testing import FakeCallouts
from mixer.vm import VmLimits
from tests.differential import sweep
from tests.differential.exchange import Message, Scenario, Upstream, plain_cluster
from tests.support.compile import linker, plugin, wasm

REQUEST = Message((b"request",), (("x-one", "t1"),), (("x-one", "1"), ("x-one", "2")))
RESPONSE = Message((b"response",), (("x-one", "t2"),), (("x-one", "3"),))
CONFIGURATION, VM_CONFIGURATION = "plugin configuration", "vm configuration"
_DEADLINE_S = 60.0


@dataclass(frozen=True)
class Sweep:
    """A module, and its own table."""

    entries: tuple[sweep.Entry, ...]
    abi: str = "0_2_1"

    @property
    def code(self) -> bytes:
        """The module."""
        return wasm(self.text)

    @property
    def text(self) -> str:
        """Its text."""
        return sweep.text(self.entries, abi=self.abi)


def here(one: Sweep) -> sweep.Swept:
    """Run it in this host."""
    lines: list[str] = []
    clock = ManualScheduler()
    callouts = FakeCallouts({"upstream"})
    services = Services(
        log=lambda _, line: lines.append(line),
        log_level=LogLevel.WARN,
        scheduler=clock,
        monotonic_clock=lambda: 0,
        callouts=callouts,
    )
    with WasmVm(
        plugin(one.text),
        linker(),
        VmLimits(cpu=20.0),
        start_cpu=20.0,
        services=services,
        configuration=VM_CONFIGURATION.encode(),
    ) as vm:
        root = vm.start_plugin(PluginSettings("sweep", configuration=CONFIGURATION.encode()))
        vm.started()
        clock.advance(0)
        clock.advance(1)
        [call] = callouts.http_calls
        call.respond(200, b"".join(RESPONSE.body), RESPONSE.fields, RESPONSE.trailers or ())
        _stream(root)
    return sweep.parse(lines)


def _stream(root: object) -> None:
    headers = (
        (":authority", "a"), (":path", "/"), (":method", "POST"), (":scheme", "http"),
        *REQUEST.fields,
    )  # fmt: skip
    source = TypedSource(HttpMessage(HeaderMap.of(*headers)))
    context = StreamContext(root, HttpStream(source.request, attribute_bag(source)))
    status = ((":status", "200"), *RESPONSE.fields)
    for _ in Exchange(context, REQUEST.pieces(), _response(status)).run():
        raise AssertionError("no callback of the sweep pauses")
    context.log_stream()
    context.delete()


def _response(headers: tuple[tuple[str, str], ...]) -> object:
    from mixer.runner import RunResponse

    return RunResponse(headers, RESPONSE.pieces())


async def in_envoy(one: Sweep, folder: Path) -> sweep.Swept:
    """Run it in Envoy; what is told is what the worker's VM logged."""
    module = folder / f"sweep-{one.abi}.wasm"
    module.write_bytes(one.code)
    scenarios = {"": Scenario({}, REQUEST, RESPONSE)}
    upstream = await asyncio.start_server(Upstream(scenarios).serve, "127.0.0.1", 0)
    port = upstream.sockets[0].getsockname()[1]
    bootstrap = build.bootstrap(
        [_listener(module)], [plain_cluster("upstream", f"127.0.0.1:{port}")]
    )
    async with upstream, EnvoyProcess(bootstrap, start_timeout_s=120.0) as envoy:
        await _until(envoy, one, "tick", 2)
        await _until(envoy, one, "queue_ready", 1)
        await _until(envoy, one, "http_call_response", 2)
        await _request(envoy)
        await _until(envoy, one, "delete", 1)
        return _of_the_worker(envoy.log.read_text(errors="replace"))


def _listener(module: Path) -> build.Config:
    wasm_filter = build.wasm_filter("sweep", module, CONFIGURATION)
    vm = wasm_filter["typed_config"]["config"]["vm_config"]
    vm["configuration"] = {
        "@type": "type.googleapis.com/google.protobuf.StringValue",
        "value": VM_CONFIGURATION,
    }
    listener = build.listener("sweep", "upstream", [wasm_filter])
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    manager["http_protocol_options"] = {"enable_trailers": True}
    manager["http_filters"][-1]["typed_config"]["suppress_envoy_headers"] = True
    return listener


async def _until(envoy: EnvoyProcess, one: Sweep, phase: str, threads: int) -> None:
    """Wait until a phase ran to its end in so many threads."""
    last = f"{sweep.MARK}{sweep.PHASES.index(phase):02x} {len(one.entries) - 1:08x} "
    deadline = time.monotonic() + _DEADLINE_S
    while time.monotonic() < deadline:
        if envoy.log.read_text(errors="replace").count(last) >= threads:
            return
        await asyncio.sleep(0.1)
    log = envoy.log.read_text(errors="replace")
    raise AssertionError(f"Envoy did not come to {phase}:\n{log[-3000:]}")


async def _request(envoy: EnvoyProcess) -> None:
    host, _, port = envoy.address("sweep").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    stream = Connection(h11.CLIENT, reader, writer)
    fields = [("host", "a"), *REQUEST.fields]
    async with asyncio.timeout(_DEADLINE_S):
        await REQUEST.send(stream, h11.Request(method="POST", target="/", headers=fields))
        while not isinstance(await stream.receive(), h11.EndOfMessage | h11.ConnectionClosed):
            pass
    writer.close()


def _of_the_worker(log: str) -> sweep.Swept:
    threads: dict[str, list[str]] = {}
    for line in log.splitlines():
        found = re.match(r"\[[^]]*\]\[(\d+)\]", line)
        if found:
            threads.setdefault(found[1], []).append(line)
    parsed = [sweep.parse(lines) for lines in threads.values()]
    [worker] = [one for one in parsed if "request_headers" in one]
    told = [one["queue_ready"] for one in parsed if "queue_ready" in one]
    return {**worker, "queue_ready": told[-1]}
