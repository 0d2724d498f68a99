"""A client belongs to the process that it is made in.

Its threads, its connection and its deduplication ids cannot be shared with a process that `fork`
makes: calls of both would have the same ids, and quota would be granted twice and charged once.
"""

import os
from typing import Protocol
from weakref import WeakSet

FORKED = "the client was made before this process was forked: make one in each process"


class Owned(Protocol):
    """What belongs to one process."""

    def disown(self) -> None:
        """This is another process now: refuse everything from here on."""


_owned: WeakSet[Owned] = WeakSet()


def belongs_here(client: Owned) -> None:
    """Have something disowned in processes that are forked from this one."""
    _owned.add(client)


def _disown_all() -> None:
    for client in tuple(_owned):
        client.disown()


os.register_at_fork(after_in_child=_disown_all)
