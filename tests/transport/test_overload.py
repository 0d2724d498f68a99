"""What a front end answers to what is too much."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from envoy.service.auth.v3 import external_auth_pb2

from mixer.config import LatencyShedding, LoadShedding, RateShedding, SheddingMode
from mixer.shedding import Bounds, Kind, Reason, Refusal, Shedder, WaitBound
from mixer.transport import wait_probe
from mixer.transport.overload import (
    PUSHBACK,
    abort_overloaded,
    deny_overloaded,
    shedder_for,
    shedding,
)

CONTEXT: Any = None


async def serve(data: bytes, _context: Any) -> bytes:
    return b"served " + data


async def refuse(_context: Any, refusal: Refusal) -> bytes:
    return refusal.reason.encode()


def test_off() -> None:
    """Without load shedding nothing stands between a call and its answer."""
    assert shedder_for(LoadShedding()) is None
    assert shedding(None, serve, refuse) is serve


@pytest.mark.parametrize("mode", [SheddingMode.LOG_ONLY, SheddingMode.ENFORCE])
def test_the_configuration(mode: SheddingMode) -> None:
    """Each setting gets to its bound."""
    settings = LoadShedding.model_construct(
        mode=mode,
        max_concurrent=2,
        latency=LatencyShedding.model_construct(threshold=0.5, window=0.1),
        rate=RateShedding(requests_per_second=3),
    )
    shedder = shedder_for(settings)
    assert shedder is not None
    assert shedder.enforced == (mode is SheddingMode.ENFORCE)
    assert shedder.wait is not None
    assert shedder.wait.threshold == 0.5
    assert shedder.lanes[Kind.CHECK].bucket is not None
    assert shedder.lanes[Kind.CHECK].bucket.tokens == 3
    gate = shedder.gate("front", Kind.CHECK)
    for _ in range(3):
        gate.admit()
    assert gate.refused[Reason.CONCURRENCY] == 1


async def test_a_place_is_left_whatever_becomes_of_the_call() -> None:
    """A call that fails or is cancelled makes room for the next."""
    gate = Shedder(Bounds(max_concurrent=1)).gate("front", Kind.CHECK)
    waits = asyncio.Event()

    async def fail(data: bytes, _context: Any) -> bytes:
        await waits.wait()
        raise ZeroDivisionError

    serving = shedding(gate, fail, refuse)
    calls = [asyncio.create_task(serving(b"", CONTEXT)) for _ in range(2)]
    assert await calls[1] == b"concurrency"
    calls[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await calls[0]
    waits.set()
    with pytest.raises(ZeroDivisionError):
        await serving(b"", CONTEXT)
    assert await shedding(gate, serve, refuse)(b"data", CONTEXT) == b"served data"


async def test_a_denied_check() -> None:
    """It is a denial with 503, that says when to come back in whole seconds."""
    data = await deny_overloaded(CONTEXT, Refusal(Reason.RATE, 1.01))
    answer = external_auth_pb2.CheckResponse.FromString(data)
    assert answer.status.code == grpc.StatusCode.UNAVAILABLE.value[0]
    assert answer.status.message == "overload_rate"
    assert answer.denied_response.status.code == 503
    [header] = answer.denied_response.headers
    assert (header.header.key, header.header.value) == ("retry-after", "2")


@asynccontextmanager
async def serving(*handlers: Any) -> AsyncIterator[str]:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(handlers)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield address
    finally:
        await server.stop(0)


def calls_of(method: Any) -> Any:
    handler = grpc.unary_unary_rpc_method_handler(method)
    return grpc.method_handlers_generic_handler("a.Service", {"Call": handler})


async def test_an_aborted_call() -> None:
    """It ends with UNAVAILABLE, and tells gRPC's clients when to try again."""

    async def call(_data: bytes, context: Any) -> bytes:
        return await abort_overloaded(context, Refusal(Reason.LATENCY, 1.2345))

    async with serving(calls_of(call)) as address, grpc.aio.insecure_channel(address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/a.Service/Call")(b"", wait_for_ready=True)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert dict(caught.value.trailing_metadata())[PUSHBACK] == "1235"


_RETRIES = """{"methodConfig": [{"name": [{}], "retryPolicy": {"maxAttempts": 5,
"initialBackoff": "0.01s", "maxBackoff": "0.01s", "backoffMultiplier": 1,
"retryableStatusCodes": ["UNAVAILABLE"]}}]}"""


async def test_a_client_that_tries_again() -> None:
    """GRPC's own retries take what is refused for something to repeat, when they are told to."""
    clock = asyncio.get_running_loop().time
    seen: list[float] = []

    async def call(data: bytes, context: Any) -> bytes:
        seen.append(clock())
        return data if len(seen) > 1 else await abort_overloaded(context, Refusal(Reason.RATE, 0.3))

    options = [("grpc.service_config", _RETRIES)]
    async with (
        serving(calls_of(call)) as address,
        grpc.aio.insecure_channel(address, options=options) as channel,
    ):
        answer = await channel.unary_unary("/a.Service/Call")(b"data", wait_for_ready=True)
    assert answer == b"data"
    assert seen[1] - seen[0] > 0.29


@dataclass
class Control:
    """Notes the waits that it is told.

    Attributes:
        threshold: As of a `WaitControl`.
        told: All of them.
    """

    threshold: float = 0.02
    told: list[float] = field(default_factory=list)

    @property
    def wait(self) -> float:
        return self.told[-1] if self.told else 0.0

    def tell(self, wait: float, now: float) -> None:
        self.told.append(wait)


class Asked:
    """Somebody asks all the time."""

    count = 0

    @property
    def asked(self) -> int:
        self.count += 1
        return self.count


@asynccontextmanager
async def probing(shedder: Any, address: str) -> AsyncIterator[Control]:
    control: Any = Control()
    async with wait_probe.WaitProbe(shedder, control, (address,)):
        yield control


async def test_the_wait_is_measured_through_grpc() -> None:
    """What callers wait for that gRPC keeps in its queue is measured, though nobody sees them."""

    async def burn(data: bytes, _context: Any) -> bytes:
        end = asyncio.get_running_loop().time() + 0.005
        while asyncio.get_running_loop().time() < end:
            pass
        return data

    async with (
        serving(calls_of(burn), wait_probe.handler()) as address,
        grpc.aio.insecure_channel(address) as channel,
        probing(Asked(), address) as control,
    ):
        call = channel.unary_unary("/a.Service/Call")
        await call(b"", wait_for_ready=True)
        async with asyncio.timeout(60):
            while control.wait < 0.1:  # 40 calls take 200 ms, one after the other
                await asyncio.gather(*(call(b"") for _ in range(40)))
            while control.wait >= 0.1:  # noqa: ASYNC110 - the next measurement ends it
                await asyncio.sleep(0.01)


async def test_nobody_asks() -> None:
    """While there are no requests, the service does not ask itself, and nobody waits."""
    shedder = Shedder(Bounds(wait=WaitBound(0.02, 0.1)))
    async with probing(shedder, "127.0.0.1:1") as control, asyncio.timeout(60):
        while len(control.told) < 5:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert set(control.told) == {0.0}


@pytest.mark.parametrize("status", [grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.CANCELLED])
async def test_a_queue_that_is_full(status: grpc.StatusCode) -> None:
    """That gRPC refuses the question at once is no sign that nobody waits."""

    async def refuse_it(_data: bytes, context: Any) -> bytes:
        await context.abort(status)

    method = grpc.unary_unary_rpc_method_handler(refuse_it)
    full = grpc.method_handlers_generic_handler("mixer.transport.WaitProbe", {"Ask": method})
    async with serving(full) as address, probing(Asked(), address) as control:
        control.told = [5.0]
        async with asyncio.timeout(60):
            while len(control.told) < 5:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    assert min(control.told) >= 5.0


async def test_a_wait_that_cannot_be_measured(caplog: pytest.LogCaptureFixture) -> None:
    """It is said once, and no wait is told: what is not known must not have anything refused."""
    asked = Asked()
    async with serving() as address, probing(asked, address) as control, asyncio.timeout(60):
        while not caplog.messages:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        once = asked.count
        while asked.count < once + 10:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert caplog.messages == [
        "the latency cannot be measured, and nothing is shed for it: UNIMPLEMENTED"
    ]
    assert max(control.told, default=0.0) < 5


def test_the_page_names_what_is_answered() -> None:
    """The configuration page names the trailer as it is sent."""
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    assert f"`{PUSHBACK}`" in page
