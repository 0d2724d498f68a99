"""Another process that has a store open, and does there what a test asks."""

import os
import pickle
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from mixer.state import EnqueueResult, Notify, SetResult, StateLimits, Stores
from mixer.state.lmdb_store import lmdb_stores
from mixer.state.redis_store import RedisOptions, redis_stores

_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Place:
    """A store that several processes open.

    Attributes:
        folder: Of LMDB; or else
        options: Of Redis.
        limits: Of each ``vm_id``.
        map_size: Of LMDB.
    """

    folder: Path | None = None
    options: RedisOptions | None = None
    limits: StateLimits = field(default_factory=StateLimits)
    map_size: int = 64 << 20

    def open(self, post: Any) -> Stores:
        """Open it in this process."""
        if self.folder is not None:
            return lmdb_stores(self.folder, self.map_size, self.limits, post)
        assert self.options is not None
        return redis_stores(self.options, self.limits, post)


class Member:
    """A store that this process has open, and what it is told of."""

    def __init__(self, place: Place) -> None:
        self.posted: SimpleQueue[Any] = SimpleQueue()
        self.stores = place.open(self.posted.put)
        self.data, self.queues = self.stores.data, self.stores.queues
        self.seen: list[int] = []

    def register(self, vm_id: str, name: bytes) -> int | None:
        """Register a queue; what it tells goes to `seen`."""
        notify: Notify = self.seen.append
        return self.queues.register(vm_id, name, notify)

    def told(self, number: int, within: float = 30.0) -> list[int]:
        """Wait for so many notifications; all that there were."""
        with suppress(Empty):
            while len(self.seen) < number:
                self.posted.get(timeout=within)()
        return self.seen

    def told_by_now(self) -> list[int]:
        """All notifications that there were, without waiting for more."""
        while not self.posted.empty():
            self.posted.get()()
        return self.seen

    def count_up(self, vm_id: str, key: bytes, times: int) -> int:
        """Add 1 so often, by reading and comparing; how often somebody else was first."""
        mismatches = 0
        while times:
            found = self.data.get(vm_id, key)
            value, cas = (int(found.value), found.cas) if found else (0, 0)
            done = self.data.set(vm_id, key, b"%d" % (value + 1), cas) is SetResult.OK
            times, mismatches = times - done, mismatches + (not done)
        return mismatches

    def set_many(self, vm_id: str, keys: list[bytes]) -> int:
        """Set keys; how many were taken."""
        return sum(self.data.set(vm_id, key, key) is SetResult.OK for key in keys)

    def enqueue_many(self, queue: int, messages: list[bytes]) -> int:
        """Put messages in; how many were taken."""
        return sum(self.queues.enqueue(queue, one) is EnqueueResult.OK for one in messages)

    def take_all(self, queue: int) -> list[bytes]:
        """Take messages until there is none."""
        return list(iter(lambda: self.queues.dequeue(queue), None))

    def write_for_ever(self, queue: int) -> None:
        """Set, put in and take out, until the process is ended."""
        number = 0
        while True:
            number += 1
            self.data.set("vm", b"%d" % (number % 50), os.urandom(number % 9000))
            self.queues.enqueue(queue, os.urandom(number % 5000))
            if number % 3:
                self.queues.dequeue(queue)

    def read_for_ever(self) -> None:
        """Begin to read LMDB, and do not end."""
        self.reading = self.data._env.begin()  # type: ignore[attr-defined]

    def close(self) -> None:
        """Close the store."""
        self.stores.close()


class Peer:
    """A `Member` in another process.

    Args:
        place: What it opens.
    """

    def __init__(self, place: Place) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.state.peer"],
            cwd=_ROOT,
            env=os.environ | {"PYTHONPATH": str(_ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._send(place)
        assert self.answer() is None

    def _send(self, what: Any) -> None:
        assert self.process.stdin is not None
        pickle.dump(what, self.process.stdin)
        self.process.stdin.flush()

    def begin(self, method: str, *arguments: Any) -> None:
        """Have a method of `Member`, or of its data or queues, called there."""
        self._send((method, arguments))

    def answer(self) -> Any:
        """What it returned."""
        assert self.process.stdout is not None
        return pickle.load(self.process.stdout)

    def ask(self, method: str, *arguments: Any) -> Any:
        """Call a method there."""
        self.begin(method, *arguments)
        return self.answer()

    def kill(self) -> None:
        """End it with SIGKILL, whatever it does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_exc: object) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.kill()
        self.process.stdin.close()
        self.process.stdout.close()


def main() -> None:
    """Answer until the other end closes."""
    read, write = sys.stdin.buffer, sys.stdout.buffer
    member = Member(pickle.load(read))
    answer: Any = None
    while True:
        pickle.dump(answer, write)
        write.flush()
        method, arguments = pickle.load(read)
        target: Any = member
        for name in method.split("."):
            target = getattr(target, name)
        answer = target(*arguments)


if __name__ == "__main__":
    main()
