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
    if not recorded.is_refused:
        await _settled(recorded, timeout_s)
    if recorded.by is None or not (recorded.is_failed or recorded.is_refused):
        return True
    recorded.by.note_failure(UNSTORED)
    return False


async def _settled(recorded: Recorded, timeout_s: float) -> None:
    settled = asyncio.get_running_loop().create_future()
    recorded.wait(lambda: None if settled.done() else settled.set_result(None))
    try:
        async with asyncio.timeout(timeout_s):
            await settled
    except TimeoutError:
        recorded.is_failed = True
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
