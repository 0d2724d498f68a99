"""Usage summed by subject, plan, meter and day, and what it costs.

A plan's volumes add up over its period, so that what a day costs is what the period costs up to its
end, less what it cost up to its beginning: the days of a period add up to it exactly, in whatever
order the records came. Where a volume tier makes earlier units cheaper, a day may cost less than
nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import NamedTuple

from mixer.state.ledger.entries import read_entry
from mixer.state.ledger.ports import Row
from mixer.state.ledger.rating import rate_units
from mixer.wire.ledger_pb2 import Period, Plan, Rate, UsageRecord

_NS_PER_DAY = 86_400 * 10**9
_EPOCH = date(1970, 1, 1)

Plans = Mapping[tuple[str, str], Plan]
"""By name and version."""


class Meter(NamedTuple):
    """What is summed apart from all else."""

    subject: str
    plan: str
    version: str
    meter: str


class Total(NamedTuple):
    """What was used of one meter on one day or in one month, in UTC.

    Attributes:
        of: Who, by which plan, and of what.
        first: The day, or the first one of the month.
        units: How many.
        nanos: Billionths of the currency; None where the plan is not in the ledger.
        currency: ISO 4217; empty where the plan is not in the ledger.
    """

    of: Meter
    first: date
    units: int
    nanos: int | None
    currency: str


def read_plans(rows: Iterable[Row]) -> Plans:
    """The plans of a ledger, by name and version."""
    found = dict[tuple[str, str], Plan]()
    for row in rows:
        plan = read_entry(row.entry).plan
        found.setdefault((plan.name, plan.version), plan)
    return found


def month_of(day: date) -> date:
    """The first day of its month."""
    return day.replace(day=1)


def day_of(time_ns: int) -> date:
    """The day in UTC of nanoseconds since 1970."""
    return _EPOCH + timedelta(days=time_ns // _NS_PER_DAY)


def begin_of(day: date) -> int:
    """When a day begins in UTC, in nanoseconds since 1970."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 10**9


class Totals:
    """Sums; keeps one number for each meter and day.

    Args:
        plans: By which usage is rated.
    """

    def __init__(self, plans: Plans) -> None:
        self._plans = plans
        self._units: defaultdict[Meter, defaultdict[date, int]] = defaultdict(
            lambda: defaultdict(int)
        )

    def add(self, usage: UsageRecord) -> None:
        """Count a record."""
        day = day_of(usage.time_unix_nano)
        for one in usage.quantities:
            of = Meter(usage.subject, usage.plan, usage.plan_version, one.meter)
            self._units[of][day] += one.units

    def days(self) -> Iterator[Total]:
        """A total for each day, by `Meter` and day."""
        for of in sorted(self._units):
            yield from self._days_of(of, sorted(self._units[of].items()))

    def _days_of(self, of: Meter, days: list[tuple[date, int]]) -> Iterator[Total]:
        plan = self._plans.get((of.plan, of.version))
        if plan is None:
            yield from (Total(of, day, units, None, "") for day, units in days)
            return
        rate = next((one for one in plan.rates if one.meter == of.meter), Rate())
        for _, period in groupby(days, key=lambda one: _period_of(plan, one[0])):
            used = cost = 0
            for day, units in period:
                used += units
                now = rate_units(rate, used)
                yield Total(of, day, units, now - cost, plan.currency)
                cost = now


def _period_of(plan: Plan, day: date) -> date:
    return day if plan.period == Period.DAY else month_of(day)


def by_month(days: Iterable[Total]) -> Iterator[Total]:
    """Add the days of each month up; they must be in order."""
    for (of, first), group in groupby(days, key=lambda one: (one.of, month_of(one.first))):
        some = list(group)
        rated = [one.nanos for one in some if one.nanos is not None]
        nanos = sum(rated) if len(rated) == len(some) else None
        yield Total(of, first, sum(one.units for one in some), nanos, some[0].currency)
