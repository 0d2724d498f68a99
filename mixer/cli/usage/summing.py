"""The sums of a ledger, for as much of it as is wanted."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta

from mixer.cli.usage.progress import Progress
from mixer.cli.usage.source import END_OF_TIME, Wanted
from mixer.state.ledger import LedgerReader, Row
from mixer.state.ledger.totals import (
    Total,
    Totals,
    begin_of,
    by_month,
    day_of,
    month_of,
    read_plans,
)
from mixer.wire.ledger_pb2 import UsageRecord


def sums_of(reader: LedgerReader, want: Wanted, *, per_month: bool) -> Iterable[Total]:
    """Sum what is wanted; what is rated with it is read as well, and not told.

    Args:
        reader: Of the ledger.
        want: Whole days count.
        per_month: Whether months are told, else days.
    """
    totals = Totals(read_plans(reader.plans()))
    first = day_of(want.since)
    for _, usage in Progress("records").counted(_whole_days(reader, want)):
        totals.add(usage)
    days = (
        one for one in totals.days() if one.first >= first and want.meter in {None, one.of.meter}
    )
    return by_month(days) if per_month else days


def _whole_days(reader: LedgerReader, want: Wanted) -> Iterator[tuple[Row, UsageRecord]]:
    until = want.until
    if until != END_OF_TIME and until > begin_of(day_of(until)):
        until = min(begin_of(day_of(until) + timedelta(days=1)), END_OF_TIME)
    return replace(want, until=until).usage(reader, begin_of(month_of(day_of(want.since))))
