"""Python's cyclic collector in a process that serves."""

import gc

_ALLOCATIONS = 10_000
"""Objects that come to be between two looks of the collector at the youngest."""


def spare_the_collector() -> None:
    """Have it leave alone what was loaded, and look less often.

    Requests leave no circles behind: each look at their objects is for nothing, and costs the more
    the more of them wait for a callout or for the ledger.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS)
