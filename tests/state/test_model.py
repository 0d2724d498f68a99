"""Any sequence of operations on a store, against the simplest model of it."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from mixer.state import EnqueueResult, SetResult, StateLimits, UnknownQueueError
from tests.state.conftest import MakeStores

LIMITS = StateLimits(
    max_keys=3, max_data_bytes=24, max_queues=2, max_queue_length=3, max_queue_bytes=12
)
VM_IDS = st.sampled_from(["", "a", "b"])
NAMES = st.sampled_from([b"", b"k", b"key", b"\0\xff", b"other"])
VALUES = st.binary(max_size=12)


class DataMachine(RuleBasedStateMachine):
    """Sets and gets against a dictionary of values and of the numbers seen."""

    make: MakeStores

    def __init__(self) -> None:
        super().__init__()
        self.stores = type(self).make(LIMITS)
        self.store = self.stores.data
        self.model: dict[str, dict[bytes, bytes]] = {}
        self.numbers: dict[tuple[str, bytes], int] = {}

    def teardown(self) -> None:
        self.stores.close()

    def size(self, vm_id: str) -> int:
        return sum(len(k) + len(v) for k, v in self.model.get(vm_id, {}).items())

    @rule(vm_id=VM_IDS, key=NAMES, value=VALUES, stale=st.booleans(), compared=st.booleans())
    def set(self, vm_id: str, key: bytes, value: bytes, stale: bool, compared: bool) -> None:
        known = self.numbers.get((vm_id, key), 7)
        cas = (known + 1 if stale else known) if compared else 0
        space = dict(self.model.get(vm_id, {}))
        space[key] = value
        size = sum(len(k) + len(v) for k, v in space.items())
        result = self.store.set(vm_id, key, value, cas)
        if key in self.model.get(vm_id, {}) and compared and stale:
            assert result is SetResult.CAS_MISMATCH
        elif len(space) > LIMITS.max_keys or size > LIMITS.max_data_bytes:
            assert result is SetResult.FULL
        else:
            assert result is SetResult.OK
            self.model[vm_id] = space
            found = self.store.get(vm_id, key)
            assert found is not None
            assert found.cas not in (0, *self.numbers.values())
            self.numbers[vm_id, key] = found.cas

    @invariant()
    def same_content(self) -> None:
        for vm_id, space in self.model.items():
            for key, value in space.items():
                assert self.store.get(vm_id, key) == (value, self.numbers[vm_id, key])
            usage = self.store.usage()[vm_id]
            assert (usage.keys, usage.size) == (len(space), self.size(vm_id))


class QueueMachine(RuleBasedStateMachine):
    """Queues against lists, and whom each message was told."""

    make: MakeStores

    def __init__(self) -> None:
        super().__init__()
        self.stores = type(self).make(LIMITS)
        self.store = self.stores.queues
        self.ids: dict[tuple[str, bytes], int] = {}
        self.messages: dict[int, list[bytes]] = {}
        self.owner: dict[int, int] = {}
        self.expected: list[tuple[int, int]] = []
        self.told: list[tuple[int, int]] = []
        self.registrants = 0

    def teardown(self) -> None:
        self.stores.close()

    def id_of(self, choice: int) -> int:
        """One of the queues, in the order of their making, or none."""
        return [*self.messages, 0, 2**32 - 1][min(choice, len(self.messages) + 1)]

    @rule(vm_id=VM_IDS, name=NAMES)
    def register(self, vm_id: str, name: bytes) -> None:
        self.registrants += 1
        me = self.registrants
        found = self.store.register(vm_id, name, lambda queue: self.told.append((me, queue)))
        of_vm = [queue for (owner, _), queue in self.ids.items() if owner == vm_id]
        if (vm_id, name) not in self.ids and len(of_vm) >= LIMITS.max_queues:
            assert found is None
            return
        assert found is not None
        assert self.ids.setdefault((vm_id, name), found) == found
        self.messages.setdefault(found, [])
        self.owner[found] = me

    @rule(vm_id=VM_IDS, name=NAMES)
    def resolve(self, vm_id: str, name: bytes) -> None:
        assert self.store.resolve(vm_id, name) == self.ids.get((vm_id, name))

    @rule(choice=st.integers(0, 7), message=st.binary(max_size=6))
    def enqueue(self, choice: int, message: bytes) -> None:
        queue = self.id_of(choice)
        result = self.store.enqueue(queue, message)
        if queue not in self.messages:
            assert result is EnqueueResult.NOT_FOUND
            return
        after = [*self.messages[queue], message]
        if len(after) > LIMITS.max_queue_length or sum(map(len, after)) > LIMITS.max_queue_bytes:
            assert result is EnqueueResult.FULL
            return
        assert result is EnqueueResult.OK
        self.messages[queue] = after
        self.expected.append((self.owner[queue], queue))

    @rule(choice=st.integers(0, 7))
    def dequeue(self, choice: int) -> None:
        queue = self.id_of(choice)
        if queue not in self.messages:
            with pytest.raises(UnknownQueueError):
                self.store.dequeue(queue)
            return
        waiting = self.messages[queue]
        assert self.store.dequeue(queue) == (waiting.pop(0) if waiting else None)

    @invariant()
    def same_content(self) -> None:
        assert self.told == self.expected
        assert len(set(self.ids.values())) == len(self.ids)
        for queue, usage in self.store.usage().items():
            waiting = self.messages[queue]
            assert (usage.length, usage.size) == (len(waiting), sum(map(len, waiting)))


def test_data_is_as_its_model(implementation: MakeStores) -> None:
    """Whatever is set and read in whatever order, the store and its model agree."""
    machine = type("Machine", (DataMachine,), {"make": staticmethod(implementation)})
    run_state_machine_as_test(machine, settings=settings(max_examples=40, deadline=None))


def test_queues_are_as_their_model(implementation: MakeStores) -> None:
    """Whatever is registered, put in and taken in whatever order, the two agree."""
    machine = type("Machine", (QueueMachine,), {"make": staticmethod(implementation)})
    run_state_machine_as_test(machine, settings=settings(max_examples=40, deadline=None))
