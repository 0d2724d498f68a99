"""The implementations that the suite holds equal; a new one is a line in each table."""

from collections.abc import Callable

import pytest

from mixer.state import (
    MemorySharedData,
    MemorySharedQueues,
    SharedData,
    SharedQueues,
    StateLimits,
)

MakeData = Callable[[StateLimits], SharedData]
MakeQueues = Callable[[StateLimits], SharedQueues]

DATA: dict[str, MakeData] = {"memory": MemorySharedData}
QUEUES: dict[str, MakeQueues] = {"memory": MemorySharedQueues}


@pytest.fixture(params=DATA)
def make_data(request: pytest.FixtureRequest) -> MakeData:
    """Makes an empty store of shared data."""
    return DATA[request.param]


@pytest.fixture(params=QUEUES)
def make_queues(request: pytest.FixtureRequest) -> MakeQueues:
    """Makes an empty store of shared queues."""
    return QUEUES[request.param]


@pytest.fixture
def data(make_data: MakeData) -> SharedData:
    """An empty store of shared data with the default bounds."""
    return make_data(StateLimits())


@pytest.fixture
def queues(make_queues: MakeQueues) -> SharedQueues:
    """An empty store of shared queues with the default bounds."""
    return make_queues(StateLimits())
