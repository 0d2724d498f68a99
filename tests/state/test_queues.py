"""Shared queues, in every implementation."""

import pytest

from mixer.state import EnqueueResult, QueueUsage, SharedQueues, StateLimits, UnknownQueueError
from tests.state.conftest import MakeQueues

NAME = b"name"


def register(
    queues: SharedQueues, name: bytes = NAME, vm_id: str = "vm", told: list[int] | None = None
) -> int:
    """Register a queue; its notifications go to a list."""
    number = queues.register(vm_id, name, ([] if told is None else told).append)
    assert number is not None
    return number


def test_first_in_first_out(queues: SharedQueues) -> None:
    """Messages leave in the order in which they came, empty ones too."""
    queue = register(queues)
    for message in (b"1", b"", b"2"):
        assert queues.enqueue(queue, message) is EnqueueResult.OK
    assert [queues.dequeue(queue) for _ in range(4)] == [b"1", b"", b"2", None]


def test_ids(queues: SharedQueues) -> None:
    """A queue has one id, above 0; another name or vm_id is another queue."""
    first = register(queues)
    others = [register(queues, b"other"), register(queues, vm_id="other"), register(queues, b"")]
    assert register(queues) == first
    assert all(0 < queue < 2**32 for queue in (first, *others))
    assert len({first, *others}) == 4


def test_resolve(queues: SharedQueues) -> None:
    """Resolving finds what was registered, and makes nothing."""
    assert queues.resolve("vm", NAME) is None
    queue = register(queues)
    assert queues.resolve("vm", NAME) == queue
    assert queues.resolve("other", NAME) is None
    assert queues.resolve("vm", b"other") is None


def test_unknown_id(queues: SharedQueues) -> None:
    """An id that was never given is neither enqueued to nor dequeued from."""
    unknown = register(queues) + 1
    for queue in (0, unknown, 2**32 - 1):
        assert queues.enqueue(queue, b"1") is EnqueueResult.NOT_FOUND
        with pytest.raises(UnknownQueueError):
            queues.dequeue(queue)


def test_each_message_is_told_once(queues: SharedQueues) -> None:
    """One notification for each message, with the id of its queue."""
    told: list[int] = []
    queue, other = register(queues, told=told), register(queues, b"other", told=told)
    for one in (queue, other, queue):
        queues.enqueue(one, b"1")
    assert told == [queue, other, queue]
    queues.dequeue(queue)
    assert len(told) == 3


def test_the_last_to_register_is_told(queues: SharedQueues) -> None:
    """Whoever registers a queue takes it over, with what is in it and without being told of it."""
    first: list[int] = []
    second: list[int] = []
    queue = register(queues, told=first)
    queues.enqueue(queue, b"1")
    assert register(queues, told=second) == queue
    queues.enqueue(queue, b"2")
    assert (first, second) == ([queue], [queue])
    assert [queues.dequeue(queue), queues.dequeue(queue)] == [b"1", b"2"]


def test_number_of_queues_is_bounded(make_queues: MakeQueues) -> None:
    """One queue too many is refused; those that are there can be registered again."""
    queues = make_queues(StateLimits(max_queues=2))
    first = register(queues, b"1")
    register(queues, b"2")
    assert queues.register("vm", b"3", lambda _queue: None) is None
    assert queues.resolve("vm", b"3") is None
    assert register(queues, b"1") == first
    register(queues, b"3", vm_id="other")


def test_length_is_bounded(make_queues: MakeQueues) -> None:
    """A full queue takes nothing, tells nobody, counts it, and takes again once there is room."""
    queues = make_queues(StateLimits(max_queue_length=2))
    told: list[int] = []
    queue = register(queues, told=told)
    results = [queues.enqueue(queue, b"") for _ in range(3)]
    assert results == [EnqueueResult.OK, EnqueueResult.OK, EnqueueResult.FULL]
    assert len(told) == 2
    assert queues.usage() == {queue: QueueUsage("vm", NAME, 2, 0, 1)}
    queues.dequeue(queue)
    assert queues.enqueue(queue, b"") is EnqueueResult.OK


def test_bytes_are_bounded(make_queues: MakeQueues) -> None:
    """The messages of a queue have a bound together; taking one makes room."""
    queues = make_queues(StateLimits(max_queue_bytes=10))
    queue = register(queues)
    assert queues.enqueue(queue, bytes(11)) is EnqueueResult.FULL
    assert queues.enqueue(queue, bytes(7)) is EnqueueResult.OK
    assert queues.enqueue(queue, bytes(4)) is EnqueueResult.FULL
    assert queues.enqueue(queue, bytes(3)) is EnqueueResult.OK
    assert queues.usage() == {queue: QueueUsage("vm", NAME, 2, 10, 2)}
    queues.dequeue(queue)
    assert queues.enqueue(queue, bytes(7)) is EnqueueResult.OK
