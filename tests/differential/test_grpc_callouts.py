"""gRPC callouts: a module is told the same of a server in Envoy's Wasm filter and in this host."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from envoy.config.core.v3 import grpc_service_pb2

from mixer.callouts.addresses import Addresses
from mixer.callouts.assembly import ClusterCallouts
from mixer.callouts.clusters import Cluster, Endpoint
from mixer.callouts.grpc_calls import GrpcCalls
from mixer.callouts.naming import Clusters
from mixer.proxywasm import PluginSettings, Services, StreamContext, WasmVm
from mixer.proxywasm.pairs import deserialize
from mixer.proxywasm.scheduling import LoopScheduler
from mixer.study import bootstrap as build
from mixer.study.client import get
from mixer.study.envoy import EnvoyProcess
from mixer.vm import VmLimits
from tests.differential.grpc_module import (
    CANCEL,
    CLOSE,
    MARK,
    Call,
    Script,
    Send,
    Stream,
    text,
)
from tests.support.canned_http2 import CUT, OK, RESET, Frame, canned, data, headers, message
from tests.support.compile import linker, plugin, wasm
from tests.support.grpc_server import grpc_server
from tests.support.guest import http_stream

Event = tuple[str, Any]

SETTLE_S = 10.0
AGAIN_S, QUIET_S = 0.01, 0.5
KINDS = ("http", "call", "stream", "redis")
NOT_TOLD = frozenset((b"x-envoy-upstream-service-time", b"date", b"server"))
"""Headers that Envoy adds to every response of a callout."""

HTML = (("content-type", "text/html"),)
SUM = headers((("grpc-status", "0"), ("x-sum", "1")), end=True)
HELLO = data(message(b"hello"))


def status(code: str, *, end: bool = True) -> Frame:
    return headers(((":status", code), *HTML), end=end)


def trailer(*fields: tuple[str, str]) -> Frame:
    return headers(fields, end=True)


# Envoy takes a name that happens to be a serialized message for one: with "two" none is.
ANSWERS: dict[str, list[Frame]] = {
    "fine": [headers(OK), HELLO, SUM],
    "not-grpc": [status("200", end=False), data(b"<html>", end=True)],
    **{f"http-{code}": [status(code)] for code in (
        "204", "400", "401", "403", "404", "408", "429", "500", "502", "503", "504"
    )},
    "http-404-body": [status("404", end=False), data(b"no", end=True)],
    "http-503-grpc": [
        headers(((":status", "503"), ("grpc-status", "5"), ("grpc-message", "x")), end=True)
    ],
    "no-trailers": [headers(OK), data(message(b"hello"), end=True)],
    "empty": [headers(OK), data(b"", end=True)],
    "only-headers": [headers(OK, end=True)],
    "trailers-only": [
        headers((*OK, ("grpc-status", "3"), ("grpc-message", "50% {x} %zz")), end=True)
    ],
    "no-message": [headers(OK), SUM],
    "two-messages": [headers(OK), data(message(b"one") + message(b"two")), SUM],
    "in-pieces": [headers(OK), *(data(bytes((b,))) for b in message(b"hello")), SUM],
    "empty-message": [headers(OK), data(message(b"")), SUM],
    "no-status": [headers(OK), HELLO, trailer(("x-sum", "1"))],
    "status-zz": [headers(OK), HELLO, trailer(("grpc-status", "zz"))],
    "status-99": [headers(OK), HELLO, trailer(("grpc-status", "99"), ("grpc-message", "m"))],
    "status-16": [headers(OK), HELLO, trailer(("grpc-status", "16"))],
    "junk": [headers(OK), data(b"\xff\xff\xff\xff\xffjunk"), SUM],
    "partial": [headers(OK), data(message(b"hello")[:7]), SUM],
    "compressed": [headers(OK), data(b"\1" + message(b"hello")[1:]), SUM],
    "error": [headers(OK), HELLO, trailer(("grpc-status", "7"), ("grpc-message", "a%20b%C3%A4"))],
    "reset-0": [RESET],
    "reset-1": [headers(OK), RESET],
    "reset-2": [headers(OK), HELLO, RESET],
    "cut-0": [CUT],
    "cut-1": [headers(OK), CUT],
    "cut-2": [headers(OK), HELLO, CUT],
    "metadata": [headers((*OK, ("x-bin", "AP8B"), ("y-bin", "AP8="), ("x-a", "1"), ("x-a", "2"))),
                 HELLO, trailer(("grpc-status", "0"), ("x-bin", "AP8"), ("x-b", "1"), ("x-b", ""))],
    "upper-case": [headers((*OK, ("X-Up", "1"))), HELLO, SUM],
    "no-headers": [data(b"xx")],
}  # fmt: skip


UNENDING: dict[str, list[Frame]] = {
    "silent": [],
    "begun": [headers(OK)],
    "endless": [headers(OK), HELLO],
}


def service(cluster: str = "real", **metadata: str) -> bytes:
    made = grpc_service_pb2.GrpcService()
    made.envoy_grpc.cluster_name = cluster
    made.timeout.FromMilliseconds(1)
    for key, value in metadata.items():
        made.initial_metadata.add(key=key.replace("_", "-"), value=value)
    return made.SerializeToString()


def real(method: str, text: bytes = b"hi", **fields: object) -> Call:
    return Call(b"real", "a.B", method, text, **fields)  # type: ignore[arg-type]


def stream(method: str) -> Stream:
    return Stream(b"real", "a.B", method)


SENT = (
    (b"x-a", b"1"),
    (b"X-Up", b"2"),
    (b"x-b-bin", b"\x00\xffAAH/"),
    (b"x-a", b"3"),
    (b"user-agent", b"me"),
)

SCRIPTS: dict[str, Script] = {
    **{f"call {name}": Script((Call(f"two-{name}".encode(), "a.B", "C", b"q", timeout=3000),))
       for name in ANSWERS},
    **{f"stream {name}": Script((Stream(f"two-{name}".encode(), "a.B", "C"), Send(b"q", True)))
       for name in ANSWERS},
    **{f"late {name}": Script((Call(f"two-{name}".encode(), "a.B", "C", b"q", timeout=150),))
       for name in UNENDING},
    "real ok": Script((real("echo"),)),
    "real empty": Script((real("echo", b""),)),
    "real metadata": Script((real("metadata", metadata=SENT),)),
    "real error": Script((real("fail"),)),
    "real no method": Script((real("absent"),)),
    "real no service": Script((Call(b"real", "", "echo", b"x"),)),
    # a real server, which is told, may be late or not
    "timeout 0": Script((Call(b"two-fine", "a.B", "C", b"q", timeout=0),)),
    "refused": Script((Call(b"refused", "a.B", "echo"),)),
    "service": Script((Call(service(), "a.B", "echo", b"s"),)),
    "service metadata": Script(
        (Call(service(x_first="1", b_bin="AAE="), "a.B", "metadata", metadata=((b"x-own", b"2"),)),)
    ),
    "unknown": Script((Call(b"absent", "a.B", "echo"), CLOSE)),
    "stream unknown": Script((Stream(b"absent", "a.B", "echo"), Send(b"a"), CLOSE, CANCEL)),
    "cancelled": Script((real("echo"), CANCEL, CANCEL)),
    "closed": Script((real("echo"), CLOSE)),
    "stream of two": Script((stream("every"), Send(b"a"), Send(b"b", True))),
    "stream half closed": Script((stream("every"), Send(b"a"), CLOSE, Send(b"late"), CLOSE)),
    "stream closed in a message": Script((stream("every"), Send(b"a")), {"message": (CLOSE,)}),
    "stream reset in a message": Script((stream("every"), Send(b"a")), {"message": (CANCEL,)}),
    "stream reset at once": Script((stream("every"), Send(b"a"), CANCEL)),
    "stream that fails": Script(
        (stream("every_fails"), Send(b"a")), {"close": (Send(b"z"), CLOSE)}
    ),
    "stream refused by the server": Script((stream("refuses"), Send(b"a"))),
    "stream without an answer": Script((stream("nothing"), CLOSE)),
    "stream answered early": Script((stream("early"),), {"close": (Send(b"q"), Send(b"q", True))}),
    "stream of a call": Script((stream("echo"), Send(b"a", True))),
    "stream no method": Script((stream("absent"),)),
    "stream refused": Script((Stream(b"refused", "a.B", "every"), Send(b"a"), CLOSE)),
}  # fmt: skip
MODULE = text(list(SCRIPTS.values()))


class Here:
    """The module in this host, over real connections."""

    def __init__(self, callouts: ClusterCallouts) -> None:
        self._lines: list[str] = []
        self._more = asyncio.Event()
        services = Services(
            log=self._take,
            callouts=callouts,
            scheduler=LoopScheduler(asyncio.get_running_loop()),
        )
        limits = VmLimits(cpu=5.0)
        self._vm = WasmVm(plugin(MODULE), linker(), limits, start_cpu=5.0, services=services)
        self._root = self._vm.start_plugin(PluginSettings("grpc"))
        self._vm.started()

    def _take(self, _level: object, line: str) -> None:
        self._lines.append(line)
        self._more.set()

    async def run(self, script: Script) -> list[Event]:
        """What the next script logs, until it is over."""
        self._lines.clear()
        context = StreamContext(self._root, http_stream([(b":path", b"/")]))
        context.on_request_headers(end_of_stream=True)
        context.delete()
        async with asyncio.timeout(SETTLE_S):
            while not is_over(script, told(self._lines)):
                self._more.clear()
                await self._more.wait()
        for _ in range(20):
            await asyncio.sleep(0)
        return told(self._lines)

    def close(self) -> None:
        self._vm.close()


def is_over(script: Script, events: list[Event]) -> bool:
    """Whether nothing more is to come."""
    last = {"close", "message"} if isinstance(script.steps[0], Call) else {"close"}
    refused = events[0][1][0] != 0
    cancelled = any(name == "grpc_cancel" for name, _ in events)
    closed = isinstance(script.steps[0], Call) and CLOSE in script.steps
    return refused or cancelled or closed or any(name in last for name, _ in events)


def told(lines: Iterable[str]) -> list[Event]:
    """What lines of the log say: statuses of host calls, and what callbacks were told."""
    return [_event(line.partition(MARK)[2].rstrip("\n")) for line in lines if MARK in line]


def _event(logged: str) -> Event:
    name, *rest = logged.removeprefix("on ").split(" ")
    if name.startswith("grpc_"):
        return name, (int(rest[0], 16), KINDS[int(rest[1], 16) & 3] if int(rest[1], 16) else "none")
    if name == "message":
        return name, bytes.fromhex(rest[1])
    if name == "close":
        return name, (rest[1], rest[2], bytes.fromhex(rest[3]).decode("latin-1"))
    pairs = deserialize(bytes.fromhex(rest[1]))
    return name, [pair for pair in pairs if pair[0] not in NOT_TOLD]


class InEnvoy:
    """The module in Envoy."""

    def __init__(self, running: EnvoyProcess) -> None:
        self._running = running
        self._read = 0

    def _lines(self) -> list[str]:
        return self._running.log.read_text(errors="replace").split("\n")[:-1]

    async def run(self, expected: int) -> list[Event]:
        """What the next script logs, as many events as expected, and what the last logged since."""
        assert (await get(self._running.address("wasm"), "/")).status == 200
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_S):
                while len(told(self._lines()[self._read :])) < expected:  # noqa: ASYNC110
                    await asyncio.sleep(AGAIN_S)
        return self._rest()

    async def after_the_last(self) -> list[Event]:
        """What comes soon after all scripts."""
        await asyncio.sleep(QUIET_S)
        return self._rest()

    def _rest(self) -> list[Event]:
        lines = self._lines()
        before, self._read = self._read, len(lines)
        return told(lines[before:])


@asynccontextmanager
async def servers() -> AsyncIterator[dict[str, str]]:
    """All servers, by the cluster's name."""
    async with AsyncExitStack() as stack:
        addresses = {"real": await stack.enter_async_context(grpc_server())}
        for name, frames in {**ANSWERS, **UNENDING}.items():
            addresses[f"two-{name}"] = await stack.enter_async_context(canned(frames))
        async with canned([]) as gone:
            addresses["refused"] = gone
        yield addresses


