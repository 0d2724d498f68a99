"""Stores that several processes have open."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from mixer.state import EnqueueResult, StateLimits
from mixer.state.redis_store import RedisOptions
from tests.state.conftest import TIMEOUT_S
from tests.state.peer import Member, Peer, Place

_PREFIXES = count()

MakePlace = Callable[[StateLimits], Place]


@pytest.fixture(params=["lmdb", "redis"])
def make_place(request: pytest.FixtureRequest, tmp_path: Path) -> MakePlace:
    """Makes a place for a store."""
    if request.param == "lmdb":
        return lambda limits: Place(folder=tmp_path / "state", limits=limits)
    server = request.getfixturevalue("redis_server")
    options = RedisOptions(server.url, prefix=f"processes-{next(_PREFIXES)}", timeout=TIMEOUT_S)
    return lambda limits: Place(options=options, limits=limits)


@pytest.fixture
def place(make_place: MakePlace) -> Place:
    """A place with the default bounds."""
    return make_place(StateLimits())


@pytest.fixture
def joined() -> Iterator[ExitStack]:
    """Ends peers and closes members at the end of a test."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def peer(joined: ExitStack) -> Callable[[Place], Peer]:
    """Starts other processes."""
    return lambda place: joined.enter_context(Peer(place))


@pytest.fixture
def member(joined: ExitStack) -> Callable[[Place], Member]:
    """Opens a store in this process."""

    def make(place: Place) -> Member:
        one = Member(place)
        joined.callback(one.close)
        return one

    return make


MakePeer = Callable[[Place], Peer]
MakeMember = Callable[[Place], Member]


def test_counters_are_exact(place: Place, member: MakeMember, peer: MakePeer) -> None:
    """Processes that count by comparing and setting lose no count, once some have collided."""
    here, others = member(place), [peer(place), peer(place)]
    here.data.set("vm", b"counter", b"0")  # the first set of a key compares nothing
    mismatches = rounds = 0
    while not mismatches and rounds < 1000:
        rounds += 1
        for other in others:
            other.begin("count_up", "vm", b"counter", 300)
        mismatches += here.count_up("vm", b"counter", 300)
        mismatches += sum(other.answer() for other in others)
    found = here.data.get("vm", b"counter")
    assert found is not None
    assert int(found.value) == rounds * 900
    assert mismatches > 0


def test_numbers_differ_across_processes(place: Place, member: MakeMember, peer: MakePeer) -> None:
    """The number of a get in one process never fits after a set in another one."""
    here, other = member(place), peer(place)
    numbers = set()
    for _ in range(5):
        here.data.set("vm", b"k", b"same")
        found = here.data.get("vm", b"k")
        assert other.ask("data.get", "vm", b"k") == found
        assert found is not None
        numbers.add(found.cas)
        other.ask("data.set", "vm", b"k", b"same")
        assert here.data.set("vm", b"k", b"mine", found.cas).name == "CAS_MISMATCH"
        numbers.add(other.ask("data.get", "vm", b"k").cas)
    assert len(numbers) == 10


def test_bounds_are_exact(make_place: MakePlace, member: MakeMember, peer: MakePeer) -> None:
    """A bound holds for all processes together, to the key and to the message."""
    limits = StateLimits(max_keys=150, max_queue_length=150)
    place = make_place(limits)
    here, other = member(place), peer(place)
    queue = here.register("vm", b"q")
    assert queue is not None
    other.begin("set_many", "vm", [b"b%d" % n for n in range(200)])
    taken = here.set_many("vm", [b"a%d" % n for n in range(200)]) + other.answer()
    assert (taken, here.data.usage()["vm"].keys) == (150, 150)
    other.begin("enqueue_many", queue, [b"b"] * 200)
    taken = here.enqueue_many(queue, [b"a"] * 200) + other.answer()
    assert (taken, here.queues.usage()[queue].length) == (150, 150)
    refused = [one.queues.usage()[queue].refused for one in (here,)]
    assert refused[0] + other.ask("queues.usage")[queue].refused == 250


