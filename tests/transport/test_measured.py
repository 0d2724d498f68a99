"""What is counted of gRPC calls, and which spans they get: asked over real connections."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
import pytest
import pytest_asyncio
from envoy.service.auth.v3 import external_auth_pb2

from mixer.api import ext_authz
from mixer.config import Listener, ServiceLimits
from mixer.telemetry import Calls, SpanCounts
from mixer.telemetry.span import Span
from mixer.telemetry.tracing import SpanQueue, Tracer, trace_of_call
from mixer.transport.access import Security
from mixer.transport.authorization import handler
from mixer.transport.endless import EndlessHandler, EndlessStreams
from mixer.transport.front_ends import FrontEnd
from mixer.transport.grpc_listener import GrpcListener
from mixer.transport.health import Health
from mixer.transport.measured import status_of
from mixer.transport.spans import listen
from mixer.transport.watch import Watch
from tests.engine.conftest import MakeEngine, Plugins, make_engine, plugins
from tests.support.adapters import adapter

__all__ = ["make_engine", "plugins"]

SERVICE, OTHER = "a.Service", "an.EndlessService"
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = (("traceparent", f"00-{TRACE}-{SPAN}-01"),)
_OPTIONS = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0))


async def _answers(data: bytes, _context: Any) -> bytes:
    return data


async def _aborts(_data: bytes, context: Any) -> bytes:
    await context.abort(grpc.StatusCode.NOT_FOUND, "no")
    return b""


async def _fails(_data: bytes, _context: Any) -> bytes:
    raise ValueError("a defect")


async def _traces(_data: bytes, _context: Any) -> bytes:
    return (trace_of_call() or "none").encode()


async def _waits(_data: bytes, _context: Any) -> bytes:
    await asyncio.Event().wait()
    return b""


async def _echoes(_requests: Any, context: Any) -> None:
    while (data := await context.read()) is not grpc.aio.EOF:  # type: ignore[attr-defined]
        await context.write(data)


async def _gathers(_requests: Any, context: Any) -> bytes:
    while (await context.read()) is not grpc.aio.EOF:  # type: ignore[attr-defined]
        pass
    return b"all"


def served() -> "list[tuple[FrontEnd, grpc.GenericRpcHandler[Any, Any]]]":
    unary = {"Answers": _answers, "Aborts": _aborts, "Fails": _fails, "Waits": _waits,
             "Traces": _traces}  # fmt: skip
    methods: dict[str, Any] = {
        name: grpc.unary_unary_rpc_method_handler(call) for name, call in unary.items()
    }
    methods["Echoes"] = grpc.stream_stream_rpc_method_handler(_echoes)
    methods["Gathers"] = grpc.stream_unary_rpc_method_handler(_gathers)
    handlers = grpc.method_handlers_generic_handler(SERVICE, methods)
    endless = grpc.method_handlers_generic_handler(OTHER, {"Echoes": methods["Echoes"]})
    return [
        (FrontEnd(SERVICE, lambda *_: handlers), handlers),
        (FrontEnd(OTHER, lambda *_: endless), EndlessHandler(endless, EndlessStreams())),
    ]


@dataclass
class World:
    """A listener, and a channel to it."""

    calls: Calls = field(default_factory=Calls)
    counts: SpanCounts = field(default_factory=SpanCounts)

    def __post_init__(self) -> None:
        self.queue = SpanQueue(self.counts)
        self.tracer = Tracer(self.queue, 0.0)

    @asynccontextmanager
    async def listening(self, front_ends: Any) -> AsyncIterator[None]:
        listener = GrpcListener(
            Listener(name="grpc", address="127.0.0.1:0"),
            ServiceLimits(),
            front_ends,
            Health().servicer,
            Security(),
            Watch(self.calls, self.tracer),
        )
        await listener.start()
        async with grpc.aio.insecure_channel(listener.address, options=_OPTIONS) as self.channel:
            yield
        await listener.stop(0)

    def method(self, name: str, service: str = SERVICE) -> Any:
        return self.channel.unary_unary(f"/{service}/{name}")

    def counted(self, name: str, service: str = SERVICE) -> dict[str, int]:
        """How many calls ended with which status."""
        found = self.calls.rpc[f"{service}/{name}"].durations
        return {status: sum(durations.counts) for status, durations in found.items()}

    async def spans(self) -> list[Span]:
        """Those of the next call that ends."""
        await until(lambda: len(self.queue) > 0)
        return self.queue.take()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30.0):
        while True:
            if condition():
                return
            await asyncio.sleep(0.005)


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    async with made.listening(served()):
        yield made


async def test_unary_calls(world: World) -> None:
    """Each is counted once by how it ended, with its time."""
    for _ in range(3):
        assert await world.method("Answers")(b"x") == b"x"
    for name, status in (("Aborts", "NOT_FOUND"), ("Fails", "UNKNOWN")):
        with pytest.raises(grpc.aio.AioRpcError):
            await world.method(name)(b"x")
        await until(lambda name=name: world.calls.rpc[f"{SERVICE}/{name}"].in_progress == 0)
        assert world.counted(name) == {status: 1}
    assert world.counted("Answers") == {"OK": 3}
    assert world.calls.rpc[f"{SERVICE}/Answers"].durations["OK"].total > 0


async def test_calls_that_the_caller_ends(world: World) -> None:
    """One that was cancelled, and one whose time is over, are counted."""
    calls = world.calls.of(f"{SERVICE}/Waits")
    call = world.method("Waits")(b"x")
    await until(lambda: calls.in_progress == 1)
    call.cancel()
    await until(lambda: calls.in_progress == 0)
    assert world.counted("Waits") == {"CANCELLED": 1}
    with pytest.raises(grpc.aio.AioRpcError):
        await world.method("Waits")(b"x", timeout=0.2)
    await until(lambda: sum(world.counted("Waits").values()) == 2)
    assert calls.in_progress == 0


@dataclass
class Call:
    """What is left of a call's time."""

    left: float | None

    def time_remaining(self) -> float | None:
        return self.left


