"""Waiting until the ledger has what adapters recorded for a call."""

import asyncio

from mixer.engine import Recorded
from mixer.engine.durable import UNSTORED


async def stored(recorded: Recorded | None, timeout_s: float) -> bool:
    """Wait for the ledger.

    Args:
        recorded: For this call; None where there is no ledger.
        timeout_s: Seconds for which the caller waits.

    Returns:
        False where the ledger did not take, or not in time, what an adapter recorded that does not
        fail open: the call must not be acknowledged.
    """
    if recorded is None or recorded.is_stored:
        return True
    settled = asyncio.get_running_loop().create_future()
    recorded.wait(lambda: None if settled.done() else settled.set_result(None))
    try:
        async with asyncio.timeout(timeout_s):
            await settled
    except TimeoutError:
        recorded.is_failed = True
    finally:
        recorded.leave()
    if recorded.by is None or not recorded.is_failed:
        return True
    recorded.by.note_failure(UNSTORED)
    return False