def test_ids_are_those_of_all(place: Place, member: MakeMember, peer: MakePeer) -> None:
    """A queue has the same id in each process, whoever made it, whatever the vm_id."""
    here, other = member(place), peer(place)
    mine = here.register("a", b"q")
    theirs = other.ask("register", "b", b"q")
    assert mine != theirs
    assert other.ask("queues.resolve", "a", b"q") == mine
    assert here.queues.resolve("b", b"q") == theirs
    assert here.register("b", b"q") == theirs


def test_each_message_is_taken_once(place: Place, member: MakeMember, peer: MakePeer) -> None:
    """Processes that take from one queue get each message once, in the order it came in."""
    here, other = member(place), peer(place)
    queue = here.register("vm", b"q")
    assert queue is not None
    messages = [b"%04d" % n for n in range(600)]
    assert here.enqueue_many(queue, messages) == 600
    other.begin("take_all", queue)
    mine = here.take_all(queue)
    theirs = other.answer()
    assert sorted(mine + theirs) == messages
    assert mine == sorted(mine)
    assert theirs == sorted(theirs)


def test_the_last_to_register_is_told(place: Place, member: MakeMember, peer: MakePeer) -> None:
    """A message is told once, in the process that registered its queue last."""
    here, other = member(place), peer(place)
    queue = here.register("vm", b"q")
    assert queue is not None
    for _ in range(3):
        assert other.ask("queues.enqueue", queue, b"m") is EnqueueResult.OK
    assert here.told(3) == [queue] * 3
    assert other.ask("register", "vm", b"q") == queue
    assert here.queues.enqueue(queue, b"for the other") is EnqueueResult.OK
    assert other.ask("queues.enqueue", queue, b"its own") is EnqueueResult.OK
    assert other.ask("told", 2) == [queue] * 2
    assert here.register("vm", b"q") == queue
    other.ask("queues.enqueue", queue, b"m")
    assert here.told(4) == [queue] * 4
    assert other.ask("told", 2) == [queue] * 2
    assert here.told_by_now() == [queue] * 4


def test_each_of_many_messages_is_told(place: Place, member: MakeMember, peer: MakePeer) -> None:
    """Messages that come faster than they are told are told all the same, each once."""
    here, other = member(place), peer(place)
    queue = here.register("vm", b"q")
    assert other.ask("enqueue_many", queue, [b""] * 3000) == 3000
    assert here.told(3000) == [queue] * 3000
    assert other.ask("queues.enqueue", queue, b"") is EnqueueResult.OK
    assert here.told(3001) == [queue] * 3001


def test_messages_of_a_dead_process(place: Place, member: MakeMember, peer: MakePeer) -> None:
    """What nobody took before its registrant was killed is kept for the next one, untold."""
    here, other = member(place), peer(place)
    queue = other.ask("register", "vm", b"q")
    here.queues.enqueue(queue, b"before")
    other.kill()
    assert here.queues.enqueue(queue, b"after") is EnqueueResult.OK
    heir = peer(place)
    assert heir.ask("register", "vm", b"q") == queue
    here.queues.enqueue(queue, b"new")
    assert heir.ask("told", 1) == [queue]
    assert heir.ask("take_all", queue) == [b"before", b"after", b"new"]


def test_a_store_outlives_its_processes(place: Place, member: MakeMember, peer: MakePeer) -> None:
    """What a process left is there for the next one, which is told of what comes in afterwards."""
    other = peer(place)
    queue = other.ask("register", "vm", b"q")
    other.ask("queues.enqueue", queue, b"kept")
    other.ask("data.set", "vm", b"k", b"v")
    other.ask("close")
    here = member(place)
    found = here.data.get("vm", b"k")
    assert found is not None
    assert found.value == b"v"
    assert here.queues.enqueue(queue, b"more") is EnqueueResult.OK
    assert here.register("vm", b"q") == queue
    assert here.take_all(queue) == [b"kept", b"more"]
    assert here.told_by_now() == []


def test_what_expires_does_so_for_all(
    make_place: MakePlace, member: MakeMember, peer: MakePeer
) -> None:
    """A time to live counts from the set, whoever reads."""
    place = make_place(StateLimits(ttl=3600.0))
    short = make_place(StateLimits(ttl=0.001))
    here, other = member(place), peer(short)
    here.data.set("vm", b"long", b"")
    other.ask("data.set", "vm", b"short", b"")
    while here.data.get("vm", b"short") is not None:
        pass
    assert other.ask("data.get", "vm", b"long") is not None
