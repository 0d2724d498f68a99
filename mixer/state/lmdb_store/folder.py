"""The folder of a store: whose it is, and what it was written by."""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mixer.state.ports import StoreError

FORMAT = "mixer-state 1"
"""Changes with the layout of the records."""

_MARKER = "format"
_DATA = "data.mdb"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@contextmanager
def opening(folder: Path) -> Iterator[None]:
    """Make or check a folder, and keep other processes from opening it meanwhile.

    Raises:
        StoreError: It cannot be made, is not this user's alone, or holds something else.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_owner(folder)
        descriptor = os.open(folder / "opening.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"{folder}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        _check_format(folder)
        yield
    finally:
        os.close(descriptor)


def _check_owner(folder: Path) -> None:
    status = folder.stat()
    if status.st_uid != os.geteuid():
        raise StoreError(f"{folder}: belongs to another user (id {status.st_uid})")
    if mode := stat.S_IMODE(status.st_mode) & 0o077:
        raise StoreError(
            f"{folder}: other users have permissions in it ({mode:03o}): chmod 700 {folder}"
        )


def _check_format(folder: Path) -> None:
    """Start anew after a restart of the machine: what was not on the disk then may be torn."""
    wanted = f"{FORMAT}\n{_boot_id()}\n"
    try:
        found = (folder / _MARKER).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        if (folder / _DATA).exists():
            raise StoreError(f"{folder}: has a {_DATA} that this service did not write") from None
        found = FORMAT
    written = found.partition("\n")[0]
    if written != FORMAT:
        raise StoreError(
            f"{folder}: was written in the format {written[:40]!r}, and this version reads "
            f"{FORMAT!r}; stop every process that uses it, and remove the folder"
        )
    if found != wanted:
        _remove_contents(folder)
        (folder / _MARKER).write_text(wanted, encoding="utf-8")


def _remove_contents(folder: Path) -> None:
    for path in (folder / _DATA, folder / "lock.mdb", *folder.glob("wake-*")):
        path.unlink(missing_ok=True)


def _boot_id() -> str:
    return _BOOT_ID.read_text(encoding="ascii").strip() if _BOOT_ID.exists() else ""
