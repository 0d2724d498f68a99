"""This process among those that share a server: one thread waits for what it is to be told."""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from uuid import uuid4

from redis import Redis, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from mixer.state.ports import Post, StoreUnavailableError
from mixer.state.redis_store.client import RedisClient
from mixer.state.redis_store.scripts import script

KEPT_MS = 3_600_000
"""How long the server keeps what a worker is to be told that does not ask."""

_BEAT_SECONDS = 5
_AGAIN_SECONDS = 0.2
_JOIN_SECONDS = 1.0

_BEAT = script("worker_beat")
_TAKE = script("worker_take")
_LEAVE = script("worker_leave")

Tell = Callable[[Mapping[int, int]], None]
"""Takes how many notifications there are for each queue."""


class RedisWorker:
    """What this process is to the others.

    Args:
        client: Reaches the server.
        post: Brings notifications into the thread of the store's user.
        tell: Called there.

    Attributes:
        id: Another one for each process and start.
        tables: What the server knows of queues.
    """

    def __init__(self, client: RedisClient, post: Post, tell: Tell) -> None:
        self.id = uuid4().hex
        self._client = client
        self._post = post
        self._tell = tell
        self._queues: dict[int, tuple[bytes, str, int]] = {}
        self._mail, self._wake = client.key("mail", self.id), client.key("wake", self.id)
        names = ("names", "queues", "counts", "owners", "since")
        self.tables = [client.key(one) for one in names]
        self._beat_keys = [self._mail, *self.tables]
        self._closing = threading.Event()
        self._thread = threading.Thread(
            target=self._listen,
            args=(client.options.connect(more_time=_BEAT_SECONDS),),
            name="mixer-redis-mail",
            daemon=True,
        )
        self._thread.start()

    def registered(self, queue: int, label: bytes, vm_id: str, since: int) -> None:
        """Note a queue that this process is to be told of since a time of the server."""
        self._queues[queue] = label, vm_id, since

    def restore(self, queue: int) -> bool:
        """Make the queues of this process again, if the server lost one that it should have."""
        if queue not in self._queues:
            return False
        self._client.run(_BEAT, self._beat_keys, *self._beat_arguments())
        return True

    def _beat_arguments(self) -> list[bytes | str | int]:
        queues = list(self._queues.items())
        rows = (part for queue, noted in queues for part in (queue, *noted))
        return [self.id, KEPT_MS, *rows]

    def _listen(self, redis: Redis) -> None:
        beat, take = redis.register_script(_BEAT), redis.register_script(_TAKE)
        while not self._closing.is_set():
            try:
                beat(self._beat_keys, self._beat_arguments())
                self._hand_over(take([self._mail, self._wake]))
                while self._is_woken(redis):
                    self._hand_over(take([self._mail, self._wake]))
            except (RedisConnectionError, RedisTimeoutError):
                self._closing.wait(_AGAIN_SECONDS)  # the breaker says so, when a call fails
            except RedisError as error:
                self._client.refused(error)
                self._closing.wait(_AGAIN_SECONDS)
        redis.close()

    def _is_woken(self, redis: Redis) -> bool:
        """Wait for mail until the next beat."""
        if self._closing.is_set():
            return False
        return redis.blpop([self._wake], timeout=_BEAT_SECONDS) is not None

    def _hand_over(self, row: list[bytes]) -> None:
        mail = {int(queue): int(times) for queue, times in zip(row[::2], row[1::2], strict=True)}
        if mail:
            with suppress(RuntimeError):  # a loop that has been closed
                self._post(partial(self._tell, mail))

    def close(self) -> None:
        """Be told of nothing more."""
        self._closing.set()
        with suppress(StoreUnavailableError):
            keys = [self._mail, self._wake, self._client.key("owners")]
            self._client.run(_LEAVE, keys, self.id, *self._queues)
            self._client.run("return redis.call('RPUSH', KEYS[1], '')", [self._wake])
        self._thread.join(_JOIN_SECONDS)
        with suppress(StoreUnavailableError):
            self._client.run("return redis.call('DEL', KEYS[1])", [self._wake])
