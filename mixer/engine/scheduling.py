"""The scheduler of an engine."""

import asyncio

from mixer.proxywasm import LoopScheduler, ManualScheduler, Scheduler


def scheduler_of_this_thread() -> Scheduler:
    """That of the running event loop; without one, a scheduler whose time stands still."""
    try:
        return LoopScheduler(asyncio.get_running_loop())
    except RuntimeError:
        return ManualScheduler()
