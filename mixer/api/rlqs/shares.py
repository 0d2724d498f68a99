"""How a limit is divided among those who share it."""

from collections.abc import Sequence

_LEAST = 10
"""Part of an equal share that one keeps who wants nothing now: its next requests must not find
nothing at all."""


def divide(limit: int, wants: Sequence[int | None]) -> tuple[int, ...]:
    """The shares, in order; their sum is the limit.

    Nobody gets less than an equal share who wants that much; what others do not want goes to those
    who want more, and what nobody wants is divided as well.

    Args:
        limit: What there is, 0 or more.
        wants: How much each wants; None where that is not known.
    """
    if not wants:
        return ()
    least = max(1, limit // (_LEAST * len(wants)))
    wanted = [limit if want is None else max(least, want) for want in wants]
    order = sorted(range(len(wants)), key=wanted.__getitem__)
    shares, left = [0] * len(wants), limit
    for cap in (wanted, [limit] * len(wants)):
        for place, at in enumerate(order):
            share = min(cap[at], left // (len(order) - place))
            shares[at] += share
            left -= share
    return tuple(shares)
