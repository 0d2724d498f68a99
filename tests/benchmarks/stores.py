"""Time of each store's operations, as the caller waits for them."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mixer.state import StateLimits, Stores, memory_stores
from mixer.state.lmdb_store import lmdb_stores
from mixer.state.redis_store import RedisOptions, redis_stores
from tests.support.redis_server import RedisServer, installed

OPERATIONS = ("get", "set", "enqueue", "dequeue")

_ROUNDS = 5
_LIMITS = StateLimits(max_queue_length=1_000_000)
_KEYS = [b"key-%02d" % number for number in range(64)]
_VALUE = bytes(100)

Figures = dict[str, float]


def measure(calls: int) -> list[tuple[str, Figures]]:
    """The best microseconds of each operation in several rounds, by store; memory is the first.

    Args:
        calls: In each round; a tenth of them of a store outside of the process.
    """
    with _opened() as stores:
        fewer = max(1, calls // 10)
        return [
            (name, _figures(one, calls if name.startswith("memory") else fewer))
            for name, one in stores.items()
        ]


@contextmanager
def _opened() -> Iterator[dict[str, Stores]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mixer-bench-")))
        expiring = StateLimits(max_queue_length=1_000_000, ttl=3600.0)
        stores = {
            "memory": memory_stores(_LIMITS),
            "memory, with a ttl": memory_stores(expiring),
            "LMDB": lmdb_stores(folder / "state", 1 << 30, _LIMITS, _ignore),
        }
        if installed():
            server = stack.enter_context(RedisServer(folder))
            stores["Redis, Unix socket"] = redis_stores(
                RedisOptions(server.url, timeout=10.0), _LIMITS, _ignore
            )
        for one in stores.values():
            stack.callback(one.close)
        yield stores


def _ignore(_call: Callable[[], None]) -> None:
    """Nothing comes from another process."""


def _figures(stores: Stores, calls: int) -> Figures:
    queue = stores.queues.register("vm", b"queue", lambda _queue: None)
    assert queue is not None
    do: dict[str, Callable[[int], object]] = {
        "set": lambda n: stores.data.set("vm", _KEYS[n % 64], _VALUE),
        "get": lambda n: stores.data.get("vm", _KEYS[n % 64]),
        "enqueue": lambda _: stores.queues.enqueue(queue, _VALUE),
        "dequeue": lambda _: stores.queues.dequeue(queue),
    }
    best = dict.fromkeys(do, float("inf"))
    for _ in range(_ROUNDS):
        for name, operation in do.items():
            best[name] = min(best[name], _microseconds(operation, calls))
    return best


def _microseconds(operation: Callable[[int], object], calls: int) -> float:
    began = time.perf_counter()
    for number in range(calls):
        operation(number)
    return (time.perf_counter() - began) / calls * 1e6
