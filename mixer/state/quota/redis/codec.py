"""What the script is told of a take, and what it tells: numbers of 64 bits, all of them whole."""

import struct
from functools import lru_cache

from mixer.state.quota.counting import RULES, State
from mixer.state.quota.ports import Algorithm, Answer, Charge, Standing, Take

_HEAD = struct.Struct("<ddd")
_CHARGE = struct.Struct("<ddddddddd")
_TIMES = struct.Struct("<dd")
"""Now, and when the answer was first given."""
_COUNTED = struct.Struct("<dddd")
_US = 1000


class RubbishError(Exception):
    """An answer that the script cannot have given."""


def prefix_of(store: str, vm_id: str) -> bytes:
    """Of all keys of a VM id, which may have any characters: no two have one key."""
    name = vm_id.encode()
    return b"%b:quota:%d:%b:" % (store.encode(), len(name), name)


def key_of(prefix: bytes, charge: Charge) -> bytes:
    """Where a counter is."""
    fixed = charge.algorithm is Algorithm.FIXED_WINDOW
    return prefix + (b"f" if fixed else b"r") + charge.key


def memory_of(prefix: bytes, take: Take) -> bytes:
    """Where an answer is remembered."""
    return b"%bd%d:%b" % (prefix, len(take.charges), take.dedup_id)


def encode(take: Take) -> bytes:
    """A take as the script reads it."""
    kept = _ceil(take.dedup_window_ns, 1_000_000) if take.dedup_id else 0
    head = _HEAD.pack(len(take.charges), take.best_effort, kept)
    return head + b"".join([_encoded(charge) for charge in take.charges])


@lru_cache(4096)
def _numbers(
    fixed: bool, limit: int, window: int, burst: int, cost: int
) -> tuple[int, int, int, int]:
    """What the cost takes and what all of it takes, as times and numerators over the limit."""
    if fixed:
        return 0, 0, 0, 0
    most = divmod(burst * window, limit)
    if cost > burst:
        return most[0] + 1, most[1], *most
    return *divmod(min(abs(cost), burst) * window, limit), *most


def _encoded(charge: Charge) -> bytes:
    _, algorithm, limit, window_ns, burst, cost, shadow = charge
    fixed, window = algorithm is Algorithm.FIXED_WINDOW, _ceil(window_ns, _US)
    numbers = _numbers(fixed, limit, window, burst or limit, cost)
    return _CHARGE.pack(fixed, shadow, limit, cost, window, *numbers)


def decode(take: Take, data: object) -> Answer:
    """What the script answered.

    Raises:
        RubbishError: It did not.
    """
    size = _TIMES.size + _COUNTED.size * len(take.charges)
    if not isinstance(data, bytes) or len(data) != size:
        raise RubbishError(f"no answer of {size} bytes")
    try:
        now, at = [int(one) * _US for one in _TIMES.unpack_from(data)]
        counted = _COUNTED.iter_unpack(data[_TIMES.size :])
        standings = [
            _standing(charge, one, at) for charge, one in zip(take.charges, counted, strict=True)
        ]
    except (ValueError, OverflowError) as error:
        raise RubbishError(f"no whole numbers: {error}") from error
    answer = Answer(tuple(standings))
    return answer if now == at else answer.again(now - at)


def _standing(charge: Charge, counted: tuple[float, ...], now: int) -> Standing:
    amount, refused, first, second = map(int, counted)
    state: State | None = None
    if first >= 0:
        fixed = charge.algorithm is Algorithm.FIXED_WINDOW
        tat = (first * charge.limit + second) * _US
        state = (first * _US, second) if fixed else (tat, charge.limit)
    if over := charge.window_ns % _US:
        charge = charge._replace(window_ns=charge.window_ns + _US - over)
    return RULES[charge.algorithm].stand(state, charge, amount, now, refused=bool(refused))


def _ceil(amount: int, divisor: int) -> int:
    return -(-amount // divisor)
