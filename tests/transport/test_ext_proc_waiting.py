"""Process streams whose adapters wait: whatever becomes of that is told, and told in time."""

import asyncio
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from envoy.service.ext_proc.v3 import external_processor_pb2

from mixer.api import ext_proc as api
from mixer.testing.callouts import FakeCallouts
from mixer.transport import ext_proc
from tests.api.ext_proc.proxy import immediate, kinds
from tests.engine.conftest import MakeEngine, Plugins, make_engine, plugins
from tests.engine.world import asking
from tests.support import adapters as do
from tests.support.adapters import adapter
from tests.transport.test_ext_proc import Request, first, serving, until

__all__ = ["make_engine", "plugins"]

FULL_DUPLEX = 4


def body(data: bytes, *, end: bool = False) -> Any:
    return Request(request_body=external_processor_pb2.HttpBody(body=data, end_of_stream=end))


@dataclass
class OneCall:
    """A call whose proxy reads the first answer only once something else has happened.

    Attributes:
        meanwhile: That.
        left: Seconds of the call's deadline.
        then: What comes after the headers.
    """

    meanwhile: Any = None
    left: float | None = None
    then: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        self.sent = [first().SerializeToString(), *self.then]
        self.answers: list[Any] = []

    async def read(self) -> Any:
        if self.sent:
            return self.sent.pop(0)
        return await asyncio.get_running_loop().create_future()

    async def write(self, data: bytes) -> None:
        self.answers.append(external_processor_pb2.ProcessingResponse.FromString(data))
        if self.meanwhile is not None and len(self.answers) == 1:
            self.meanwhile()
            await asyncio.sleep(0)

    def invocation_metadata(self) -> tuple[Any, ...]:
        return ()

    def time_remaining(self) -> float | None:
        return self.left


async def served(engine: Any, call: OneCall) -> list[Any]:
    """The answers of a call until its end."""
    method = f"/{api.SERVICE}/{api.METHOD}"
    handler = ext_proc.handler(engine).service(_Details(method))
    async with asyncio.timeout(engine.decision_timeout / 2):
        await handler.stream_stream(None, call)
    return call.answers


class _Details(grpc.HandlerCallDetails):
    def __init__(self, method: str) -> None:
        self.method = method


async def test_a_callout_that_is_answered_while_something_is_sent(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """It is noticed, however long the proxy takes to read what came before."""
    callouts = FakeCallouts()
    engine = make_engine(plugins.plugin("a", asking(do.resume)), callouts=callouts)
    engine.decision_timeout = 60.0
    call = OneCall(lambda: callouts.http_calls[0].respond(200))
    assert kinds(await served(engine, call)) == ["more_time", "request_headers"]


async def test_the_deadline_of_the_caller(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Its stream is answered before gRPC ends it by a status, which may let the request pass."""
    engine = make_engine(plugins.plugin("a", asking()), callouts=FakeCallouts())
    engine.decision_timeout = 60.0
    answers = await served(engine, OneCall(left=0.1))
    assert immediate(answers) == (503, "decision_timed_out")


async def test_a_caller_that_has_nothing_more_to_send(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """It still gets its answer, be that one that an adapter waits for."""
    callouts = FakeCallouts()
    engine = make_engine(plugins.plugin("a", asking(do.deny(403))), callouts=callouts)
    call = OneCall(then=(grpc.aio.EOF,))  # type: ignore[attr-defined]
    asking_it = asyncio.create_task(served(engine, call))
    await until(lambda: bool(callouts.http_calls) and not call.sent)
    callouts.http_calls[0].respond(200)
    assert immediate(await asking_it)[0] == 403


@pytest.mark.parametrize("mode", [0, FULL_DUPLEX])
async def test_a_request_that_is_cut_short(
    make_engine: MakeEngine, plugins: Plugins, mode: int
) -> None:
    """What adapters hold back does not pass for the end of the stream."""
    holds = {"allow-on-headers-stop-iteration": "true"}
    text = adapter(do.answer(1), request_body=[])
    async with serving(make_engine(plugins.plugin("a", text, holds))) as service:
        stream = service.begin()
        await stream.send(first(end=False, mode=mode))
        await stream.call.done_writing()
        status, reason = immediate([await stream.receive()])
        assert (status, reason) in (
            (503, "stream_ended_early"),
            (503, "waits_for_a_body_that_the_proxy_does_not_send"),
        )


async def test_pieces_that_are_let_go_before_more_comes(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """In full duplex a client may wait for an answer to what it has sent so far."""
    callouts = FakeCallouts()
    text = adapter(
        request_body=[do.callout("auth"), do.answer(1)],
        http_call_response=[do.in_stream(do.resume)],
    )
    engine = make_engine(plugins.plugin("a", text), callouts=callouts)
    async with serving(engine) as service:
        stream = service.begin()
        await stream.send(first(end=False, mode=FULL_DUPLEX))
        assert kinds([await stream.receive()]) == ["request_headers"]
        await stream.send(body(b"question"))
        await until(lambda: bool(callouts.http_calls))
        callouts.http_calls[0].respond(200)
        answer = await stream.receive()
        streamed = answer.request_body.response.body_mutation.streamed_response
        assert (streamed.body, streamed.end_of_stream) == (b"question", False)
        stream.call.cancel()
