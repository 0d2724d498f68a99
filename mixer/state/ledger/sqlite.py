"""A ledger in a file of SQLite, for the processes of one host."""

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from mixer.state.ledger.chain import link, next_digest
from mixer.state.ledger.ports import Appended, Head, LedgerUnavailableError, Record
from mixer.state.ledger.reading import PagedReader
from mixer.state.ledger.sqlite_place import (
    APPLICATION_ID,
    VERSION,
    check_is_ledger,
    obstacle,
    unopened,
)
from mixer.state.ports import StoreError

_T = TypeVar("_T")
_Identity = tuple[int, int]

_LOCK_TIMEOUT_S = 10.0
_MOVED = (
    "it was removed or replaced while it was written: put back the file that was there, or start"
    " the service anew"
)

_NO_HEAD = "its head does not follow its rows: somebody changed its tables"

# Few sizes: each is a statement that is prepared once.
_ROWS_AT_ONCE = (1, 4, 16, 64, 128, 256, 512, 1024)
_KEYS_AT_ONCE = (1, 8, 64, 512)
_STATEMENTS = 32
_COLUMNS = 5

_SCHEMA = (
    """CREATE TABLE mixer_ledger_entries (
    position INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, time INTEGER,
    entry BLOB NOT NULL, digest BLOB NOT NULL) STRICT""",
    "CREATE INDEX mixer_ledger_times ON mixer_ledger_entries (time)",
    """CREATE TABLE mixer_ledger_head (
    one INTEGER PRIMARY KEY CHECK (one = 1), position INTEGER NOT NULL, digest BLOB NOT NULL)
    STRICT""",
    "INSERT INTO mixer_ledger_head VALUES (1, 0, zeroblob(32))",
    """CREATE TRIGGER mixer_ledger_follows AFTER INSERT ON mixer_ledger_entries BEGIN
    UPDATE mixer_ledger_head SET position = NEW.position, digest = NEW.digest; END""",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {VERSION}",
)


