"""What a take may ask for, and how much is kept."""

from dataclasses import dataclass

from mixer.state.quota.ports import Algorithm, Charge, Take

MAX_CHARGES = 64
MAX_KEY_BYTES = 64
MAX_AMOUNT = (1 << 53) - 1
"""Of a limit, a burst and a cost: a whole number in every language that counts."""
MIN_WINDOW_NS = 1_000_000
MAX_WINDOW_NS = 366 * 86_400 * 10**9
MAX_REFILL_NS = 100 * MAX_WINDOW_NS
"""Until a burst that is used up is there again."""


@dataclass(frozen=True, slots=True)
class QuotaLimits:
    """Bounds of what is kept for each ``vm_id``.

    Attributes:
        max_counters: Counters, and answers that are remembered by their id. One more evicts a
            counter that is full again if there is one, else the one that was used least recently;
            which is then as if nothing had been taken of it.
    """

    max_counters: int = 100_000


def check(take: Take) -> None:
    """Raise ValueError for a take that is out of bounds, naming the charge, what, and the bound."""
    number = len(take.charges)
    if not 1 <= number <= MAX_CHARGES:
        raise ValueError(f"{number} charges: must be 1 to {MAX_CHARGES}")
    if take.best_effort and number > 1:
        raise ValueError(f"best_effort with {number} charges: must be 1")
    if len(take.dedup_id) > MAX_KEY_BYTES:
        raise ValueError(f"dedup_id: {len(take.dedup_id)} bytes: must be at most {MAX_KEY_BYTES}")
    if not 0 <= take.dedup_window_ns <= MAX_WINDOW_NS:
        raise ValueError(f"dedup_window_ns: {take.dedup_window_ns}: must be 0 to {MAX_WINDOW_NS}")
    for index, charge in enumerate(take.charges):
        if why := _wrong(charge):
            raise ValueError(f"charges[{index}].{why}")
    if number > 1 and len({charge.key for charge in take.charges}) < number:
        raise ValueError("charges: two of them have one key")


def _wrong(charge: Charge) -> str:
    if not 1 <= len(charge.key) <= MAX_KEY_BYTES:
        return f"key: {len(charge.key)} bytes: must be 1 to {MAX_KEY_BYTES}"
    for name, value, lowest, highest in (
        ("limit", charge.limit, 1, MAX_AMOUNT),
        ("window_ns", charge.window_ns, MIN_WINDOW_NS, MAX_WINDOW_NS),
        ("burst", charge.burst, 0, MAX_AMOUNT),
        ("cost", charge.cost, -MAX_AMOUNT, MAX_AMOUNT),
    ):
        if not lowest <= value <= highest:
            return f"{name}: {value}: must be {lowest} to {highest}"
    refills = charge.burst * charge.window_ns > MAX_REFILL_NS * charge.limit
    if refills and charge.algorithm is not Algorithm.FIXED_WINDOW:
        return f"burst: takes over {MAX_REFILL_NS} ns to be there again"
    return ""
