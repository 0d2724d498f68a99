"""A file of a ledger that is moved, removed or replaced while it is written."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from mixer.state.ledger import LedgerUnavailableError
from mixer.state.ledger.sqlite import SqliteLedger, SqliteReader
from mixer.state.ledger.verification import verify
from tests.support.ledger_entries import records

_MOVED = "removed or replaced while it was written"


def _keys(file: Path) -> list[bytes]:
    reader = SqliteReader(file)
    verify(reader)
    keys = [row.key for row in reader.rows()]
    reader.close()
    return keys


def _replace(file: Path) -> None:
    other = SqliteLedger(file.with_name("other.db"))
    other.append(records("x"))
    other.close()
    file.with_name("other.db").rename(file)


def _remove_log(file: Path) -> None:
    file.with_name(f"{file.name}-wal").unlink()


@pytest.mark.parametrize("harm", [Path.unlink, _replace, _remove_log])
def test_what_is_in_no_file_is_not_acknowledged(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    """What was written would be gone with the process: the service must not answer that it is."""
    ledger = SqliteLedger(tmp_path / "usage.db")
    ledger.append(records("a"))
    harm(tmp_path / "usage.db")
    with pytest.raises(LedgerUnavailableError, match=_MOVED):
        ledger.append(records("b"))
    ledger.close()


@pytest.mark.parametrize("harm", [Path.unlink, _replace])
def test_no_other_file_is_written(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    """A chain that begins anew would hide that one is lost; one of others is theirs."""
    file = tmp_path / "usage.db"
    ledger = SqliteLedger(file)
    ledger.append(records("a"))
    harm(file)
    there = file.read_bytes() if file.exists() else None
    for _ in range(3):
        with pytest.raises(LedgerUnavailableError, match=_MOVED):
            ledger.append(records("b"))
    ledger.close()
    assert (file.read_bytes() if file.exists() else None) == there


def test_a_file_that_comes_back(tmp_path: Path) -> None:
    """Moved away and back it is written again, with all that it had."""
    file, away = tmp_path / "usage.db", tmp_path / "away.db"
    ledger = SqliteLedger(file)
    ledger.append(records("a"))
    file.rename(away)
    with pytest.raises(LedgerUnavailableError, match=_MOVED):
        ledger.append(records("b"))
    away.rename(file)
    ledger.append(records("b", "c"))
    ledger.close()
    assert _keys(file) == [b"ua", b"ub", b"uc"]


def test_a_log_that_was_removed(tmp_path: Path) -> None:
    """What was acknowledged before is there, since the file is closed in good order."""
    file = tmp_path / "usage.db"
    ledger = SqliteLedger(file)
    ledger.append(records("a"))
    _remove_log(file)
    with pytest.raises(LedgerUnavailableError, match=_MOVED):
        ledger.append(records("b"))
    ledger.append(records("b", "c"))
    ledger.close()
    assert _keys(file) == [b"ua", b"ub", b"uc"]


@pytest.mark.parametrize(
    "harm", ["DELETE FROM mixer_ledger_head", "DROP TRIGGER mixer_ledger_follows"]
)
def test_what_is_not_written_is_not_acknowledged(tmp_path: Path, harm: str) -> None:
    """A file without the head, or whose head follows no rows, takes none that is not there then."""
    file = tmp_path / "usage.db"
    ledger = SqliteLedger(file)
    ledger.append(records("a"))
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute(harm)
        with pytest.raises(LedgerUnavailableError, match=r"usage\.db: .* head"):
            ledger.append(records(*map(str, range(2000))))
        assert other.execute("SELECT key FROM mixer_ledger_entries").fetchall() == [(b"ua",)]
    ledger.close()
