"""The TCP stream context: one connection in one plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixer.proxywasm.abi import BufferType, Status, StreamType
from mixer.proxywasm.departures import CHANGE_READ_ONLY_BUFFER
from mixer.proxywasm.message_view import Outcome
from mixer.proxywasm.stream_properties import StreamProperties
from mixer.proxywasm.tcp_lifecycle import TcpEvent, TcpState, advance
from mixer.proxywasm.tcp_stream import Peer

if TYPE_CHECKING:
    from mixer.proxywasm.contexts import RootContext
    from mixer.proxywasm.reads import Reads
    from mixer.proxywasm.tcp_stream import TcpFlow, TcpStream
    from mixer.vm import GuestFunction

_CLOSES = (StreamType.DOWNSTREAM, StreamType.UPSTREAM)

_REASON = b"mixer.deny.reason"
_MAX_REASON_BYTES = 256


class TcpStreamContext(StreamProperties):
    """One TCP connection in one plugin.

    A front end tells it what happens, and takes from the stream what goes on: a module that returns
    a pause gets what it held back once more, with what came in since.

    Args:
        root: The plugin.
        stream: The connection, shared by all adapters of the chain.
        reads: Where to record what the module reads, or None.
    """

    __slots__ = ("_entered", "_open", "_resumed", "_state")

    stream: TcpStream

    def __init__(self, root: RootContext, stream: TcpStream, reads: Reads | None = None) -> None:
        super().__init__(root, stream, reads)
        self._state = TcpState.NEW
        self._entered = self._resumed = False
        self._open: list[TcpFlow] = []
        root.vm.contexts[self.id] = self
        self.vm.call(self, self.vm.callbacks.on_context_create, self.id, root.id)

    def on_new_connection(self) -> Outcome:
        """Run ``proxy_on_new_connection``; after a pause no data is told. Raises TrapError."""
        action = self._enter(self.vm.callbacks.on_new_connection)
        stopped = action != 0 and not self._resumed
        self._state = advance(self._state, TcpEvent.HOLD if stopped else TcpEvent.ACCEPT)
        return self._outcome(stopped=stopped)

    def on_downstream_data(self, data: bytes, *, end_of_stream: bool) -> Outcome:
        """Run ``proxy_on_downstream_data`` over a piece from the client. Raises TrapError."""
        callback = self.vm.callbacks.on_downstream_data
        return self._on_data(self.stream.downstream, callback, data, end_of_stream=end_of_stream)

    def on_upstream_data(self, data: bytes, *, end_of_stream: bool) -> Outcome:
        """Run ``proxy_on_upstream_data`` over a piece from the upstream. Raises TrapError.

        Its end is told as the upstream's close as well: as in Envoy, which has no other sign of it.
        """
        callback = self.vm.callbacks.on_upstream_data
        outcome = self._on_data(self.stream.upstream, callback, data, end_of_stream=end_of_stream)
        if end_of_stream:
            self.on_upstream_connection_close(Peer.UNKNOWN)
        return outcome

    def _on_data(
        self, flow: TcpFlow, callback: GuestFunction, data: bytes, *, end_of_stream: bool
    ) -> Outcome:
        self._state = advance(self._state, TcpEvent.DATA)
        flow.held += data
        self._set_open(flow, is_open=True)
        action = self._enter(callback, len(flow.held), end_of_stream)
        resumed = self._resumed and flow is self.stream.downstream
        stopped = action != 0 and not resumed
        if not stopped and not self.stream.closed:
            self._let_go(flow)
            self._set_open(flow, is_open=False)
        return self._outcome(stopped=stopped)

    def _set_open(self, flow: TcpFlow, *, is_open: bool) -> None:
        self._open = [other for other in self._open if other is not flow]
        if is_open:
            self._open.append(flow)

    def _let_go(self, flow: TcpFlow) -> None:
        """Have what is held go on: to the other side, where this is the only adapter."""
        flow.let_go()

    def on_upstream_connection_close(self, peer: Peer) -> None:
        """Run ``proxy_on_upstream_connection_close``. Raises TrapError."""
        self._state = advance(self._state, TcpEvent.UPSTREAM_CLOSE)
        self._enter(self.vm.callbacks.on_upstream_connection_close, peer)

    def on_downstream_connection_close(self, peer: Peer) -> None:
        """Run ``proxy_on_downstream_connection_close``. Raises TrapError."""
        self._state = advance(self._state, TcpEvent.DOWNSTREAM_CLOSE)
        self._enter(self.vm.callbacks.on_downstream_connection_close, peer)

    def delete(self) -> None:
        """Run ``proxy_on_done``, ``proxy_on_log`` and ``proxy_on_delete``, in this order.

        Raises:
            TrapError: One of them trapped.
        """
        self._state = advance(self._state, TcpEvent.DELETE)
        callbacks = self.vm.callbacks
        try:
            for callback in (callbacks.on_done, callbacks.on_log, callbacks.on_delete):
                self._enter(callback)
        finally:
            self._leave()

    def abandon(self) -> None:
        """Run ``proxy_on_done`` and ``proxy_on_delete``: how the connection goes on is not told.

        Raises:
            TrapError: One of them trapped.
        """
        self._state = advance(self._state, TcpEvent.ABANDON)
        try:
            self._enter(self.vm.callbacks.on_done)
            self._enter(self.vm.callbacks.on_delete)
        finally:
            self._leave()

    def _leave(self) -> None:
        self.vm.contexts.pop(self.id, None)
        if self.vm.takes:
            self.vm.takes.forget(self)
        if self.vm.retired:
            self.vm.release()

    def _enter(self, callback: GuestFunction, *args: int) -> int:
        self._resumed, self._entered = False, True
        self.stream.begin_step()
        try:
            action = self.vm.call(self, callback, self.id, *args)
            if self._resumed:
                self._continue()
            return action
        finally:
            self._entered = False

    def _continue(self) -> None:
        if self._state is TcpState.HELD:
            self._state = advance(self._state, TcpEvent.ACCEPT)
        if not self.stream.closed:
            self._let_go(self.stream.downstream)

    def _outcome(self, *, stopped: bool) -> Outcome:
        if self.stream.closed:
            return Outcome.RESET
        return Outcome.PAUSE if stopped else Outcome.CONTINUE

    @property
    def is_held(self) -> bool:
        """Whether the module keeps the connection from its start."""
        return self._state is TcpState.HELD

    @property
    def close_reason(self) -> str:
        """What the module told in ``mixer.deny.reason``, printable and bounded; or empty."""
        for path, value in (self.said or {}).items():
            if path.replace(b"\0", b".") == _REASON:
                text = value[:_MAX_REASON_BYTES].decode("utf-8", "replace")
                return "".join(one if one.isprintable() else "_" for one in text)
        return ""

    def charge(self, size: int) -> bool:
        """See `Context.charge`."""
        return self.stream.charge(size)

    def _flow(self, buffer_type: BufferType) -> TcpFlow | None:
        """The direction whose data the module can reach now."""
        flows = {
            BufferType.DOWNSTREAM_DATA: self.stream.downstream,
            BufferType.UPSTREAM_DATA: self.stream.upstream,
        }
        flow = flows.get(buffer_type)
        return flow if any(one is flow for one in self._open) else None

    def buffer(self, buffer_type: BufferType) -> bytes | None:
        """See `Context.buffer`."""
        flow = self._flow(buffer_type)
        return super().buffer(buffer_type) if flow is None else flow.held

    def is_writable(self, buffer_type: BufferType) -> bool:
        """See `Context.is_writable`."""
        return self._flow(buffer_type) is not None

    def set_buffer(self, buffer_type: BufferType, content: bytes, handed_over: int) -> Status:
        """See `Context.set_buffer`."""
        del handed_over
        flow = self._flow(buffer_type)
        if flow is None:
            return self.departs(CHANGE_READ_ONLY_BUFFER)
        flow.held = content
        return Status.OK

    def set_property(self, path: bytes, value: bytes) -> Status:
        """See `Context.set_property`."""
        before = self.stream.filter_state.get(path)
        grown = len(value) + (len(path) if before is None else -len(before))
        if not self.stream.keep(grown):
            return Status.INTERNAL_FAILURE
        return super().set_property(path, value)

    def resume(self, stream_type: StreamType) -> Status:
        """See `Context.resume`: only data from the client can be let go."""
        if stream_type is StreamType.DOWNSTREAM:
            if self._entered:
                self._resumed = True  # once the callback is over
            else:
                self._continue()
        return super().resume(stream_type)

    def close_stream(self, stream_type: StreamType) -> Status:
        """See `Context.close_stream`: either direction closes the connection."""
        if stream_type in _CLOSES:
            self.stream.closed = True
        return super().close_stream(stream_type)
