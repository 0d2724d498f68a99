"""Process streams whose peers read nothing, or no more: none of them stays."""

import asyncio
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
import pytest

from mixer.api import ext_proc as api
from mixer.config import ServiceLimits
from mixer.shedding import Bounds, RateBound, Shedder
from mixer.transport import ext_proc
from tests.engine.conftest import MakeEngine, Plugins, make_engine, plugins
from tests.support import adapters as do
from tests.support.adapters import adapter
from tests.transport.test_ext_proc import first

__all__ = ["make_engine", "plugins"]

LOGS = adapter(response_headers=[], log=[do.count("logged", 1)])
IDLE_S = 0.05


class Details(grpc.HandlerCallDetails):
    """Of the one method."""

    method = f"/{api.SERVICE}/{api.METHOD}"

    def __init__(self) -> None:
        pass


@dataclass
class Deaf:
    """A call whose proxy sends headers, and whose window has room for few answers.

    Attributes:
        room: How many.
    """

    room: int
    sends: bool = True

    async def read(self) -> bytes:
        if not self.sends:
            await asyncio.get_running_loop().create_future()
        self.sends = False
        return bytes(first().SerializeToString())

    async def write(self, _data: bytes) -> None:
        self.room -= 1
        if self.room < 0:
            await asyncio.get_running_loop().create_future()

    async def abort(self, code: grpc.StatusCode, message: str) -> None:
        assert (code, message) == (grpc.StatusCode.DEADLINE_EXCEEDED, "nobody reads")
        raise grpc.aio.AbortError

    def cancelled(self) -> bool:
        return False

    def invocation_metadata(self) -> tuple[Any, ...]:
        return ()

    def time_remaining(self) -> None:
        return None


@pytest.mark.parametrize("room", [0, 1])
async def test_an_answer_that_nobody_reads(
    make_engine: MakeEngine, plugins: Plugins, room: int
) -> None:
    """The stream expires and is logged, also where the last one is that its end is told with."""
    engine = make_engine(plugins.plugin("a", LOGS))
    engine.limits = ServiceLimits.model_construct(max_streams=2, stream_idle_timeout=IDLE_S)
    handler: Any = ext_proc.handler(engine).service(Details())
    async with asyncio.timeout(30):
        with pytest.raises(grpc.aio.AbortError):
            await handler.stream_stream(None, Deaf(room))
    metrics = {m.name: m.value for m in engine.services.metrics.snapshot()}
    assert metrics["logged"] == 1


@pytest.mark.parametrize("refused_by", ["streams", "shedding"])
async def test_a_refusal_that_nobody_reads(make_engine: MakeEngine, refused_by: str) -> None:
    """It does not wait for ever, either."""
    engine = make_engine()
    most = 0 if refused_by == "streams" else 2
    engine.limits = ServiceLimits.model_construct(max_streams=most, stream_idle_timeout=IDLE_S)
    shedder = Shedder(Bounds(rate=RateBound(0.01, 1)))
    handler: Any = ext_proc.handler(engine, shedder).service(Details())
    async with asyncio.timeout(30):
        if refused_by == "shedding":
            await handler.stream_stream(None, Deaf(1))
        with pytest.raises(grpc.aio.AbortError):
            await handler.stream_stream(None, Deaf(0))
