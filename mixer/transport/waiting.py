"""Waiting for a decision that is not made yet."""

import asyncio
from collections.abc import Callable

from mixer.engine import Decision, PendingDecision

TIMED_OUT = "decision_timed_out"
"""The reason of a request whose callouts took too long."""
GONE = "caller_gone"
"""The reason of a request whose caller, or whose service at its stop, waits no longer."""


async def settled(
    pending: PendingDecision, timeout_s: float, gone: Callable[[Decision], None]
) -> Decision:
    """Wait for a decision; if this is cancelled, the decision is given up.

    Args:
        pending: What to wait for.
        timeout_s: Seconds after which the request fails.
        gone: Told the decision where it is given up.
    """
    future = asyncio.get_running_loop().create_future()
    pending.then(lambda decision: None if future.done() else future.set_result(decision))
    try:
        async with asyncio.timeout(timeout_s):
            decision: Decision = await future
            return decision
    except TimeoutError:
        return pending.give_up(TIMED_OUT)
    except asyncio.CancelledError:
        gone(pending.give_up(GONE))
        raise
