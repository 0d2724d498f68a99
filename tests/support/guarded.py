"""Bounds on what a process uses."""

import gc
from collections.abc import Callable

import psutil

MIB = 1 << 20


def resident() -> int:
    """Bytes of memory that this process holds."""
    gc.collect()
    return int(psutil.Process().memory_info().rss)


def growth(work: Callable[[int], object], *, warm_up: int, times: int) -> int:
    """By how many bytes the process grows while it works, once it has warmed up."""
    work(warm_up)
    before = resident()
    work(times)
    return resident() - before
