"""What a store of shared state does, whatever it is made of.

The rules are Envoy's, whose modules depend on them; the bounds are ours. One conformance suite
(``tests/state``) holds every implementation to both.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple, Protocol


class Entry(NamedTuple):
    """A value of shared data.

    Attributes:
        value: May be empty.
        cas: Above 0; another one after each set.
    """

    value: bytes
    cas: int


class SetResult(Enum):
    """What came of a set."""

    OK = auto()
    CAS_MISMATCH = auto()
    """Somebody else set the key in between."""
    FULL = auto()
    """A bound of the ``vm_id`` would be exceeded; nothing was changed."""


class EnqueueResult(Enum):
    """What came of an enqueue."""

    OK = auto()
    NOT_FOUND = auto()
    """No queue has this id."""
    FULL = auto()
    """A bound of the queue would be exceeded; nothing was changed."""
    DURABLE = auto()
    """It is taken on by the ledger, and not stored yet."""
    NO_ROOM = auto()
    """The ledger does not take it on: too much waits for it."""
    MALFORMED = auto()
    """The queue does not take such a message."""


class UnknownQueueError(LookupError):
    """No queue has this id."""


class StoreError(Exception):
    """A store cannot be opened; the message names it and the reason, and no password."""


class StoreUnavailableError(Exception):
    """A store that was open does not answer now. What was asked may or may not have been done."""


@dataclass(frozen=True, slots=True)
class DataUsage:
    """How much shared data one ``vm_id`` has.

    Attributes:
        keys: Keys; those that expired count until they are cleared away, as in ``size``.
        size: Bytes of keys and values.
        refused: Sets of this process that a bound refused.
        expired: Keys that expired and that this process cleared away.
    """

    keys: int
    size: int
    refused: int
    expired: int = 0


@dataclass(frozen=True, slots=True)
class QueueUsage:
    """How full one queue is.

    Attributes:
        vm_id: Whose queue it is.
        name: Its name.
        length: Messages.
        size: Bytes of the messages.
        refused: Messages of this process that a bound refused.
    """

    vm_id: str
    name: bytes
    length: int
    size: int
    refused: int


class SharedData(Protocol):
    """Keys and values, apart for each ``vm_id``.

    Every method may raise StoreUnavailableError, as those of `SharedQueues`.
    """

    def get(self, vm_id: str, key: bytes) -> Entry | None:
        """The value of a key and the number to compare it by, or None."""

    def set(self, vm_id: str, key: bytes, value: bytes, cas: int = 0) -> SetResult:
        """Set a key.

        Args:
            vm_id: Whose.
            key: May be empty.
            value: May be empty: that is a value, and nothing deletes a key.
            cas: What `get` told, to set only if nobody did since; 0 sets in any case. A key that is
                not there is set whatever this is.
        """

    def usage(self) -> Mapping[str, DataUsage]:
        """By ``vm_id``."""


Notify = Callable[[int], None]
"""Told the id of a queue, once for each message; returns at once and enters no module."""

Post = Callable[[Callable[[], None]], None]
"""Takes, from any thread, what is to be called soon in the thread of the store's user."""


class SharedQueues(Protocol):
    """First in, first out; a queue belongs to a ``vm_id`` and may be used from any other."""

    def register(self, vm_id: str, name: bytes, notify: Notify) -> int | None:
        """Make a queue, or take it over with what is in it; the last one to register is notified.

        The last one of all processes that share the store, and of later messages only.

        Returns:
            Its id, above 0 and the same for the same queue in each process; None where the
            ``vm_id`` has too many.
        """

    def resolve(self, vm_id: str, name: bytes) -> int | None:
        """The id of a queue, or None."""

    def enqueue(self, queue: int, message: bytes) -> EnqueueResult:
        """Append a message, and notify."""

    def dequeue(self, queue: int) -> bytes | None:
        """Take the oldest message; None where the queue is empty. Raises UnknownQueueError."""

    def usage(self) -> Mapping[int, QueueUsage]:
        """By id."""


@dataclass(frozen=True, slots=True)
class Stores:
    """What one engine's adapters share, opened.

    Attributes:
        data: Shared data.
        queues: Shared queues.
        close: Gives back what both hold; neither is asked after it.
    """

    data: SharedData
    queues: SharedQueues
    close: Callable[[], None]
