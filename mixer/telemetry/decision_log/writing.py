"""Entries on their way to where they are written: a bounded queue and a thread for each place."""

import json
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TextIO

from mixer.telemetry.decision_log.entry import Entry

_log = logging.getLogger(__name__)

Write = Callable[[Sequence[Entry]], None]
"""Writes entries, in the thread that is for it; raises OSError, or whatever it cannot."""

_AT_ONCE = 512
_LINGER_S = 0.1
_LAST_S = 2.0


class Writer:
    """Has entries written while it is entered; whoever brings them never waits.

    Args:
        where: How the log names the place.
        kind: ``file``, ``otlp`` or ``stdout``.
        write: Writes.
        most: Entries that may wait; what is more is dropped.

    Attributes:
        kind: As given.
        written: Entries.
        dropped: Entries that found no room, and those that could not be written.
    """

    def __init__(self, where: str, kind: str, write: Write, most: int) -> None:
        self._where = where
        self.kind = kind
        self._write = write
        self._most = most
        self._waiting: deque[Entry] = deque()
        self._wake = threading.Event()
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, name="decision log", daemon=True)
        self._is_down = False
        self.written = self.dropped = 0

    def take(self, entry: Entry) -> None:
        """Take an entry, unless there is no room."""
        if len(self._waiting) >= self._most:
            self.dropped += 1
            return
        self._waiting.append(entry)
        if not self._wake.is_set():
            self._wake.set()

    def __enter__(self) -> "Writer":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Have what waits written, if that takes no longer than a moment."""
        self._ends.set()
        self._wake.set()
        self._thread.join(_LAST_S)
        if self._waiting:
            _log.warning("%s: %d decisions were not written", self._where, len(self._waiting))

    def _run(self) -> None:
        while not (self._ends.is_set() and not self._waiting):
            self._wake.wait()
            self._ends.wait(_LINGER_S)  # more may come meanwhile, and is written with it
            self._wake.clear()
            while self._waiting:
                self._write_some()

    def _write_some(self) -> None:
        some = [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]
        try:
            self._write(some)
        except Exception as error:  # whatever it is, the service goes on
            self.dropped += len(some)
            self._tell(error)
        else:
            self.written += len(some)
            self._tell(None)

    def _tell(self, error: Exception | None) -> None:
        """One line for each outage."""
        if error is not None and not self._is_down:
            _log.warning("%s takes no decisions: %s", self._where, _reason(error))
        elif error is None and self._is_down:
            _log.info("%s takes decisions again", self._where)
        self._is_down = error is not None


def _reason(error: Exception) -> str:
    """Without the number and the path that the system's errors have."""
    return (isinstance(error, OSError) and error.strerror) or str(error)


def lines_of(entries: Sequence[Entry]) -> str:
    """Entries as lines of JSON."""
    return "".join(json.dumps(one, separators=(",", ":")) + "\n" for one in entries)


def to_stream(stream: TextIO) -> Write:
    """Write lines of JSON to a stream."""

    def write(entries: Sequence[Entry]) -> None:
        stream.write(lines_of(entries))
        stream.flush()

    return write


def to_file(path: Path) -> Write:
    """Append lines of JSON to a file, which is opened anew each time: it may be rotated.

    One that is made is for this user alone. After a line that was cut short, as by a full disk, the
    next one begins on a line of its own.
    """
    cut_short = False

    def write(entries: Sequence[Entry]) -> None:
        nonlocal cut_short
        with open(path, "a", encoding="utf-8", opener=_private) as file:
            began, cut_short = ("\n" if cut_short else ""), True
            file.write(began + lines_of(entries))
        cut_short = False

    return write


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
