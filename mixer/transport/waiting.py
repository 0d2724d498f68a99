"""Waiting for a decision that is not made yet."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from mixer.engine import Decision, PendingDecision

TIMED_OUT = "decision_timed_out"
"""The reason of a request whose callouts took too long."""
GONE = "caller_gone"
"""The reason of a request whose caller, or whose service at its stop, waits no longer."""

_MARGIN_S = 0.05
_MARGIN_SHARE = 0.1
_ROUNDING_SHARE = 0.01


class HasDeadline(Protocol):
    """The context of a gRPC call, or what is like it."""

    def time_remaining(self) -> float | None:
        """Seconds until the caller waits no longer; None if it always does."""


def patience(call: HasDeadline, timeout_s: float) -> float:
    """How long to wait for a decision so that its caller still gets the answer.

    A tenth of what is left is for the way back, from 0.5 s on 50 ms, and from 5 s on a hundredth,
    since gRPC's clients send more than their deadline (3.01 s for 3 s). A caller whose deadline
    passes takes the service for one that is down, and may let the request pass.

    Args:
        call: Has the caller's deadline, which gRPC takes from ``grpc-timeout``.
        timeout_s: The longest wait, in seconds, for those without one.
    """
    left = call.time_remaining()
    if left is None:
        return timeout_s
    margin = max(min(_MARGIN_S, left * _MARGIN_SHARE), left * _ROUNDING_SHARE)
    return min(timeout_s, max(0.0, left - margin))


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
