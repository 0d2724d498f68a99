"""Shared data and shared queues, as a module sees them."""

import struct
import tracemalloc

import pytest

from mixer.proxywasm import LogLevel, ManualScheduler, ReadSet
from mixer.state import (
    MemorySharedData,
    MemorySharedQueues,
    StateLimits,
    StoreUnavailableError,
)
from tests.support.guest import BYTES, OK, WORD, Answer, Guest, Phase, call

NOT_FOUND, EMPTY, CAS_MISMATCH, INTERNAL_FAILURE = 1, 7, 8, 10
CAS_AT = 0x7F00


def get(key: bytes) -> object:
    return call("proxy_get_shared_data", key, BYTES, CAS_AT)


def put(key: bytes, value: bytes, cas: int = 0) -> object:
    return call("proxy_set_shared_data", key, value, cas)


def cas(guest: Guest) -> int:
    return int(struct.unpack("<I", guest.memory.read(CAS_AT, 4))[0])


def test_shared_data() -> None:
    """What one stream sets another one reads; an empty value is one, without an allocation."""
    with Guest() as guest:
        answers = guest.in_headers(get(b"k"), put(b"k", b"v"), put(b"e", b""))
        assert answers == [Answer(NOT_FOUND), Answer(OK), Answer(OK)]
        assert guest.in_headers(get(b"k"), get(b"e")) == [Answer(OK, b"v"), Answer(OK, b"")]


def test_compare_and_set() -> None:
    """The number of the last get sets once; then it is an old one."""
    with Guest() as guest:
        guest.in_headers(put(b"k", b"1", 5), get(b"k"))
        seen = cas(guest)
        assert seen > 0
        answers = guest.in_headers(put(b"k", b"2", seen), put(b"k", b"3", seen), get(b"k"))
        assert answers == [Answer(OK), Answer(CAS_MISMATCH), Answer(OK, b"2")]
        assert cas(guest) != seen


def test_missing_key_leaves_the_results_alone() -> None:
    """Where there is no value, nothing is written."""
    with Guest() as guest:
        guest.memory.write_u32(CAS_AT, 77)
        assert guest.in_headers(get(b"k")) == [Answer(NOT_FOUND)]
        assert cas(guest) == 77


def test_vms_with_one_vm_id_share_data() -> None:
    """Shared data belongs to the vm_id: another VM with the same one reads it, others do not."""
    shared = {"shared_data": MemorySharedData()}
    with (
        Guest(services=shared, vm_id="a") as one,
        Guest(services=shared, vm_id="a") as same,
        Guest(services=shared, vm_id="b") as other,
    ):
        one.in_headers(put(b"k", b"v"))
        assert same.in_headers(get(b"k")) == [Answer(OK, b"v")]
        assert other.in_headers(get(b"k")) == [Answer(NOT_FOUND)]


def test_full_shared_data_is_told_once() -> None:
    """A bound of this host is INTERNAL_FAILURE, with one warning for each VM."""
    store = MemorySharedData(StateLimits(max_keys=1))
    with Guest(services={"shared_data": store}) as guest:
        answers = guest.in_headers(put(b"1", b""), put(b"2", b""), put(b"3", b""), put(b"1", b"v"))
        assert [a.status for a in answers] == [OK, INTERNAL_FAILURE, INTERNAL_FAILURE, OK]
        ((level, line),) = guest.logs
    assert level is LogLevel.WARN
    assert "proxy_set_shared_data answers INTERNAL_FAILURE" in line
    assert "vm_id is full" in line


def test_shared_data_in_other_phases() -> None:
    """The calls work while a plugin is configured, and at the end of a stream."""
    with Guest(script=[put(b"k", b"v")]) as guest:
        assert guest.answers() == [Answer(OK)]
        context = guest.stream()
        guest.script([get(b"k")], Phase.DELETE)
        context.delete()
        assert guest.answers() == [Answer(OK, b"v")]