class SqliteLedger:
    """`mixer.state.ledger.Ledger` in a file with a write-ahead log.

    A commit is on the disk before it returns (``synchronous=FULL``). Each takes the write lock of
    the file, so that several processes may append to one chain.

    Each statement gives the interpreter's lock away and waits for it, which costs the thread that
    serves requests more than the commit itself. So a commit is one statement, which supposes that
    nobody else appended and that nothing is there already; where that is wrong it does nothing, and
    a transaction that looks first takes its place.

    Args:
        path: Made where it is not there; of this user alone. On a local disk.
        max_pages: Pages of 4 KiB that the file can grow to; None is as far as SQLite goes.

    Raises:
        StoreError: It cannot be opened, or is something else.
    """

    def __init__(self, path: Path, *, max_pages: int | None = None) -> None:
        self._path = path
        self._max_pages = max_pages
        self._connection: sqlite3.Connection | None = None
        self._file: _Identity | None = None
        self._log: _Identity | None = None
        self._head: Head | None = None
        try:
            self._connection = self._open()
        except sqlite3.Error as error:
            raise StoreError(f"{path}: {obstacle(path) or error}") from error
        except OSError as error:
            why = obstacle(path) or unopened(_reason(error))
            raise StoreError(f"{path}: {why}") from error

    def _open(self) -> sqlite3.Connection:
        if self._file is None:
            with suppress(FileExistsError):
                os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            self._file = _identity(self._path)
        elif self._file != _identity(self._path):
            raise sqlite3.OperationalError(_MOVED)
        connection = sqlite3.connect(
            self._path,
            timeout=_LOCK_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=_STATEMENTS,
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA journal_size_limit = 67108864")
            if self._max_pages is not None:
                connection.execute(f"PRAGMA max_page_count = {self._max_pages}")
            _prepare(connection)
            self._head = _head(connection)
            self._log = _identity(self._log_path)
        except BaseException:
            connection.close()
            raise
        return connection

    def head(self) -> Head:
        """See `mixer.state.ledger.Ledger`."""
        return self._guarded(_head)

    def append(self, records: Sequence[Record]) -> Appended:
        """See `mixer.state.ledger.Ledger`."""
        return self._guarded(lambda connection: self._append(connection, records))

    def _append(self, connection: sqlite3.Connection, records: Sequence[Record]) -> Appended:
        appended = self._append_blindly(connection, records) or _append(connection, records)
        self._head = appended.head
        found = _identity(self._path), _identity(self._log_path)
        if found != (self._file, self._log):  # what was written is in a file that has no name
            raise sqlite3.OperationalError(_MOVED)
        return appended

    def _append_blindly(
        self, connection: sqlite3.Connection, records: Sequence[Record]
    ) -> Appended | None:
        """Append without looking; None where something was there, and nothing was done."""
        if self._head is None or not 0 < len(records) <= _ROWS_AT_ONCE[-1]:
            return None
        position, digest = self._head
        rows: list[Any] = []
        for key, entry, time in records:
            position += 1
            digest = next_digest(digest, position, entry)
            rows += position, key, time, entry, digest
        try:
            done = _insert(connection, self._head.digest, rows)
        except sqlite3.IntegrityError:
            return None
        return Appended(Head(position, digest), len(records), 0, ()) if done else None

    @property
    def _log_path(self) -> Path:
        return self._path.with_name(f"{self._path.name}-wal")

    def _guarded(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Do something; after an error the file is opened anew."""
        try:
            if self._connection is None:
                self._connection = self._open()
            return work(self._connection)
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise LedgerUnavailableError(f"{self._path}: {_reason(error)}") from error

    def close(self) -> None:
        """See `mixer.state.ledger.Ledger`."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()


def _identity(path: Path) -> _Identity | None:
    """Which file it is, whatever its name; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def _prepare(connection: sqlite3.Connection) -> None:
    """Make the tables where there are none; another process may do so at the same time."""
    with _transaction(connection):
        (found,) = connection.execute("PRAGMA application_id").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if not found and not tables:
            for statement in _SCHEMA:
                connection.execute(statement)
    check_is_ledger(connection)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        raise


def _head(connection: sqlite3.Connection) -> Head:
    row = connection.execute("SELECT position, digest FROM mixer_ledger_head").fetchone()
    if row is None:
        raise sqlite3.DatabaseError(_NO_HEAD)
    return Head(*row)


def _append(connection: sqlite3.Connection, records: Sequence[Record]) -> Appended:
    with _transaction(connection):
        known = _known(connection, [record.key for record in records])
        head = _head(connection)
        rows, appended = link(head, known, records)
        most, before = _ROWS_AT_ONCE[-1], head.digest
        for start in range(0, len(rows), most):
            some = rows[start : start + most]
            if not _insert(connection, before, list(chain.from_iterable(some))):
                raise sqlite3.DatabaseError(_NO_HEAD)
            before = some[-1].digest
    return appended


def _known(connection: sqlite3.Connection, keys: list[bytes]) -> dict[bytes, bytes]:
    found = dict[bytes, bytes]()
    most = _KEYS_AT_ONCE[-1]
    for start in range(0, len(keys), most):
        some = keys[start : start + most]
        size = next(one for one in _KEYS_AT_ONCE if one >= len(some))
        some += some[-1:] * (size - len(some))  # the same key again finds nothing more
        marks = ",".join("?" * size)
        sql = f"SELECT key, entry FROM mixer_ledger_entries WHERE key IN ({marks})"  # noqa: S608
        found.update(connection.execute(sql, some).fetchall())
    return found


def _insert(connection: sqlite3.Connection, before: bytes, rows: list[Any]) -> bool:
    """Insert rows behind the one with a digest; False where that one is not the last.

    Args:
        connection: To the file.
        before: The digest.
        rows: The columns of each, one after the other.
    """
    count = len(rows) // _COLUMNS
    size = next(one for one in _ROWS_AT_ONCE if one >= count)
    values = [*rows, *[None] * (_COLUMNS * (size - count)), before]
    # Not `execute`, which would wait for the interpreter's lock once more, to keep the last rowid.
    return connection.executemany(_insertion(size), [values]).rowcount == count


@cache
def _insertion(size: int) -> str:
    """Inserts so many rows; those without a position are none."""
    marks = ",".join(["(?,?,?,?,?)"] * size)
    return (
        f"INSERT INTO mixer_ledger_entries SELECT * FROM (VALUES {marks})"  # noqa: S608 - marks
        " WHERE column1 IS NOT NULL AND (SELECT digest FROM mixer_ledger_head) = ?"
    )


class SqliteReader(PagedReader):
    """`mixer.state.ledger.LedgerReader` of a file that may be written meanwhile.

    Args:
        path: Of the file.

    Raises:
        StoreError: It cannot be opened, or is something else.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise StoreError(f"{path}: there is no such file")
        uri = f"{path.absolute().as_uri()}?mode=ro"
        connection = sqlite3.connect(uri, uri=True, timeout=_LOCK_TIMEOUT_S, isolation_level=None)
        try:
            check_is_ledger(connection)
        except sqlite3.Error as error:
            connection.close()
            raise StoreError(f"{path}: {error}") from error
        super().__init__("?")
        self._path = path
        self._connection = connection

    def _fetch(self, sql: str, arguments: Sequence[Any]) -> list[tuple[Any, ...]]:
        try:
            with closing(self._connection.execute(sql, arguments)) as cursor:
                return cursor.fetchall()
        except sqlite3.Error as error:
            raise LedgerUnavailableError(f"{self._path}: {error}") from error

    def close(self) -> None:
        """See `mixer.state.ledger.LedgerReader`."""
        self._connection.close()
