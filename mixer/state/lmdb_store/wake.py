"""How one process tells another one on the same host to look into the store."""

import errno
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mixer.state.ports import Post

_PREFIX = "wake-"
_CHUNK = 65_536
_NOBODY = {errno.ENXIO, errno.ENOENT, errno.EPIPE}


class WakePipe:
    """A named pipe that this process reads.

    A byte in it says nothing but that there is something in the store: as many as are lost in a
    full pipe are told by those that are in it.

    Args:
        folder: Where the pipes are.
        worker: Whose it is.
    """

    def __init__(self, folder: Path, worker: int) -> None:
        self._folder = folder
        self._path = _path(folder, worker)
        os.mkfifo(self._path, 0o600)
        # For writing too: without a writer, reading would not wait.
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        self._thread: threading.Thread | None = None
        self._stopped = False

    def listen(self, post: Post, told: Callable[[], None]) -> None:
        """Have something called in the thread of the store's user whenever there is a byte."""
        self._thread = threading.Thread(
            target=self._read, args=(post, told), name="mixer-state-wake", daemon=True
        )
        self._thread.start()

    def _read(self, post: Post, told: Callable[[], None]) -> None:
        while os.read(self._descriptor, _CHUNK) and not self._stopped:
            with suppress(RuntimeError):  # a loop that has been closed
                post(told)

    def wake(self, worker: int) -> None:
        """Tell another process; one that is gone is told nothing."""
        try:
            other = os.open(_path(self._folder, worker), os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno in _NOBODY:
                return
            raise
        try:
            with suppress(BlockingIOError, BrokenPipeError):
                os.write(other, b"\n")
        finally:
            os.close(other)

    def close(self) -> None:
        """Read no more, and remove the pipe."""
        self._stopped = True
        if self._thread is not None:
            os.write(self._descriptor, b"\n")
            self._thread.join()
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def remove_dead(folder: Path) -> None:
    """Remove the pipes that nobody reads: their processes were killed."""
    for path in folder.glob(f"{_PREFIX}*"):
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        except OSError as error:
            if error.errno == errno.ENXIO:
                path.unlink(missing_ok=True)


def workers(folder: Path) -> set[int]:
    """Those that have a pipe."""
    return {int(path.name.removeprefix(_PREFIX)) for path in folder.glob(f"{_PREFIX}*")}


def _path(folder: Path, worker: int) -> Path:
    return folder / f"{_PREFIX}{worker}"