@pytest.mark.parametrize(
    ("one", "volatile"),
    [
        (get(b"k"), True),
        (put(b"k", b"v"), True),
        (call("proxy_register_shared_queue", b"q", WORD), True),
        (call("proxy_resolve_shared_queue", b"", b"q", WORD), True),
        (call("proxy_enqueue_shared_queue", 1, b"m"), True),
        (call("proxy_dequeue_shared_queue", 1, BYTES), True),
        (call("proxy_get_header_map_value", 0, b"x", BYTES), False),
        (call("proxy_increment_metric", 4, 1), False),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_shared_state_makes_a_decision_volatile(one: object, volatile: bool) -> None:
    """The read set tells that a decision followed from more than its request."""
    reads = ReadSet()
    with Guest() as guest:
        guest.in_headers(one, reads=reads)
    assert reads.volatile is volatile


def register(name: bytes = b"q") -> object:
    return call("proxy_register_shared_queue", name, WORD)


def enqueue(queue: int, message: bytes) -> object:
    return call("proxy_enqueue_shared_queue", queue, message)


def dequeue(queue: int) -> object:
    return call("proxy_dequeue_shared_queue", queue, BYTES)


def ready(guest: Guest) -> list[tuple[int, int]]:
    """The context and the queue of each notification."""
    return [(a, b) for phase, a, b, _ in guest.events() if phase is Phase.QUEUE_READY]


def test_queue() -> None:
    """A queue hands its messages out in order, and is empty after the last."""
    with Guest() as guest:
        answers = guest.in_headers(
            register(), register(), enqueue(1, b"1"), enqueue(1, b""), enqueue(2, b"3"),
            dequeue(1), dequeue(1), dequeue(1), dequeue(2),
        )  # fmt: skip
    assert answers == [
        Answer(OK, 1), Answer(OK, 1), Answer(OK), Answer(OK), Answer(NOT_FOUND),
        Answer(OK, b"1"), Answer(OK, b""), Answer(EMPTY), Answer(NOT_FOUND),
    ]  # fmt: skip


def test_resolve() -> None:
    """A queue is found by its vm_id and name; no vm_id is one's own, and absence writes nothing."""
    shared = {"shared_queues": MemorySharedQueues()}
    with Guest(services=shared, vm_id="a") as a, Guest(services=shared, vm_id="b") as b:
        a.in_headers(register(b"first"), register())

        def resolve(vm_id: bytes, name: bytes = b"q") -> object:
            return call("proxy_resolve_shared_queue", vm_id, name, WORD)

        assert a.in_headers(resolve(b""), resolve(b"a")) == [Answer(OK, 2)] * 2
        answers = b.in_headers(resolve(b""), resolve(b"a"), resolve(b"a", b"x"), resolve(b"\xff"))
        assert answers == [Answer(NOT_FOUND), Answer(OK, 2), Answer(NOT_FOUND), Answer(NOT_FOUND)]


@pytest.mark.parametrize("which", ["vm_id", "name"])
def test_a_name_that_no_queue_has_is_not_looked_at(which: str) -> None:
    """Megabytes instead of a name are no queue's, and cost the host nothing."""
    with Guest() as guest:
        guest.in_headers(register())
        size = guest.memory.size()
        spans = ((0, size), (0, 1)) if which == "vm_id" else ((0, 0), (0, size))
        tracemalloc.start()
        try:
            answers = guest.in_headers(
                call("proxy_resolve_shared_queue", *spans[0], *spans[1], WORD)
            )
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert answers == [Answer(NOT_FOUND)]
        assert peak < size // 2


def test_each_message_is_told_later_and_once() -> None:
    """A module hears of its own messages too, after the callback, once for each of them."""
    with Guest() as guest:
        guest.in_headers(register(), enqueue(1, b"1"), enqueue(1, b"2"))
        assert ready(guest) == []
        guest.time.advance()
        assert guest.root is not None
        assert ready(guest) == [(guest.root.id, 1)] * 2


def test_message_can_be_taken_when_it_is_told() -> None:
    """The callback may dequeue, and enqueue anew, which is told after it has returned."""
    with Guest() as guest:
        guest.in_headers(register(), enqueue(1, b"1"))
        guest.script([dequeue(1), enqueue(1, b"more")], Phase.QUEUE_READY)
        waiting = len(ready(guest))
        guest.vm.events._deliver()
        assert len(ready(guest)) == waiting + 1
        assert guest.answers() == [Answer(OK, b"1"), Answer(OK)]
        guest.vm.events._deliver()
        assert guest.answers() == [Answer(OK, b"more"), Answer(OK)]
        assert len(ready(guest)) == waiting + 2


def test_the_last_vm_to_register_is_told() -> None:
    """Any VM may enqueue; the one that registered last hears of it, in its root context."""
    shared = {"shared_queues": MemorySharedQueues()}
    with Guest(services=shared) as first, Guest(services=shared) as second:
        first.in_headers(register())
        second.in_headers(register())
        first.in_headers(enqueue(1, b"m"))
        for guest in (first, second):
            guest.time.advance()
        assert (len(ready(first)), len(ready(second))) == (0, 1)


def test_nothing_is_told_to_a_closed_vm() -> None:
    """Messages for a VM that is gone stay in their queue."""
    shared = {"shared_queues": MemorySharedQueues()}
    with Guest(services=shared) as alive, Guest(services=shared) as gone:
        gone.in_headers(register(), enqueue(1, b"before"))
        gone.close()
        gone.time.advance()
        assert alive.in_headers(enqueue(1, b"after"), dequeue(1)) == [
            Answer(OK),
            Answer(OK, b"before"),
        ]
        gone.time.advance()


def test_trap_in_a_notification_closes_the_vm() -> None:
    """A trap is told once, the VM is closed, and what waited for it is dropped."""
    with Guest() as guest:
        guest.in_headers(register(), enqueue(1, b"1"), enqueue(1, b"2"))
        guest.force_allocator(4096)
        guest.script([dequeue(1), call("proxy_log", 2, b"x")], Phase.QUEUE_READY)
        nested = call("proxy_dequeue_shared_queue", 1, BYTES, phase=Phase.ALLOCATE)
        guest.script([dequeue(1), nested], Phase.QUEUE_READY)
        guest.time.advance()
        assert len(guest.failures) == 1
        guest.time.advance(10)
        assert len(guest.failures) == 1


def test_notifications_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that puts in and takes out without end is told of some, and warned once."""
    monkeypatch.setattr("mixer.proxywasm.events.MAX_WAITING", 3)
    with Guest() as guest:
        calls = [one for _ in range(6) for one in (enqueue(1, b"m"), dequeue(1))]
        guest.in_headers(register(), *calls)
        guest.time.advance()
        assert len(ready(guest)) == 3
        assert guest.vm.events.dropped == 3
        assert [line for _, line in guest.logs] == ["over 3 notifications of queues wait: dropped"]


def test_full_queues_are_told_once() -> None:
    """Queues have bounds in number and length: INTERNAL_FAILURE, with one warning for each call."""
    store = MemorySharedQueues(StateLimits(max_queues=1, max_queue_length=1))
    with Guest(services={"shared_queues": store}) as guest:
        answers = guest.in_headers(
            register(), register(b"2"), register(b"3"), enqueue(1, b"1"), enqueue(1, b"2")
        )
        lines = [line for _, line in guest.logs]
    assert [a.status for a in answers] == [OK, 10, 10, OK, 10]
    assert [line.partition(":")[0] for line in lines] == [
        "proxy_register_shared_queue answers INTERNAL_FAILURE",
        "proxy_enqueue_shared_queue answers INTERNAL_FAILURE",
    ]


def test_a_queue_that_feeds_itself_leaves_time_for_others() -> None:
    """After a notification that took long, the next one waits as long as it took."""
    scheduler, busy = ManualScheduler(), [0]

    def work(*_: object) -> None:
        busy[0] += 35_000_000

    services = {
        "scheduler": scheduler,
        "monotonic_clock": lambda: round(scheduler.now * 1e9) + busy[0],
        "log": work,
    }
    with Guest(services=services) as guest:
        guest.in_headers(register(), enqueue(1, b"1"))
        feed = [dequeue(1), enqueue(1, b"more"), call("proxy_log", 2, b"work")]
        guest.script(feed, Phase.QUEUE_READY)
        before = len(ready(guest))
        scheduler.advance(0.030)
        assert len(ready(guest)) == before + 1
        scheduler.advance(0.010)
        assert len(ready(guest)) == before + 2


def test_the_name_of_a_queue_is_bounded() -> None:
    """What is kept for as long as the service runs is small."""
    with Guest() as guest:
        long, short = guest.in_headers(register(b"x" * 4097), register(b"x" * 4096))
    assert (long.status, short.status) == (10, OK)


class _Down:
    """A store that does not answer."""

    def _fail(self, *_: object) -> None:
        raise StoreUnavailableError("it is down")

    get = set = usage = register = resolve = enqueue = dequeue = _fail


def test_a_store_that_is_down_is_a_failure() -> None:
    """Every call answers INTERNAL_FAILURE and writes nothing; the module lives on."""
    with Guest(services={"shared_data": _Down(), "shared_queues": _Down()}) as guest:
        guest.memory.write_u32(CAS_AT, 77)
        answers = guest.in_headers(
            get(b"k"), put(b"k", b"v"), register(), enqueue(1, b"m"), dequeue(1),
            call("proxy_resolve_shared_queue", b"", b"q", WORD),
        )  # fmt: skip
        assert [answer.status for answer in answers] == [INTERNAL_FAILURE] * 6
        assert cas(guest) == 77
        assert guest.failures == []
