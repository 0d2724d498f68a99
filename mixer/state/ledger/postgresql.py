"""A ledger in a PostgreSQL database, for many hosts."""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import psycopg

from mixer.state.ledger.chain import GENESIS, link
from mixer.state.ledger.ports import Appended, Head, LedgerUnavailableError, Record, Row
from mixer.state.ledger.reading import PagedReader
from mixer.state.ports import StoreError

_log = logging.getLogger(__name__)

_T = TypeVar("_T")
_Connection = psycopg.Connection[tuple[Any, ...]]

_LOCK = 0x4D78_4C31
"""Of the making of the tables, which two hosts must not do at once."""

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS mixer_ledger_entries ("
    "position bigint PRIMARY KEY, key bytea NOT NULL UNIQUE, time bigint,"
    " entry bytea NOT NULL, digest bytea NOT NULL)",
    "CREATE INDEX IF NOT EXISTS mixer_ledger_times ON mixer_ledger_entries (time, position)",
    "CREATE TABLE IF NOT EXISTS mixer_ledger_head ("
    "one integer PRIMARY KEY CHECK (one = 1), position bigint NOT NULL, digest bytea NOT NULL)",
    "INSERT INTO mixer_ledger_head VALUES (1, 0, decode(repeat('00', 32), 'hex'))"
    " ON CONFLICT DO NOTHING",
)
# A server that loses what it acknowledged is no ledger.
_DURABLE = (
    "SELECT set_config('synchronous_commit', 'on', false)"
    " WHERE current_setting('synchronous_commit') = 'off'"
)
_KNOWN = "SELECT key, entry FROM mixer_ledger_entries WHERE key = ANY(%s)"
_INSERT = (
    "INSERT INTO mixer_ledger_entries"
    " SELECT * FROM unnest(%s::bigint[], %s::bytea[], %s::bigint[], %s::bytea[], %s::bytea[])"
)
_UPDATE = "UPDATE mixer_ledger_head SET position = %s, digest = %s"
# The lock of this row is held until the commit: nobody else appends meanwhile, on whatever host.
_HEAD = "SELECT position, digest FROM mixer_ledger_head FOR UPDATE"


@dataclass(frozen=True, slots=True)
class PostgresqlOptions:
    """Where a database is.

    Attributes:
        dsn: A URL or a connection string of libpq; it may have a password in it.
        password: If there is none in the DSN.
        timeout: Seconds for a connection, and for each statement.
    """

    dsn: str = field(repr=False)
    password: str | None = field(default=None, repr=False)
    timeout: float = 10.0


class _Database:
    """One connection, made anew after each error."""

    def __init__(self, options: PostgresqlOptions) -> None:
        self._options = options
        self._connection: _Connection | None = None

    def run(self, work: Callable[[_Connection], _T]) -> _T:
        """Do something in a transaction of its own. Raises LedgerUnavailableError."""
        try:
            if self._connection is None:
                self._connection = self._connect()
            with self._connection.transaction():
                found = work(self._connection)
        except psycopg.Error as error:
            self.close()
            raise LedgerUnavailableError(f"PostgreSQL: {_reason(error)}") from None
        return found

    def _connect(self) -> _Connection:
        options = self._options
        milliseconds = round(options.timeout * 1000)
        connection = psycopg.connect(
            options.dsn,
            password=options.password,
            autocommit=True,
            connect_timeout=max(2, round(options.timeout)),
            application_name="mixer",
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
            tcp_user_timeout=milliseconds,
        )
        # Whoever waited for the head must see what was appended meanwhile, whatever is the default.
        connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        try:
            connection.execute(f"SET statement_timeout = {milliseconds}".encode())
            connection.execute(_DURABLE)
        except BaseException:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()


def _reason(error: psycopg.Error) -> str:
    """What went wrong, in one line; libpq tells host, user and database, and no password."""
    if isinstance(error, psycopg.ProgrammingError) and error.sqlstate is None:
        return "the DSN is malformed"  # which libpq would quote, with a password in it
    return " ".join(str(error).split()) or type(error).__name__


class PostgresqlLedger:
    """`mixer.state.ledger.Ledger` in a database; tables are made where they are not there.

    Args:
        options: Where.

    Raises:
        StoreError: It cannot be reached, or the tables not be made.
    """

    def __init__(self, options: PostgresqlOptions) -> None:
        self._database = _Database(options)
        try:
            self._database.run(_prepare)
        except LedgerUnavailableError as error:
            raise StoreError(str(error)) from None

    def head(self) -> Head:
        """See `mixer.state.ledger.Ledger`."""
        return self._database.run(_head)

    def append(self, records: Sequence[Record]) -> Appended:
        """See `mixer.state.ledger.Ledger`."""
        return self._database.run(lambda connection: _append(connection, records))

    def close(self) -> None:
        """See `mixer.state.ledger.Ledger`."""
        self._database.close()


def _prepare(connection: _Connection) -> None:
    found = connection.execute("SELECT to_regclass('mixer_ledger_head')::text").fetchone()
    if found == (None,):
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        for statement in _SCHEMA:
            connection.execute(statement.encode())
    if connection.execute("SHOW fsync").fetchone() == ("off",):
        _log.warning("PostgreSQL runs with fsync off: it loses records with the machine")


def _head(connection: _Connection) -> Head:
    row = connection.execute(_HEAD).fetchone()
    return GENESIS if row is None else Head(*row)


def _append(connection: _Connection, records: Sequence[Record]) -> Appended:
    head = _head(connection)
    keys = [record.key for record in records]
    known = connection.execute(_KNOWN, (keys,)).fetchall()
    rows, appended = link(head, {key: entry for key, entry in known}, records)  # noqa: C416
    if rows:
        connection.execute(_INSERT, _columns(rows))
        connection.execute(_UPDATE, appended.head)
    return appended


def _columns(rows: Sequence[Row]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


class PostgresqlReader(PagedReader):
    """`mixer.state.ledger.LedgerReader` of a database.

    Args:
        options: Where.

    Raises:
        StoreError: It cannot be reached, or there is no ledger in it.
    """

    def __init__(self, options: PostgresqlOptions) -> None:
        super().__init__("%s")
        self._database = _Database(options)
        try:
            self.head()
        except LedgerUnavailableError as error:
            self.close()
            raise StoreError(str(error)) from None

    def _fetch(self, sql: str, arguments: Sequence[Any]) -> list[tuple[Any, ...]]:
        return self._database.run(
            lambda connection: connection.execute(sql.encode(), arguments).fetchall()
        )

    def close(self) -> None:
        """See `mixer.state.ledger.LedgerReader`."""
        self._database.close()
