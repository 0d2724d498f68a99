"""Waiting until the ledger has what adapters recorded for a call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mixer.engine.durable import UNSTORED, Recorded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mixer.engine.durable import Records
    from mixer.state.ledger import GroupCommit


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
    settled = not recorded.is_refused and await _settled(recorded, timeout_s)
    if recorded.by is None or settled:
        return True
    recorded.by.note_failure(UNSTORED)
    return False


async def _settled(recorded: Recorded, timeout_s: float) -> bool:
    settled = asyncio.get_running_loop().create_future()
    recorded.wait(lambda stored: None if settled.done() else settled.set_result(stored))
    try:
        async with asyncio.timeout(timeout_s):
            return bool(await settled)
    except TimeoutError:
        return False
    finally:
        recorded.leave()


async def stored_or_withdrawn(
    commits: GroupCommit, records: Iterable[Records], timeout_s: float
) -> bool:
    """Wait until the ledger has what was recorded for a stream so far; else it is taken back.

    Args:
        commits: Stores it.
        records: Of the stream.
        timeout_s: Seconds for which the caller waits.

    Returns:
        As `stored`: whether the stream may go on.
    """
    recorded = Recorded(commits)
    recorded.add(records)
    if await stored(recorded, timeout_s):
        return True
    recorded.withdraw()
    return False
