"""Places where a ledger in SQLite cannot be: what is said of them, before and at the start."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from mixer.state import StoreError
from mixer.state.ledger.sqlite import SqliteLedger
from mixer.state.ledger.sqlite_place import obstacle
from tests.support.ledger_entries import records


def _in_no_folder(folder: Path) -> Path:
    return folder / "none" / "usage.db"


def _in_a_file(folder: Path) -> Path:
    (folder / "file").write_text("")
    return folder / "file" / "usage.db"


def _a_folder(folder: Path) -> Path:
    (folder / "up").mkdir()
    return folder / "up"


def _a_pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def _a_text(folder: Path) -> Path:
    (folder / "notes.txt").write_text("buy milk, and then bread" * 100)
    return folder / "notes.txt"


def _execute(file: Path, statement: str) -> Path:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(statement)
    return file


def _of_others(folder: Path) -> Path:
    return _execute(folder / "others.db", "CREATE TABLE theirs (one)")


def _of_another_version(folder: Path) -> Path:
    SqliteLedger(folder / "old.db").close()
    return _execute(folder / "old.db", "PRAGMA user_version = 1")


Make = Callable[[Path], Path]


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (_in_no_folder, "its folder {folder}/none does not exist: make it"),
        (_in_a_file, "{folder}/file is no folder: name a file in a folder"),
        (_a_folder, "it is a folder: name a file in it, such as {folder}/up/usage.db"),
        (_a_pipe, "it is no regular file: name another one"),
        (_a_text, "it is no SQLite database: name another file"),
        (_of_others, "it is no ledger of Mixer: name another file"),
        (_of_another_version, "its version is 1, and this reads 2: name another file"),
    ],
)
def test_a_place_that_cannot_be_one(tmp_path: Path, make: Make, why: str) -> None:
    """What is wrong and what to do is said of the place, and by who opens it; nothing is made."""
    path = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    told = obstacle(path)
    assert told is not None
    assert told.startswith(why.format(folder=tmp_path))
    assert sorted(tmp_path.rglob("*")) == before
    with pytest.raises(StoreError) as raised:
        SqliteLedger(path)
    assert str(raised.value) == f"{path}: {told}"


@pytest.mark.parametrize(
    ("forbidden", "why"),
    [
        ("usage.db", "this user may not read and write it: give it the right"),
        ("", "this user may not make files in its folder {folder}, as SQLite does: give it the"),
    ],
)
def test_a_place_that_is_forbidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forbidden: str, why: str
) -> None:
    """The file and its folder must be writable; the tests may run as root, who may do all."""
    SqliteLedger(tmp_path / "usage.db").close()
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path) != tmp_path / forbidden)
    told = obstacle(tmp_path / "usage.db")
    assert told is not None
    assert told.startswith(why.format(folder=tmp_path))


def test_what_no_look_shows() -> None:
    """Where the system refuses for a reason of its own, it is told with what to do."""
    with pytest.raises(
        StoreError, match=r"usage\.db: it cannot be made or opened: .*: name a file"
    ):
        SqliteLedger(Path("/proc/usage.db"))


def test_a_place_that_can_be_one(tmp_path: Path) -> None:
    """A file that is not there yet, an empty one, and a ledger, also while it is written."""
    path = tmp_path / "usage.db"
    assert obstacle(path) is None
    assert not path.exists()
    path.touch()
    assert obstacle(path) is None
    ledger = SqliteLedger(path)
    ledger.append(records("a"))
    there = sorted(tmp_path.iterdir())
    assert obstacle(path) is None
    assert sorted(tmp_path.iterdir()) == there
    ledger.close()
    assert obstacle(path) is None
    assert [*tmp_path.iterdir()] == [path]
