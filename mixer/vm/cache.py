"""Compiled modules on disk.

wasmtime trusts what it deserializes: a damaged file would be executed. Every entry therefore
carries a SHA-256 of its content, and the folder must belong to the user alone, since whoever can
write there can run code in the service.
"""

import hashlib
import logging
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

_log = logging.getLogger(__name__)

_FORMAT = 2
_MAGIC = b"mixer-compiled-%d\n" % _FORMAT
_DIGEST_BYTES = 32
MAX_CACHE_BYTES = 2 << 30
"""Past this many bytes, the entries that were not used for longest are removed."""


class CompileCache:
    """A folder of compiled modules, shared safely by any number of processes.

    Entries appear by an atomic rename, so that a reader sees a whole file or none. Nothing here
    raises for a folder that cannot be used: the service then compiles each time, and says so once.

    Args:
        directory: Created with mode 0700 where it does not exist.
        max_bytes: Bound on the sum of the entries.
    """

    def __init__(self, directory: Path, max_bytes: int = MAX_CACHE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._directory = directory if self._usable(directory) else None

    @staticmethod
    def _usable(directory: Path) -> bool:
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = directory.stat()
        except OSError as error:
            _log.warning("compile cache %s: %s; modules are compiled at each start",
                         directory, error.strerror)  # fmt: skip
            return False
        if status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            _log.warning("compile cache %s: others can write there, so it is not used "
                         "(chmod 700, and own it)", directory)  # fmt: skip
            return False
        return True

    def load(self, key: str) -> bytes | None:
        """Return the entry, or None where there is none or it is damaged (it is then removed)."""
        if self._directory is None:
            return None
        path = self._path(key)
        try:
            entry = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            _log.warning("compile cache %s: %s", path, error.strerror)
            return None
        payload = _unseal(key, entry)
        if payload is None:
            _log.warning("compile cache %s: the entry is damaged; compiling anew", path)
            with suppress(OSError):  # on a read-only disk it stays, and is never used
                path.unlink(missing_ok=True)
        else:
            self._mark_used(path)
        return payload

    def store(self, key: str, payload: bytes) -> None:
        """Keep an entry; a full disk or a lost folder costs only the entry."""
        if self._directory is None:
            return
        try:
            self._write(self._directory, key, payload)
            self._prune()
        except OSError as error:
            _log.warning("compile cache %s: %s", self._directory, error.strerror)

    def _write(self, directory: Path, key: str, payload: bytes) -> None:
        number, name = tempfile.mkstemp(dir=directory, prefix=".new-")
        temporary = Path(name)
        try:
            with os.fdopen(number, "wb") as file:
                file.write(_seal(key, payload))
            temporary.replace(self._path(key))
        finally:
            temporary.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        assert self._directory is not None
        return self._directory / f"{key}.{_FORMAT}.cwasm"

    @staticmethod
    def _mark_used(path: Path) -> None:
        try:
            os.utime(path)
        except OSError as error:  # another process removed it, or the disk is read-only
            _log.debug("compile cache %s: %s", path, error.strerror)

    def _prune(self) -> None:
        assert self._directory is not None
        entries = []
        for path in self._directory.iterdir():
            try:
                status = path.stat()
            except FileNotFoundError:  # another process prunes too
                continue
            entries.append((status.st_mtime, status.st_size, path))
        excess = sum(size for _, size, _ in entries) - self._max_bytes
        for _, size, path in sorted(entries):
            if excess <= 0:
                break
            path.unlink(missing_ok=True)
            excess -= size


def _seal(key: str, payload: bytes) -> bytes:
    return _MAGIC + _digest(key, payload) + payload


def _digest(key: str, payload: bytes) -> bytes:
    """The key is part of it, so that an entry under another's name is as good as damaged."""
    digest = hashlib.sha256(key.encode() + b"\0")
    digest.update(payload)
    return digest.digest()


def _unseal(key: str, entry: bytes) -> bytes | None:
    start = len(_MAGIC) + _DIGEST_BYTES
    payload = entry[start:]
    if entry[:start] != _MAGIC + _digest(key, payload):
        return None
    return payload
