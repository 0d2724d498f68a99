"""Waiting for a decision that is not made yet."""

import asyncio

import pytest

from mixer.engine import AdapterState, Decision, PendingDecision, Verdict
from mixer.transport.waiting import settled
from tests.engine.conftest import MakeEngine, Plugins, make_engine, plugins
from tests.engine.test_pending import World, asking

__all__ = ["make_engine", "plugins"]


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
