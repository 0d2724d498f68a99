"""Records and sums for people."""

import csv
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from mixer.cli.mixer_v1.syntax import printable
from mixer.cli.mixer_v1.tables import show
from mixer.cli.usage.formats import TOTAL_COLUMNS, safe_cell, total_texts
from mixer.cli.usage.source import utc

if TYPE_CHECKING:
    from mixer.state.ledger import Row
    from mixer.state.ledger.totals import Total
    from mixer.wire.ledger_pb2 import UsageRecord

_UNITS_COLUMN = "units"


def print_records(found: "Sequence[tuple[Row, UsageRecord]]", meter: str | None) -> None:
    """A line for each record."""
    table = _table(("position", "time", "subject", "plan", "quantities", "key"))
    for row, usage in found:
        units = (f"{q.meter}={q.units}" for q in usage.quantities if meter in {None, q.meter})
        plan = f"{usage.plan}@{usage.plan_version}" if usage.plan else ""
        texts = (utc(usage.time_unix_nano), usage.subject, plan, " ".join(units))
        _add(table, (str(row.position), *texts, usage.idempotency_key))
    show([table])


def print_totals(totals: "Iterable[Total]", *, per_month: bool, as_csv: bool) -> None:
    """A line for each total."""
    shown: Callable[[date], str] = (lambda day: f"{day:%Y-%m}") if per_month else date.isoformat
    columns = (*TOTAL_COLUMNS[:4], "month" if per_month else "day", *TOTAL_COLUMNS[5:])
    if as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        for one in totals:
            writer.writerow(_cells(list(total_texts(one, shown))))
        return
    table = _table(columns)
    for one in totals:
        _add(table, list(total_texts(one, shown)))
    show([table])


def _cells(texts: list[str]) -> list[str]:
    """Names made safe; dates and numbers are, and a cost may be negative."""
    return [*map(safe_cell, texts[:4]), *texts[4:]]


def _table(columns: Iterable[str]) -> Table:
    table = Table(box=None, pad_edge=False)
    for one in columns:
        right = one in {_UNITS_COLUMN, "cost", "position"}
        table.add_column(one, justify="right" if right else "left", no_wrap=True)
    return table


def _add(table: Table, texts: Iterable[str]) -> None:
    table.add_row(*(Text(printable(text)) for text in texts))
