"""One connection in one adapter of a chain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixer.proxywasm import TcpStreamContext

if TYPE_CHECKING:
    from collections.abc import Callable

    from mixer.engine.adapter import Adapter
    from mixer.proxywasm import Outcome, RootContext, Status, StreamType, TcpFlow, TcpStream


class ChainedContext(TcpStreamContext):
    """A stream context whose data the next adapter sees before anybody else does.

    Args:
        root: The plugin.
        stream: The connection, shared by all adapters of the chain.
        changed: Called by the scheduler after the module did something to the connection outside of
            its callbacks, or has lost its VM.

    Attributes:
        resumed: Whether the module let the client's data go; whoever sees to that takes it back.
        has_ended_it: Whether the module closed the connection.
    """

    __slots__ = ("_changed", "has_ended_it", "resumed")

    def __init__(self, root: RootContext, stream: TcpStream, changed: Callable[[], None]) -> None:
        self.resumed = self.has_ended_it = False
        self._changed = changed
        super().__init__(root, stream)

    def _let_go(self, flow: TcpFlow) -> None:
        """The chain does: see `mixer.engine.tcp.exchange`."""

    def _continue(self) -> None:
        super()._continue()
        self.resumed = True
        self._tell()

    def close_stream(self, stream_type: StreamType) -> Status:
        """See `Context.close_stream`."""
        status = super().close_stream(stream_type)
        self._note_end()
        return status

    def charge(self, size: int) -> bool:
        """See `Context.charge`."""
        within = super().charge(size)
        self._note_end()
        return within

    def _note_end(self) -> None:
        if self.stream.closed:
            self.has_ended_it = True
            self._tell()

    def vm_closed(self) -> None:
        """See `Context.vm_closed`."""
        self._tell()

    def _tell(self) -> None:
        if not self._entered:
            self.vm.services.scheduler.defer(self._changed)


class Link:
    """An adapter, and its context once the connection has come to it.

    Attributes:
        adapter: As given.
        context: None before.
        holds: Whether the adapter holds the connection or the client's data back.
        passed_over: Whether it failed: it is told of nothing any more.
    """

    __slots__ = ("adapter", "context", "holds", "passed_over")

    def __init__(self, adapter: Adapter) -> None:
        self.adapter = adapter
        self.context: ChainedContext | None = None
        self.holds = self.passed_over = False

    def connect(self, stream: TcpStream, changed: Callable[[], None]) -> Outcome:
        """Tell the adapter of the connection.

        Raises:
            AdapterFailure: It has no VM.
            TrapError: It trapped.
        """
        self.adapter.stats.requests += 1
        self.context = ChainedContext(self.adapter.living_root(), stream, changed)
        return self.context.on_new_connection()

    def downstream_data(self, *, end_of_stream: bool) -> Outcome:
        """Tell it of what there is of the client's data. Raises TrapError."""
        assert self.context is not None
        return self.context.on_downstream_data(b"", end_of_stream=end_of_stream)

    def upstream_data(self, *, end_of_stream: bool) -> Outcome:
        """Tell it of what there is of the upstream's data. Raises TrapError."""
        assert self.context is not None
        return self.context.on_upstream_data(b"", end_of_stream=end_of_stream)

    def take_resumed(self) -> bool:
        """Whether it let the client's data go since the last call."""
        context = self.context
        if context is None or not context.resumed:
            return False
        context.resumed = self.holds = False
        return True

    @property
    def said_reason(self) -> str:
        """Why it closes the connection, as it told in ``mixer.deny.reason``; or empty."""
        return "" if self.context is None else self.context.close_reason

    @property
    def has_lost_its_vm(self) -> bool:
        """Whether the VM is gone in which it is to go on."""
        return self.context is not None and self.context.vm.closed

    @property
    def is_alive(self) -> bool:
        """Whether it is to be told of the end."""
        return self.context is not None and not self.passed_over and not self.context.vm.closed
