"""The stores that the adapters of one engine share, opened as they are configured."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mixer.config import LmdbStore, RedisStore, SharedState
from mixer.proxywasm import Scheduler
from mixer.state import Post, StateLimits, StoreError, Stores, memory_stores

if TYPE_CHECKING:
    from mixer.state.redis_store import RedisOptions


def open_stores(state: SharedState, scheduler: Scheduler) -> Stores:
    """Open the configured stores.

    Raises:
        StoreError: They cannot be opened; the message begins with the field.
    """
    limits = StateLimits(
        max_keys=state.max_keys,
        max_data_bytes=state.max_data_bytes,
        max_queues=state.max_queues,
        max_queue_length=state.max_queue_length,
        max_queue_bytes=state.max_queue_bytes,
        ttl=state.ttl,
    )
    if (lmdb := state.store.lmdb) is not None:
        with in_field("spec.state.store.lmdb"):
            return _lmdb(lmdb, limits, scheduler.post)
    if (redis := state.store.redis) is not None:
        with in_field("spec.state.store.redis"):
            return _redis(redis, limits, scheduler.post)
    return memory_stores(limits)


@contextmanager
def in_field(name: str) -> Iterator[None]:
    """Have a StoreError begin with the field that names the store."""
    try:
        yield
    except StoreError as error:
        raise StoreError(f"{name}: {error}") from error


def _lmdb(store: LmdbStore, limits: StateLimits, post: Post) -> Stores:
    from mixer.state.lmdb_store import lmdb_stores

    return lmdb_stores(store.path, store.map_size, limits, post)


def _redis(store: RedisStore, limits: StateLimits, post: Post) -> Stores:
    from mixer.state.redis_store import redis_stores

    return redis_stores(redis_options(store), limits, post)


def redis_options(store: RedisStore) -> "RedisOptions":
    """How a configured server is reached."""
    from mixer.state.redis_store import RedisOptions

    return RedisOptions(
        url=store.location,
        password=store.password,
        prefix=store.prefix,
        timeout=store.timeout,
        start_timeout=store.start_timeout,
        ca_file=None if store.ca_file is None else str(store.ca_file),
    )
