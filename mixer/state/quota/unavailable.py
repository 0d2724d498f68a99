"""What is answered where the store cannot be reached."""

from collections.abc import Callable
from enum import StrEnum

from mixer.state.quota.memory import MemoryQuotas
from mixer.state.quota.ports import Answer, Charge, Standing, Take

RETRY_NS = 1_000_000_000
"""After which to ask again where all is refused: a store that is back is noticed by then."""


class OnUnavailable(StrEnum):
    """The configured answer."""

    LOCAL = "LOCAL"
    """By counters of this process alone."""
    OPEN = "OPEN"
    """All that is asked for is granted."""
    CLOSED = "CLOSED"
    """Nothing is."""


Fallback = Callable[[str, Take], Answer]
"""Answers at once."""


def fallback(kind: OnUnavailable, local: MemoryQuotas) -> Fallback:
    """How takes are answered.

    Args:
        kind: As configured.
        local: Counters of this process.
    """
    if kind is OnUnavailable.LOCAL:
        return lambda vm_id, take: local.take(vm_id, take)._replace(local=True)
    stand = _granted if kind is OnUnavailable.OPEN else _refused
    return lambda _vm_id, take: Answer(tuple([stand(one) for one in take.charges]), local=True)


def _granted(charge: Charge) -> Standing:
    return Standing(max(0, charge.cost), False, charge.burst or charge.limit, 0, 0)


def _refused(charge: Charge) -> Standing:
    if charge.cost <= 0:
        return Standing(0, False, 0, RETRY_NS, 0)
    return Standing(0, True, 0, RETRY_NS, RETRY_NS)
