"""Whom the stop of a service waits for."""

import asyncio
import logging

from mixer.telemetry import Calls

_log = logging.getLogger(__name__)

_LOOK_S = 0.5


async def until_no_calls(calls: Calls) -> None:
    """Wait until no gRPC call was in progress twice, half a second apart; tell which ones are.

    The last answers are on their way then. Who is connected still and has no call may be so for
    ever: a peer that reads nothing, one that never spoke, or one that watches the health.
    """
    before, told = in_progress(calls), False
    while True:
        await asyncio.sleep(_LOOK_S)
        now = in_progress(calls)
        if not (before or now):
            return
        if now and not told:
            told = True
            _log.info("stopping: waiting for calls in progress: %s", _shown(now))
        before = now


def in_progress(calls: Calls) -> dict[str, int]:
    """How many calls have no end yet, by method."""
    return {method: one.in_progress for method, one in calls.rpc.items() if one.in_progress}


def _shown(numbers: dict[str, int]) -> str:
    return ", ".join(f"{number} of {method}" for method, number in numbers.items())
