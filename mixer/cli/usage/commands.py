"""``mixer usage`` and its subcommands."""

import sys
from contextlib import contextmanager
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from mixer.cli.failure import USAGE, fail
from mixer.cli.usage.source import (
    Config,
    MeterName,
    Plan,
    Since,
    Sqlite,
    Subject,
    Until,
    opened,
    wanted,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mixer.state.ledger import Head

usage = typer.Typer(
    name="usage",
    help="Read the ledger: records, sums with what they cost, exports, and whether it is whole. "
    "The service may write it meanwhile.",
    no_args_is_help=True,
)


class Format(StrEnum):
    """How records are exported."""

    CSV = "csv"
    JSONL = "jsonl"


class Per(StrEnum):
    """For how long units are summed."""

    DAY = "day"
    MONTH = "month"


@usage.command()
def query(
    config: Config = None,
    sqlite: Sqlite = None,
    subject: Subject = None,
    plan: Plan = None,
    meter: MeterName = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many records.")] = 100,
) -> None:
    """Show records, by time.

    Exit status: 0, or 1 if the ledger cannot be read, 2 if the command is wrong.

    Examples: `mixer usage query -c mixer.yaml --subject alice --from 2026-11-01`;
    `mixer usage query --sqlite usage.db --meter total_tokens --limit 10`
    """
    from mixer.cli.usage.progress import Progress
    from mixer.cli.usage.tables import print_records

    want = wanted(subject, plan, meter, since, until)
    with opened(config, sqlite) as reader:
        found = list(islice(Progress("records").counted(want.usage(reader)), limit + 1))
    print_records(found[:limit], meter)
    if len(found) > limit:
        print(f"there are more than {limit}: see --limit, or mixer usage export", file=sys.stderr)


@usage.command()
def sums(
    config: Config = None,
    sqlite: Sqlite = None,
    subject: Subject = None,
    plan: Plan = None,
    meter: MeterName = None,
    since: Since = None,
    until: Until = None,
    per: Annotated[Per, typer.Option(help="For how long units are summed, in UTC.")] = Per.DAY,
    csv: Annotated[bool, typer.Option("--csv", help="As CSV, for a spreadsheet.")] = False,
) -> None:
    """Sum units by subject, plan, meter and day or month, with what they cost.

    Costs are those of whole periods of a plan: what a subject used in the month before --from counts
    for its tiers. --from and --to take whole days here. A plan that is not in the ledger has no cost.

    Exit status: 0, or 1 if the ledger cannot be read, 2 if the command is wrong.

    Examples: `mixer usage sums -c mixer.yaml --from 2026-11-01 --to 2026-12-01`;
    `mixer usage sums --sqlite usage.db --subject alice --per month --csv`
    """  # noqa: E501
    from mixer.cli.usage.summing import sums_of
    from mixer.cli.usage.tables import print_totals

    want = wanted(subject, plan, meter, since, until)
    with opened(config, sqlite) as reader:
        totals = sums_of(reader, want, per_month=per is Per.MONTH)
        print_totals(totals, per_month=per is Per.MONTH, as_csv=csv)


@usage.command()
def export(
    config: Config = None,
    sqlite: Sqlite = None,
    subject: Subject = None,
    plan: Plan = None,
    meter: MeterName = None,
    since: Since = None,
    until: Until = None,
    form: Annotated[
        Format, typer.Option("--format", help="A line for each meter, or for each record.")
    ] = Format.CSV,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file; without it, standard output.")
    ] = None,
) -> None:
    """Write records as CSV or JSON Lines, by time, as they are read.

    In CSV, a text that a spreadsheet would take for a formula begins with an apostrophe.

    Exit status: 0, or 1 if the ledger cannot be read or the file not be written, 2 if the command
    is wrong.

    Examples: `mixer usage export -c mixer.yaml --from 2026-11-01 -o november.csv`;
    `mixer usage export --sqlite usage.db --format jsonl`
    """
    from mixer.cli.usage.formats import WRITERS
    from mixer.cli.usage.progress import Progress

    want = wanted(subject, plan, meter, since, until)
    with opened(config, sqlite) as reader, _to(output) as out:
        WRITERS[form](Progress("records").counted(want.usage(reader)), meter, out)


@contextmanager
def _to(output: Path | None) -> "Iterator[TextIO]":
    try:
        if output is None:
            yield sys.stdout
            return
        with output.open("w", encoding="utf-8", newline="") as file:
            yield file
    except BrokenPipeError:
        raise
    except OSError as error:
        fail(f"mixer usage: {output or 'standard output'}: {error.strerror}")


@usage.command()
def verify(
    config: Config = None,
    sqlite: Sqlite = None,
    head: Annotated[
        str | None,
        typer.Option(help="A head that was noted before, POSITION:DIGEST: it must be there yet."),
    ] = None,
) -> None:
    """Verify the chain of hashes, and show its head: note it where nobody can change it.

    Without a noted head, rows that were taken from the end, or a whole chain that was calculated
    anew, do not show.

    Exit status: 0 if the chain is whole, 1 if it is not or cannot be read, 2 if the command is
    wrong.

    Examples: `mixer usage verify -c mixer.yaml`; `mixer usage verify --sqlite usage.db --head
    1042:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08`
    """
    from mixer.cli.usage.progress import Progress
    from mixer.state.ledger.verification import BrokenChainError
    from mixer.state.ledger.verification import verify as verify_chain

    noted = _head(head)
    with opened(config, sqlite) as reader:
        try:
            found = verify_chain(reader, noted, Progress("rows").tell)
        except BrokenChainError as error:
            fail(f"broken: {error}")
    print(f"ok: {found.position:,} rows\nhead: {found}")


def _head(text: str | None) -> "Head | None":
    from mixer.state.ledger.verification import parse_head

    if text is None:
        return None
    try:
        return parse_head(text)
    except ValueError as error:
        fail(f"--head: {error}", USAGE)
