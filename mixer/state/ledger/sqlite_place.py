"""Whether a ledger in SQLite can be at a place, found without making anything there."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

_OTHER_FILE = "name another file, or one that is not there yet"
_RIGHT = "give it the right, or name a file elsewhere"

APPLICATION_ID = 0x4D78_4C31
VERSION = 2
"""What a file of Mixer's says of itself: whose it is, and how it is to be read."""


def obstacle(path: Path) -> str | None:
    """Say what keeps a ledger from being at a path, and what to do; None where nothing is seen.

    A database with a log that is not in it yet is not read: that would make files beside it.
    """
    try:
        return _around(path) or (_of_file(path) if path.exists() else None)
    except OSError as error:
        return unopened(error.strerror or str(error))


def unopened(reason: str) -> str:
    """Say of a place that it was refused for a reason that cannot be seen beforehand."""
    return (
        f"it cannot be made or opened: {reason}: name a file in a folder that this user can write"
    )


def _around(path: Path) -> str | None:
    folder = path.parent
    if not folder.exists():
        around = next(one for one in folder.parents if one.exists())
        if around.is_dir():
            return f"its folder {folder} does not exist: make it, or name a file elsewhere"
        folder = around
    if not folder.is_dir():
        return f"{folder} is no folder: name a file in a folder"
    if path.is_dir():
        return f"it is a folder: name a file in it, such as {path / 'usage.db'}"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"this user may not make files in its folder {folder}, as SQLite does: {_RIGHT}"
    return None


def _of_file(path: Path) -> str | None:
    if not path.is_file():
        return "it is no regular file: name another one"
    if not os.access(path, os.R_OK | os.W_OK):
        return f"this user may not read and write it: {_RIGHT}"
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and log.stat().st_size:
        return None
    return _of_content(path)


def _of_content(path: Path) -> str | None:
    # Immutable: SQLite makes no log and takes no lock.
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        try:
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            if tables:
                check_is_ledger(connection)
        except sqlite3.DatabaseError as error:
            return f"{_told(error)}: {_OTHER_FILE}"
    return None


def _told(error: sqlite3.DatabaseError) -> str:
    code = getattr(error, "sqlite_errorcode", None)  # what is raised here has none
    return "it is no SQLite database" if code == sqlite3.SQLITE_NOTADB else str(error)


def check_is_ledger(connection: sqlite3.Connection) -> None:
    """Raise sqlite3.DatabaseError where a file is no ledger that this version can read."""
    (found,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if found != APPLICATION_ID:
        raise sqlite3.DatabaseError("it is no ledger of Mixer")
    if version != VERSION:
        raise sqlite3.DatabaseError(f"its version is {version}, and this reads {VERSION}")
