"""What is answered where the store cannot be reached."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from mixer.state.quota.memory import MemoryQuotas
from mixer.state.quota.ports import Answer, Charge, Standing, Take


class OnUnavailable(StrEnum):
    """The configured answer."""

    LOCAL = "LOCAL"
    """By counters of this process alone."""
    OPEN = "OPEN"
    """All that is asked for is granted."""
    CLOSED = "CLOSED"
    """Nothing is told of the counters: whoever asks must know what that means to it."""


@dataclass(frozen=True, slots=True)
class Fallback:
    """The answer.

    Attributes:
        answer: Answers at once.
        told: What becomes of quotas meanwhile, for the log, after "quotas are".
        held: How many counters there are for it in this process.
    """

    answer: Callable[[str, Take], Answer]
    told: str
    held: Callable[[], int]


def fallback(kind: OnUnavailable, local: MemoryQuotas) -> Fallback:
    """How takes are answered.

    Args:
        kind: As configured.
        local: Counters of this process.
    """
    told = _TOLD[kind]
    if kind is OnUnavailable.LOCAL:
        return Fallback(
            lambda vm_id, take: local.take(vm_id, take)._replace(local=True), told, local.__len__
        )
    stand = _all_granted if kind is OnUnavailable.OPEN else _nothing_told
    return Fallback(lambda _vm_id, take: Answer(stand(take), local=True), told, lambda: 0)


_TOLD = {
    OnUnavailable.LOCAL: "counted by this worker alone (onUnavailable: LOCAL)",
    OnUnavailable.OPEN: "granted in full (onUnavailable: OPEN)",
    OnUnavailable.CLOSED: "decided by the onError of each adapter (onUnavailable: CLOSED)",
}


def _all_granted(take: Take) -> tuple[Standing, ...]:
    return tuple([_granted(charge) for charge in take.charges])


def _nothing_told(_take: Take) -> tuple[Standing, ...]:
    return ()


def _granted(charge: Charge) -> Standing:
    return Standing(max(0, charge.cost), False, charge.burst or charge.limit, 0, 0)
