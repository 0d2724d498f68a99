"""Beginning and end of an engine that requests go through."""

import asyncio
from contextlib import suppress

from mixer.engine.engine import Engine


class BrokenAdaptersError(Exception):
    """Adapters that must not be passed over did not load."""


def check_adapters(engine: Engine, *, continue_on_errors: bool) -> None:
    """Refuse to go on with an adapter that did not load, unless it fails open.

    Args:
        engine: That is loaded.
        continue_on_errors: Go on nevertheless: what the adapter is for is refused then.

    Raises:
        BrokenAdaptersError: There is one.
    """
    closed = [a for a in engine.broken if not a.fails_open]
    if closed and not continue_on_errors:
        raise BrokenAdaptersError("\n".join(str(adapter.problem) for adapter in closed))


async def end_plugins(engine: Engine, grace: float) -> None:
    """Tell the plugins that it ends, and wait for those that put their end off.

    Args:
        engine: Through which no request goes any more.
        grace: Seconds to wait.
    """
    ended = asyncio.Event()
    engine.shut_down(ended.set)
    with suppress(TimeoutError):
        async with asyncio.timeout(grace):
            await ended.wait()
