"""What usage costs, against a slow reference that looks at every unit."""

from datetime import date
from fractions import Fraction
from math import floor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mixer.state.ledger import read_entry
from mixer.state.ledger.rating import rate_units
from mixer.state.ledger.totals import Total, Totals, begin_of, by_month, day_of
from mixer.wire.ledger_pb2 import Period, Plan, Rate, Tier
from tests.support.ledger_entries import flat, plan, usage

_DAY = 86_400 * 10**9
_FIRST = begin_of(date(2026, 11, 1))


@st.composite
def _rates(draw: st.DrawFn) -> Rate:
    ends = sorted(draw(st.sets(st.integers(1, 60), max_size=4)))
    tiers = [Tier(up_to=end, price_nanos=draw(st.integers(0, 50))) for end in [*ends, 0]]
    return Rate(
        included=draw(st.integers(0, 30)),
        per=draw(st.integers(0, 12)),
        tiers=draw(st.sampled_from([tiers, []])),
        volume=draw(st.booleans()),
    )


def _tier_of(rate: Rate, unit: int) -> Tier:
    return next(tier for tier in rate.tiers if not tier.up_to or unit <= tier.up_to)


def _reference(rate: Rate, units: int) -> int:
    billed = range(1, max(0, units - rate.included) + 1)
    if not rate.tiers:
        return 0
    prices = (_tier_of(rate, billed[-1] if rate.volume else unit).price_nanos for unit in billed)
    return floor(Fraction(sum(prices), rate.per or 1) + Fraction(1, 2))


@settings(suppress_health_check=[HealthCheck.too_slow])  # rates are large, and machines busy
@given(_rates(), st.integers(0, 120))
def test_against_the_reference(rate: Rate, units: int) -> None:
    """Every unit costs what its tier says, or that of the last one, in proportion to ``per``."""
    assert rate_units(rate, units) == _reference(rate, units)


@pytest.mark.parametrize(
    ("rate", "units", "expected"),
    [
        (Rate(), 10**6, 0),
        (flat(5), 3, 15),
        (flat(5, included=2), 3, 5),
        (flat(5, included=3), 3, 0),
        (flat(1, per=2), 1, 1),
        (flat(1, per=3), 1, 0),
        (flat(2_500_000_000, per=1_000_000), 1_234_567, 3_086_417_500),
        (flat((1 << 64) - 1), (1 << 64) - 1, ((1 << 64) - 1) ** 2),
    ],
)
def test_examples(rate: Rate, units: int, expected: int) -> None:
    """Included volume, ``per``, rounding to the nearest and half up, and the largest numbers."""
    assert rate_units(rate, units) == expected


_Uses = list[tuple[str, str, int, int]]
_uses = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.integers(0, 70), st.integers(0, 40)),
    max_size=30,
)


def _total(uses: _Uses, made: Plan) -> list[Total]:
    totals = Totals({(made.name, made.version): made})
    for subject, meter, day, units in uses:
        totals.add(read_entry(usage("k", subject, {meter: units}, time=_FIRST + day * _DAY)).usage)
    return list(totals.days())


@given(_uses, _rates(), st.sampled_from([Period.MONTH, Period.DAY]), st.randoms())
def test_days_add_up_to_their_period(
    uses: _Uses, rate: Rate, period: Period, random: object
) -> None:
    """Whatever the order of records, days cost together what their period costs at once."""
    made = read_entry(plan(rates={"x": rate}, period=period)).plan
    days = _total(uses, made)
    random.shuffle(uses)  # type: ignore[attr-defined]
    assert _total(uses, made) == days
    for month in by_month(days):
        of, parts = month.of, [one for one in days if one.of == month.of]
        here = [one for one in parts if one.first.replace(day=1) == month.first]
        whole = [month.units] if period == Period.MONTH else [one.units for one in here]
        expected = sum(rate_units(rate, units) for units in whole) if of.meter == "x" else 0
        assert month.nanos == sum(one.nanos or 0 for one in here) == expected
        assert month.currency == "EUR"


def test_a_plan_that_is_not_there() -> None:
    """Its usage is summed, and has no cost."""
    made = read_entry(plan("silver")).plan
    (day,) = _total([("a", "x", 0, 7)], made)
    assert (day.units, day.nanos, day.currency) == (7, None, "")
    (month,) = by_month([day])
    assert (month.units, month.nanos) == (7, None)


@pytest.mark.parametrize("day", [date(1970, 1, 1), date(2024, 2, 29), date(2262, 4, 11)])
def test_days_are_in_utc(day: date) -> None:
    """A day begins at midnight, and ends a nanosecond before the next one."""
    begin = begin_of(day)
    assert day_of(begin) == day_of(begin + _DAY - 1) == day
    assert day_of(begin + _DAY).toordinal() == day.toordinal() + 1