@asynccontextmanager
async def in_this_host(addresses: dict[str, str]) -> AsyncIterator[Here]:
    clusters = Clusters(
        Cluster(name, (Endpoint(host, int(port)),))
        for name, (host, _, port) in ((n, a.rpartition(":")) for n, a in addresses.items())
    )
    known = Addresses()
    grpc = GrpcCalls(clusters, known)
    async with ClusterCallouts(clusters, addresses=known, grpc=grpc) as callouts:
        here = Here(callouts)
        try:
            yield here
        finally:
            here.close()


@asynccontextmanager
async def in_envoy(addresses: dict[str, str], module: Path) -> AsyncIterator[InEnvoy]:
    clusters = [build.cluster(name, at, http2=True) for name, at in addresses.items()]
    listener = build.listener("wasm", None, [build.wasm_filter("module", module, "")])
    bootstrap = build.bootstrap([listener], clusters)
    async with EnvoyProcess(bootstrap, start_timeout_s=120.0) as running:
        yield InEnvoy(running)


@pytest.fixture
def module(tmp_path: Path) -> Path:
    file = tmp_path / "grpc.wasm"
    file.write_bytes(wasm(MODULE))
    return file


@pytest.mark.usefixtures("envoy")
async def test_both_tell_the_same(module: Path) -> None:
    """Statuses of host calls, metadata, messages and ends are equal, and in the same order."""
    different = {}
    async with (
        servers() as addresses,
        in_envoy(addresses, module) as there,
        in_this_host(addresses) as here,
    ):
        for name, script in SCRIPTS.items():
            ours = await here.run(script)
            theirs = await there.run(len(ours))
            if ours != theirs:
                different[name] = f"{name}\n  here  {ours}\n  there {theirs}"
        assert await there.after_the_last() == []
    assert not different, "\n".join(different.values())
