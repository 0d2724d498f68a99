"""Waiting for a decision that is not made yet."""

import asyncio
from collections import namedtuple
from typing import Any

import grpc
import grpc.aio
import pytest
from envoy.service.auth.v3 import external_auth_pb2

from mixer.api import ext_authz, mixer_v1
from mixer.engine import AdapterState, Decision, PendingDecision, Verdict
from mixer.transport import authorization
from mixer.transport import mixer_v1 as mixer_service
from mixer.transport.waiting import patience, settled
from mixer.wire import mixer_v1_pb2 as pb
from tests.api.mixer_calls import check_bytes
from tests.e2e.calls import check_request
from tests.engine.conftest import MakeEngine, Plugins, make_engine, plugins
from tests.engine.test_pending import World, asking

__all__ = ["make_engine", "plugins"]

Details = namedtuple("Details", "method")


def _never(decision: Decision) -> None:
    raise AssertionError(decision)


@pytest.fixture
def world(make_engine: MakeEngine, plugins: Plugins) -> World:
    """One adapter that asks another service."""
    return World(make_engine, plugins.plugin("one", asking()))


async def test_a_decision_that_is_made_in_time(world: World) -> None:
    """Who waits gets it as soon as it is made."""
    waiting = asyncio.create_task(settled(world.ask(), 60.0, _never))
    await asyncio.sleep(0)
    assert not waiting.done()
    world.answer()
    assert (await waiting).verdict is Verdict.ALLOW


async def test_a_decision_that_takes_too_long(world: World) -> None:
    """After the timeout the request is an error, and its adapter goes on."""
    decision = await settled(world.ask(), 0.001, _never)
    assert (decision.verdict, decision.reason) == (Verdict.ERROR, "decision_timed_out")
    assert world.engine.adapters[0].state is AdapterState.READY
    world.answer()


async def test_a_caller_that_goes(world: World) -> None:
    """A caller that is cancelled ends its request; the answer of the callout finds nobody."""
    pending: PendingDecision = world.ask()
    gone: list[Decision] = []
    waiting = asyncio.create_task(settled(pending, 60.0, gone.append))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert pending.decision is not None
    assert pending.decision.reason == "caller_gone"
    assert gone == [pending.decision]
    world.answer()


class Call:
    """A call whose caller waits for so long."""

    def __init__(self, left: float | None) -> None:
        self._left = left

    def peer(self) -> str:
        return "unix:"

    def time_remaining(self) -> float | None:
        return self._left


@pytest.mark.parametrize(
    ("left", "waits"),
    [(None, 10.0), (60.0, 10.0), (10.0, 9.9), (5.0, 4.95), (0.2, 0.18), (0.0, 0.0)],
)
def test_how_long_to_wait(left: float | None, waits: float) -> None:
    """No longer than the caller does, less what the answer takes to get there."""
    assert patience(Call(left), 10.0) == pytest.approx(waits)


async def test_the_deadline_of_a_call() -> None:
    """It is what grpc-timeout says, and none without it."""
    seen: list[float | None] = []

    async def call(data: bytes, context: Any) -> bytes:
        seen.append(context.time_remaining())
        return data

    method = grpc.method_handlers_generic_handler(
        "a.Service", {"Call": grpc.unary_unary_rpc_method_handler(call)}
    )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((method,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        ask = channel.unary_unary("/a.Service/Call")
        await ask(b"", timeout=3600)
        await ask(b"")
    await server.stop(0)
    assert seen[0] is not None
    assert 3000 < seen[0] < 3636  # gRPC sends a rounded one
    assert seen[1] is None


async def test_a_check_whose_caller_waits_no_longer(world: World) -> None:
    """It is denied by then, long before decisionTimeout, and not by a status of gRPC."""
    assert world.engine.decision_timeout == 10.0
    handler: Any = authorization.handler(world.engine)
    check = handler.service(Details(f"/{ext_authz.SERVICE}/{ext_authz.METHOD}")).unary_unary
    async with asyncio.timeout(9):
        answer = external_auth_pb2.CheckResponse.FromString(await check(check_request(), Call(0.0)))
    assert answer.denied_response.status.code == 503
    assert answer.status.message == "decision_timed_out"
    world.answer()


async def test_a_mixer_check_whose_caller_waits_no_longer(world: World) -> None:
    """It is denied by then as well."""
    handler: Any = mixer_service.handler(world.engine)
    check = handler.service(Details(f"/{mixer_v1.SERVICE}/{mixer_v1.CHECK}")).unary_unary
    async with asyncio.timeout(9):
        answer = pb.CheckResponse.FromString(await check(check_bytes({}), Call(0.0)))
    assert answer.precondition.status.message == "one:decision_timed_out"
    world.answer()
