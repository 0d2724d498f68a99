"""Every kind of ledger."""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mixer.state.ledger import Ledger, LedgerReader
from mixer.state.ledger.postgresql import PostgresqlLedger, PostgresqlOptions, PostgresqlReader
from mixer.state.ledger.sqlite import SqliteLedger, SqliteReader
from tests.support.postgresql_server import PostgresqlServer


@dataclass(frozen=True)
class Place:
    """Where a ledger is kept.

    Attributes:
        writer: Opens it for appending.
        reader: Opens it for reading.
        execute: Does to it what nobody should, in SQL.
        zeros: A digest of zeros, in SQL.
        arguments: By which another process opens it.
    """

    writer: Callable[[], Ledger]
    reader: Callable[[], LedgerReader]
    execute: Callable[[str], None]
    zeros: str
    arguments: tuple[str, str]


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    """A server that all tests share."""
    with PostgresqlServer() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty ledger of each kind."""
    if request.param == "sqlite":
        return sqlite_place(tmp_path / "usage.db")
    return postgresql_place(request.getfixturevalue("postgresql"))


def sqlite_place(file: Path) -> Place:
    def execute(statement: str) -> None:
        with sqlite3.connect(file) as connection:
            connection.execute(statement)
        connection.close()

    return Place(
        lambda: SqliteLedger(file),
        lambda: SqliteReader(file),
        execute,
        f"x'{'00' * 32}'",
        ("sqlite", str(file)),
    )


def postgresql_place(server: PostgresqlServer) -> Place:
    server.execute("DROP TABLE IF EXISTS mixer_ledger_entries, mixer_ledger_head")
    options = PostgresqlOptions(server.dsn)
    return Place(
        lambda: PostgresqlLedger(options),
        lambda: PostgresqlReader(options),
        server.execute,
        f"'\\x{'00' * 32}'",
        ("postgresql", server.dsn),
    )