@pytest.mark.parametrize(
    ("left", "status"), [(None, "CANCELLED"), (1.0, "CANCELLED"), (0.0, "DEADLINE_EXCEEDED")]
)
def test_why_a_call_was_cancelled(left: float | None, status: str) -> None:
    """One whose time is over was not given up by its caller."""
    assert status_of(asyncio.CancelledError(), Call(left)) == status  # type: ignore[arg-type]


async def test_streams(world: World) -> None:
    """A stream is one call, which is in progress until it ends."""
    stream = world.channel.stream_stream(f"/{SERVICE}/Echoes")()
    for _ in range(3):
        await stream.write(b"x")
        assert await stream.read() == b"x"
    assert world.calls.rpc[f"{SERVICE}/Echoes"].in_progress == 1
    await stream.done_writing()
    assert await stream.read() is grpc.aio.EOF  # type: ignore[attr-defined]
    await until(lambda: world.counted("Echoes") == {"OK": 1})
    assert await world.channel.stream_unary(f"/{SERVICE}/Gathers")(iter((b"x",))) == b"all"
    assert world.counted("Gathers") == {"OK": 1}


async def test_a_method_that_there_is_not(world: World) -> None:
    """Callers cannot make up series."""
    with pytest.raises(grpc.aio.AioRpcError):
        await world.method("Nothing")(b"x")
    with pytest.raises(grpc.aio.AioRpcError):
        await world.method("Answers", "no.Service")(b"x")
    assert set(world.calls.rpc) == set()


async def test_a_span(world: World) -> None:
    """A sampled call has one that goes on where the caller's is; others have none."""
    await world.method("Answers")(b"x")
    await world.method("Answers")(b"x", metadata=PARENT)
    [span] = await world.spans()
    assert (f"{span.trace_id:032x}", f"{span.parent_id:016x}") == (TRACE, SPAN)
    assert (span.name, span.error, span.is_server) == (f"{SERVICE}/Answers", False, True)
    assert span.attributes == {
        "rpc.system.name": "grpc",
        "rpc.method": f"{SERVICE}/Answers",
        "rpc.response.status_code": "OK",
        "network.peer.address": "127.0.0.1",
    }
    assert span.ended > span.began


@pytest.mark.parametrize("sampled", ["00", "01"])
async def test_the_trace_of_a_call(world: World, sampled: str) -> None:
    """What is decided for a call is told with its trace, whether or not the call has a span."""
    traced = (("traceparent", f"00-{TRACE}-{SPAN}-{sampled}"),)
    assert await world.method("Traces")(b"", metadata=traced) == TRACE.encode()
    assert await world.method("Traces")(b"") == b"none"


async def test_the_span_of_a_failure(world: World) -> None:
    """An error of the service is told as one, and one of the caller is not."""
    for name, status, error in (("Fails", "UNKNOWN", True), ("Aborts", "NOT_FOUND", False)):
        with pytest.raises(grpc.aio.AioRpcError):
            await world.method(name)(b"x", metadata=PARENT)
        [span] = await world.spans()
        assert span.error is error
        assert span.attributes["rpc.response.status_code"] == status
        assert span.attributes.get("error.type") == (status if error else None)


async def test_streams_that_never_end(world: World) -> None:
    """They have no spans; other streams have one."""
    for service in (OTHER, SERVICE):
        stream = world.channel.stream_stream(f"/{service}/Echoes")(metadata=PARENT)
        await stream.write(b"x")
        assert await stream.read() == b"x"
        await stream.done_writing()
        assert await stream.read() is grpc.aio.EOF  # type: ignore[attr-defined]
    [span] = await world.spans()
    assert span.name == f"{SERVICE}/Echoes"
    assert world.counted("Echoes", OTHER) == {"OK": 1}


@pytest.mark.parametrize("value", ["00-zz", "~ !", "0" * 4000])
async def test_a_trace_context_that_is_none(world: World, value: str) -> None:
    """The call is served as if there was none."""
    assert await world.method("Answers")(b"x", metadata=(("traceparent", value),)) == b"x"
    assert await world.method("Answers")(b"x", metadata=(("traceparent-bin", b"\0\xff"),)) == b"x"
    assert world.counted("Answers") == {"OK": 2}
    assert not world.queue


async def test_adapters_are_children(make_engine: MakeEngine, plugins: Plugins) -> None:
    """What is decided for a call is part of its span, whichever calls there are beside it."""
    engine = make_engine(plugins.plugin("one", adapter()))
    world = World()
    listen(engine, world.tracer)
    front_end = FrontEnd(ext_authz.SERVICE, handler)
    request = external_auth_pb2.CheckRequest()
    request.attributes.request.http.headers.update({":path": "/", ":method": "GET"})
    data = request.SerializeToString()
    async with world.listening([(front_end, handler(engine))]):
        check = world.method(ext_authz.METHOD, ext_authz.SERVICE)
        traced = [check(data, metadata=PARENT if n % 2 else ()) for n in range(20)]
        await asyncio.gather(*traced)
        await until(lambda: len(world.queue) == 20)
    spans = world.queue.take()
    servers = {one.span_id: one for one in spans if one.is_server}
    children = [one for one in spans if not one.is_server]
    assert {one.parent_id for one in children} == set(servers)
    assert len(servers) == len(children) == 10
    for one in children:
        server = servers[one.parent_id]
        assert server.attributes["mixer.verdict"] == "allow"
        assert server.began <= one.began <= one.ended <= server.ended
