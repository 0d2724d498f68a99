"""The queue into which the billing adapter puts its entries, without a ledger behind it."""

from typing import Protocol

from mixer.state import SharedQueues
from mixer.wire.ledger_pb2 import Entry, Plan, UsageRecord


class _HasQueues(Protocol):
    @property
    def shared_queues(self) -> SharedQueues: ...


class UsageQueue:
    """Registers the queue, and takes out what came into it.

    Args:
        host: A `mixer.testing.Host`, or the services of an engine.
    """

    def __init__(self, host: _HasQueues) -> None:
        self._queues = host.shared_queues
        number = self._queues.register("mixer", b"usage", lambda _queue: None)
        assert number is not None
        self._number = number
        self.plans: list[Plan] = []

    def take(self) -> list[UsageRecord]:
        """The records since the last time; plans are put aside."""
        records = []
        while (message := self._queues.dequeue(self._number)) is not None:
            entry = Entry.FromString(message)
            if entry.HasField("plan"):
                self.plans.append(entry.plan)
            else:
                records.append(entry.usage)
        return records

    def units(self) -> list[dict[str, int]]:
        """Units by meter, of each record since the last time."""
        return [units(record) for record in self.take()]


def units(record: UsageRecord) -> dict[str, int]:
    """Units by meter."""
    return {one.meter: one.units for one in record.quantities}
