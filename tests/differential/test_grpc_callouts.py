"""gRPC callouts: what a module in Envoy is told of a server, this client tells too."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from envoy.config.core.v3 import grpc_service_pb2

from mixer.callouts.addresses import Addresses
from mixer.callouts.clusters import Cluster, Endpoint
from mixer.callouts.grpc_calls import GrpcCalls
from mixer.callouts.naming import Clusters
from mixer.callouts.ports import GrpcMethod, GrpcReply, GrpcStream, Pairs
from mixer.proxywasm.pairs import deserialize
from mixer.study import bootstrap as build
from mixer.study.client import get
from mixer.study.envoy import EnvoyProcess
from tests.differential.grpc_module import (
    CANCEL,
    CLOSE,
    MARK,
    Call,
    Other,
    Script,
    Send,
    Step,
    Stream,
    text,
)
from tests.support.canned_http2 import CUT, OK, RESET, Frame, canned, data, headers, message
from tests.support.compile import wasm
from tests.support.grpc_server import grpc_server

Event = tuple[str, object]

SETTLE_S = 10.0
QUIET_S = 0.15
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
    "real timeout 0": Script((real("echo", timeout=0),)),
    "refused": Script((Call(b"refused", "a.B", "echo"),)),
    "service": Script((Call(service(), "a.B", "echo", b"s"),)),
    "service metadata": Script(
        (Call(service(x_first="1", b_bin="AAE="), "a.B", "metadata", metadata=((b"x-own", b"2"),)),)
    ),
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


class Told:
    """What this client tells, while a script is followed."""

    def __init__(self, calls: GrpcCalls, script: Script) -> None:
        self.events: list[Event] = []
        self.ended = asyncio.Event()
        self._calls = calls
        self._script = script
        self._stream: GrpcStream | None = None
        for step in script.steps:
            self._take(step)

    def _take(self, step: Step) -> None:
        match step:
            case Call():
                timeout = step.timeout / 1000
                method = GrpcMethod(step.target, step.service, step.method, step.metadata, timeout)
                self._cancel = self._calls.grpc_call(method, step.message, self._done)
            case Stream():
                method = GrpcMethod(step.target, step.service, step.method, step.metadata)
                self._stream = self._calls.grpc_stream(method, self)
            case Send() if self._stream is not None:
                self._stream.send(step.message, end_of_stream=step.end)
            case Other():
                self._give_up(step)

    def _give_up(self, step: Other) -> None:
        if self._stream is not None and step is CLOSE:
            self._stream.close()
            return
        (self._cancel if self._stream is None else self._stream.reset)()
        self.ended.set()

    def _note(self, name: str, event: object) -> None:
        self.events.append((name, event))
        for step in self._script.then.get(name, ()):
            self._take(step)
        if name == "close":
            self.ended.set()

    def _done(self, reply: GrpcReply) -> None:
        if reply.status:
            self._note("close", (reply.status & 0xFFFF, reply.status_message))
        else:
            self._note("message", reply.message)
        self.ended.set()

    def on_initial_metadata(self, metadata: Pairs) -> None:
        self._note("initial", list(metadata))

    def on_message(self, message: bytes) -> None:
        self._note("message", message)

    def on_trailing_metadata(self, metadata: Pairs) -> None:
        self._note("trailing", list(metadata))

    def on_close(self, status: int, message: str) -> None:
        self._note("close", (status & 0xFFFF, message))


def told_by_envoy(lines: Iterable[str]) -> list[Event]:
    """The events in lines of Envoy's log."""
    events: list[Event] = []
    for line in lines:
        if f"{MARK}on " not in line:
            continue
        _, _, logged = line.partition(f"{MARK}on ")
        name, _token, *rest = logged.rstrip("\n").split(" ")
        if name == "message":
            events.append((name, bytes.fromhex(rest[0])))
        elif name == "close":
            events.append((name, (int(rest[0], 16), bytes.fromhex(rest[2]).decode())))
        else:
            pairs = deserialize(bytes.fromhex(rest[0]))
            events.append((name, [pair for pair in pairs if pair[0] not in NOT_TOLD]))
    return events


class InEnvoy:
    """The module in Envoy."""

    def __init__(self, running: EnvoyProcess) -> None:
        self._running = running

    def _lines(self) -> list[str]:
        return self._running.log.read_text(errors="replace").split("\n")[:-1]

    async def run(self, expected: int) -> list[Event]:
        """What the next script is told: as many events as expected, and what comes soon after."""
        before = len(self._lines())
        assert (await get(self._running.address("wasm"), "/")).status == 200
        for _ in range(int(SETTLE_S / QUIET_S)):
            await asyncio.sleep(QUIET_S)
            if len(told_by_envoy(self._lines()[before:])) >= expected:
                break
        return told_by_envoy(self._lines()[before:])


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


def ours(addresses: dict[str, str]) -> GrpcCalls:
    clusters = []
    for name, address in addresses.items():
        host, _, port = address.rpartition(":")
        clusters.append(Cluster(name, (Endpoint(host, int(port)),)))
    return GrpcCalls(Clusters(clusters), Addresses())


@asynccontextmanager
async def in_envoy(addresses: dict[str, str], module: Path) -> AsyncIterator[InEnvoy]:
    clusters = [build.cluster(name, at, http2=True) for name, at in addresses.items()]
    listener = build.listener("wasm", None, [build.wasm_filter("grpc", module, "")])
    bootstrap = build.bootstrap([listener], clusters)
    async with EnvoyProcess(bootstrap, start_timeout_s=120.0) as running:
        yield InEnvoy(running)


@pytest.fixture
def module(tmp_path: Path) -> Path:
    file = tmp_path / "grpc.wasm"
    file.write_bytes(wasm(text(list(SCRIPTS.values()))))
    return file


@pytest.mark.usefixtures("envoy")
async def test_both_tell_the_same(module: Path) -> None:
    """Metadata, messages, statuses and their texts are equal, and in the same order."""
    async with servers() as addresses, in_envoy(addresses, module) as there:
        calls = ours(addresses)
        different = {}
        for name, script in SCRIPTS.items():
            here = Told(calls, script)
            await asyncio.wait_for(here.ended.wait(), 20.0)
            theirs = await there.run(len(here.events))
            if theirs != here.events:
                different[name] = (here.events, theirs)
        await calls.close()
    assert different == {}, "".join(
        f"\n{n}\n  here  {a}\n  there {b}" for n, (a, b) in different.items()
    )
