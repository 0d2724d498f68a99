"""The implementations that the suite holds equal; a new one is a line in the table."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count

import pytest

from mixer.state import SharedData, SharedQueues, StateLimits, Stores, memory_stores
from mixer.state.lmdb_store import lmdb_stores
from mixer.state.redis_store import RedisOptions, redis_stores
from tests.support.redis_server import RedisServer, redis_running

MakeStores = Callable[[StateLimits], Stores]
MakeData = Callable[[StateLimits], SharedData]
MakeQueues = Callable[[StateLimits], SharedQueues]
Implementation = Callable[[pytest.FixtureRequest], MakeStores]

MAP_SIZE = 64 << 20
TIMEOUT_S = 30.0


def _nothing_is_posted(_call: Callable[[], None]) -> None:
    raise AssertionError("there is only one process")


def _memory(_request: pytest.FixtureRequest) -> MakeStores:
    return memory_stores


def _lmdb(request: pytest.FixtureRequest) -> MakeStores:
    folder = request.getfixturevalue("tmp_path")
    numbers = count()

    def make(limits: StateLimits) -> Stores:
        return lmdb_stores(folder / str(next(numbers)), MAP_SIZE, limits, _nothing_is_posted)

    return make


def _redis(request: pytest.FixtureRequest) -> MakeStores:
    server: RedisServer = request.getfixturevalue("redis_server")

    def make(limits: StateLimits) -> Stores:
        options = RedisOptions(server.url, prefix=f"test-{next(_PREFIXES)}", timeout=TIMEOUT_S)
        return redis_stores(options, limits, _nothing_is_posted)

    return make


_PREFIXES = count()

IMPLEMENTATIONS: dict[str, Implementation] = {"memory": _memory, "lmdb": _lmdb, "redis": _redis}


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A server that keeps nothing; tests have prefixes of their own."""
    with redis_running() as server:
        yield server


@pytest.fixture(params=IMPLEMENTATIONS)
def implementation(request: pytest.FixtureRequest) -> MakeStores:
    """Makes empty stores; whoever calls it closes them."""
    return IMPLEMENTATIONS[request.param](request)


@pytest.fixture
def make_stores(implementation: MakeStores) -> Iterator[MakeStores]:
    """Makes empty stores, closed at the end."""
    with ExitStack() as made:

        def make(limits: StateLimits) -> Stores:
            stores = implementation(limits)
            made.callback(stores.close)
            return stores

        yield make


@pytest.fixture
def make_data(make_stores: MakeStores) -> MakeData:
    """Makes an empty store of shared data."""
    return lambda limits: make_stores(limits).data


@pytest.fixture
def make_queues(make_stores: MakeStores) -> MakeQueues:
    """Makes an empty store of shared queues."""
    return lambda limits: make_stores(limits).queues


@pytest.fixture
def data(make_data: MakeData) -> SharedData:
    """An empty store of shared data with the default bounds."""
    return make_data(StateLimits())


@pytest.fixture
def queues(make_queues: MakeQueues) -> SharedQueues:
    """An empty store of shared queues with the default bounds."""
    return make_queues(StateLimits())


def wait_until(reached: Callable[[], bool]) -> None:
    """Ask until something is so."""
    end = time.monotonic() + TIMEOUT_S
    while not reached():
        assert time.monotonic() < end, "it never was"
        time.sleep(0.005)
