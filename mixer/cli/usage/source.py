"""Which ledger, and which of its records."""

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mixer.cli.failure import USAGE, fail

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mixer.config import LedgerSettings
    from mixer.state.ledger import LedgerReader, Row
    from mixer.wire.ledger_pb2 import UsageRecord

Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The service's configuration, whose spec.ledger is read."),
]
Sqlite = Annotated[
    Path | None, typer.Option("--sqlite", help="A ledger's file, instead of a configuration.")
]
Subject = Annotated[str | None, typer.Option(help="Of this tenant or consumer alone.")]
Plan = Annotated[str | None, typer.Option(help="By this plan alone: NAME, or NAME@VERSION.")]
MeterName = Annotated[str | None, typer.Option("--meter", help="Of this meter alone.")]
Since = Annotated[
    str | None,
    typer.Option("--from", help="From this day or time on: 2026-11-01, 2026-11-01T08:00:00Z."),
]
Until = Annotated[str | None, typer.Option("--to", help="Before this day or time, likewise.")]

END_OF_TIME = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records are wanted.

    Attributes:
        subject: None is any, as of the next three.
        plan: Name.
        version: Of the plan.
        meter: Name; others of a record are left out.
        since: Nanoseconds since 1970; the first one wanted.
        until: Likewise, the first one that is not.
    """

    subject: str | None = None
    plan: str | None = None
    version: str | None = None
    meter: str | None = None
    since: int = 0
    until: int = END_OF_TIME

    def usage(
        self, reader: "LedgerReader", since: int | None = None
    ) -> "Iterator[tuple[Row, UsageRecord]]":
        """The records, by time; from another time on where one is given."""
        from mixer.state.ledger import read_entry

        first = self.since if since is None else since
        for row in reader.usage(first, self.until):
            usage = read_entry(row.entry).usage
            if self._fits(usage):
                yield row, usage

    def _fits(self, usage: "UsageRecord") -> bool:
        return (
            self.subject in {None, usage.subject}
            and self.plan in {None, usage.plan}
            and self.version in {None, usage.plan_version}
            and (self.meter is None or any(q.meter == self.meter for q in usage.quantities))
        )


def wanted(
    subject: str | None,
    plan: str | None,
    meter: str | None,
    since: str | None,
    until: str | None,
) -> Wanted:
    """What the options say; ends the command where a time is none."""
    name, at, version = (plan or "").partition("@")
    return Wanted(
        subject,
        None if plan is None else name,
        version if at else None,
        meter,
        0 if since is None else _time("--from", since),
        END_OF_TIME if until is None else _time("--to", until),
    )


def _time(option: str, text: str) -> int:
    """A day begins, or a time is, in UTC unless it says otherwise."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{option}: must be a day or a time such as 2026-11-01T08:00:00Z, not {text!r}", USAGE)
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    whole = int(parsed.timestamp() // 1) * 10**9 + parsed.microsecond * 1000
    return max(0, min(whole, END_OF_TIME))


def utc(time_ns: int) -> str:
    """Nanoseconds since 1970 in RFC 3339, with all digits."""
    whole, rest = divmod(time_ns, 10**9)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def money(nanos: int) -> str:
    """Billionths as a decimal number, with two digits at least."""
    sign = "-" if nanos < 0 else ""
    whole, rest = divmod(abs(nanos), 10**9)
    digits = f"{rest:09d}".rstrip("0").ljust(2, "0")
    return f"{sign}{whole}.{digits}"


@contextmanager
def opened(config: Path | None, sqlite: Path | None) -> "Iterator[LedgerReader]":
    """The ledger, read while a service may write it; ends the command where there is none."""
    from mixer.engine.ledger import SQLITE_FIELD, open_ledger_reader
    from mixer.state import StoreError
    from mixer.state.ledger import LedgerUnavailableError

    try:
        reader = open_ledger_reader(_settings(config, sqlite))
    except StoreError as error:
        told = str(error) if sqlite is None else str(error).replace(SQLITE_FIELD, "--sqlite", 1)
        fail(f"mixer usage: {told}")
    try:
        yield reader
    except LedgerUnavailableError as error:
        fail(f"mixer usage: the ledger cannot be read: {error}")
    finally:
        reader.close()


def _settings(config: Path | None, sqlite: Path | None) -> "LedgerSettings":
    from mixer.cli.configuration import load_or_fail
    from mixer.config import LedgerSettings, SqliteStore

    if (config is None) == (sqlite is None):
        fail("mixer usage: give one of --config and --sqlite", USAGE)
    if sqlite is not None:
        return LedgerSettings(sqlite=SqliteStore(path=sqlite.absolute()))
    assert config is not None
    settings = load_or_fail(config).mixer.ledger
    if settings is None:
        fail(f"mixer usage: {config}: there is no spec.ledger in it")
    return settings
