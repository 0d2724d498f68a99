"""A request that waits in an adapter: for what, and whether it can ever go on."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from mixer.engine.adapter import Adapter
from mixer.proxywasm import StreamContext

PAUSED_FOR_EVER = "paused_for_ever"
"""The reason of a request that nothing could resume."""


class Waiting(Protocol):
    """What goes on by itself once something has changed."""

    def wait(self, wake: Callable[[], None]) -> None:
        """Have `wake` called then, and not from within a callback of a module."""


class Paused(NamedTuple):
    """Where a chain waits.

    Attributes:
        adapter: Who paused the request, its answer or the connection.
        context: Its stream.
    """

    adapter: Adapter
    context: Waiting


def may_resume(context: StreamContext) -> bool:
    """Whether anything can resume a stream: a callout, a tick, a queue, or another stream.

    Without any of these its caller would wait until its own deadline.
    """
    return context.vm.may_resume(context)


def living(adapter: Adapter, context: StreamContext) -> StreamContext:
    """The context, unless its VM is gone: it fell to another request, or to a tick.

    Raises:
        AdapterFailure: It is.
    """
    if context.vm.closed:
        raise adapter.failure("lost_its_vm")
    return context
