"""What usage costs by a plan: whole billionths of its currency, of the units of a whole period."""

from mixer.wire.ledger_pb2 import Rate


def rate_units(rate: Rate, units: int) -> int:
    """What so many units of one meter cost in one period.

    Units beyond the included ones are priced for each ``per`` of them, in proportion; the sum is
    rounded once, to the nearest billionth, and half of one up.

    Args:
        rate: Of the meter; its tiers rise, and the last one has no end.
        units: All of the period, the included ones too.

    Returns:
        Billionths of the currency.
    """
    billed = max(0, units - rate.included)
    total = _of_one_tier(rate, billed) if rate.volume else _of_each_tier(rate, billed)
    per = rate.per or 1
    return (2 * total + per) // (2 * per)


def _of_one_tier(rate: Rate, billed: int) -> int:
    """All units at the price of the tier that the last of them is in."""
    for tier in rate.tiers:
        if not tier.up_to or billed <= tier.up_to:
            return billed * tier.price_nanos
    return 0


def _of_each_tier(rate: Rate, billed: int) -> int:
    """Each unit at the price of its own tier."""
    total = below = 0
    for tier in rate.tiers:
        end = min(billed, tier.up_to) if tier.up_to else billed
        total += max(0, end - below) * tier.price_nanos
        below = max(below, end)
    return total
