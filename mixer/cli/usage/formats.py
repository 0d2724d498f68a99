"""Records as lines of CSV or JSON, one at a time."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from typing import TYPE_CHECKING, TextIO

from mixer.cli.usage.source import money, utc

if TYPE_CHECKING:
    from mixer.state.ledger import Row
    from mixer.state.ledger.totals import Total
    from mixer.wire.ledger_pb2 import UsageRecord

    Found = Iterable[tuple[Row, UsageRecord]]

COLUMNS = (
    "position", "time", "subject", "plan", "plan_version", "meter", "units", "idempotency_key",
    "labels", "digest",
)  # fmt: skip
TOTAL_COLUMNS = ("subject", "plan", "plan_version", "meter", "from", "units", "cost", "currency")

# What a spreadsheet takes for a formula, or for the beginning of another cell or line.
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")


def safe_cell(text: str) -> str:
    """A text as a cell that no spreadsheet runs: one that looks like a formula gets an apostrophe.

    Source: OWASP's "CSV Injection".
    """
    return f"'{text}" if text.startswith(_FORMULAS) else text


def write_csv(found: "Found", meter: str | None, out: TextIO) -> None:
    """A line for each meter of each record, below a line of names."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row, usage in found:
        for one in usage.quantities:
            if meter in {None, one.meter}:
                labels = json.dumps(dict(sorted(usage.labels.items()))) if usage.labels else ""
                texts = (usage.subject, usage.plan, usage.plan_version, one.meter)
                writer.writerow((
                    row.position, utc(usage.time_unix_nano), *map(safe_cell, texts), one.units,
                    safe_cell(usage.idempotency_key), safe_cell(labels), row.digest.hex(),
                ))  # fmt: skip


def write_jsonl(found: "Found", meter: str | None, out: TextIO) -> None:
    """A line for each record."""
    for row, usage in found:
        quantities = {q.meter: q.units for q in usage.quantities if meter in {None, q.meter}}
        told = {
            "position": row.position,
            "time": utc(usage.time_unix_nano),
            "subject": usage.subject,
            "plan": usage.plan,
            "plan_version": usage.plan_version,
            "quantities": quantities,
            "idempotency_key": usage.idempotency_key,
            "labels": dict(sorted(usage.labels.items())),
            "digest": row.digest.hex(),
        }
        out.write(json.dumps(told) + "\n")


WRITERS: dict[str, Callable[["Found", str | None, TextIO], None]] = {
    "csv": write_csv,
    "jsonl": write_jsonl,
}


def total_texts(total: "Total", shown: Callable[[date], str]) -> Iterator[str]:
    """The columns of a total."""
    of = total.of
    yield from (of.subject, of.plan, of.version, of.meter, shown(total.first), str(total.units))
    yield from ("", "") if total.nanos is None else (money(total.nanos), total.currency)
