"""The HTTP stream context: one request in one plugin."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from mixer.proxywasm.abi import Action, BufferType, MapType, Status, StreamType
from mixer.proxywasm.contexts import Context, RootContext
from mixer.proxywasm.lifecycle import Event, State, advance
from mixer.proxywasm.property_codec import encode, look_up

if TYPE_CHECKING:
    from mixer.attributes import HeaderMap
    from mixer.proxywasm.http_stream import HttpStream, LocalResponse
    from mixer.proxywasm.reads import ReadSet

_FILTER_STATE = b"filter_state\0wasm."


class Outcome(Enum):
    """What the host must do after a callback."""

    CONTINUE = auto()
    """Hand the message to the next adapter."""
    HOLD = auto()
    """Keep the headers back, and go on with the body in this adapter."""
    PAUSE = auto()
    """Wait until the module resumes the stream."""
    RESPOND = auto()
    """The module sent a local response."""
    RESET = auto()
    """The module closed the stream."""


class StreamContext(Context):
    """One HTTP stream in one plugin.

    Args:
        root: The plugin.
        stream: The request, shared by all adapters of the chain.
        reads: Where to record what the module reads, or None.
    """

    __slots__ = ("_body_open", "_headers_open", "_resumed", "_state", "root", "stream")

    def __init__(self, root: RootContext, stream: HttpStream, reads: ReadSet | None = None) -> None:
        super().__init__(root.vm, root.vm.next_context_id())
        self.root = root
        self.stream = stream
        self.reads = reads
        self._state = State.NEW
        self._headers_open = False
        self._body_open = False
        self._resumed = False
        root.vm.contexts[self.id] = self
        self.vm.call(self, self.vm.callbacks.on_context_create, self.id, root.id)

    def on_request_headers(self, *, end_of_stream: bool) -> Outcome:
        """Run ``proxy_on_request_headers``. Raises TrapError."""
        self._state = advance(self._state, Event.REQUEST_HEADERS)
        self._headers_open, self._resumed = True, False
        callback, count = self.vm.callbacks.on_request_headers, self.stream.request_headers.count()
        action = self.vm.call(self, callback, self.id, count, end_of_stream)
        outcome = self._outcome(action)
        if outcome is Outcome.PAUSE and not end_of_stream and self._holds(action):
            return Outcome.HOLD
        self._headers_open = outcome is Outcome.PAUSE
        return outcome

    def _holds(self, action: int) -> bool:
        return action == Action.STOP_ITERATION and (
            self.root.allow_on_headers_stop_iteration or self.vm.abi.traits.native_stop_iteration
        )

    def on_request_body(self, *, end_of_stream: bool) -> Outcome:
        """Run ``proxy_on_request_body`` over the buffered body. Raises TrapError."""
        self._state = advance(self._state, Event.REQUEST_BODY)
        self._body_open, self._resumed = True, False
        size = len(self.stream.request_body)
        action = self.vm.call(self, self.vm.callbacks.on_request_body, self.id, size, end_of_stream)
        self._body_open = False
        outcome = self._outcome(action)
        if outcome is not Outcome.PAUSE:
            self._headers_open = False
        return outcome

    def _outcome(self, action: int) -> Outcome:
        if self.stream.local_response is not None:
            return Outcome.RESPOND
        if self.stream.reset:
            return Outcome.RESET
        if self._resumed or action in (Action.CONTINUE, Action.CONTINUE_AND_END_STREAM):
            return Outcome.CONTINUE
        return Outcome.PAUSE

    def log_stream(self) -> None:
        """Run ``proxy_on_log``. Raises TrapError."""
        self._state = advance(self._state, Event.LOG)
        self._headers_open = False
        self.vm.call(self, self.vm.callbacks.on_log, self.id)

    def delete(self) -> None:
        """Run ``proxy_on_done`` and ``proxy_on_delete``; the context is then gone.

        A stream cannot put this off: Envoy ignores what ``proxy_on_done`` returns here.

        Raises:
            TrapError: One of them trapped.
        """
        self._state = advance(self._state, Event.DELETE)
        self._headers_open = False
        try:
            self.vm.call(self, self.vm.callbacks.on_done, self.id)
            self.vm.call(self, self.vm.callbacks.on_delete, self.id)
        finally:
            self.vm.contexts.pop(self.id, None)

    def charge(self, size: int) -> bool:
        """See `Context.charge`."""
        return self.stream.charge(size)

    def header_map(self, map_type: MapType) -> HeaderMap | None:
        """See `Context.header_map`."""
        if map_type is MapType.HTTP_REQUEST_HEADERS and self._reads_headers():
            return self.stream.request_headers
        return None

    def _reads_headers(self) -> bool:
        return self._headers_open or self._state is State.LOGGED

    def writable_header_map(self, map_type: MapType) -> HeaderMap | None:
        """See `Context.writable_header_map`."""
        if map_type is MapType.HTTP_REQUEST_HEADERS and self._headers_open:
            return self.stream.request_headers
        return None

    def buffer(self, buffer_type: BufferType) -> bytes | None:
        """See `Context.buffer`."""
        if buffer_type is BufferType.HTTP_REQUEST_BODY:
            return self.stream.request_body if self._body_open else b""
        return super().buffer(buffer_type)

    def is_writable(self, buffer_type: BufferType) -> bool:
        """See `Context.is_writable`."""
        return buffer_type is BufferType.HTTP_REQUEST_BODY and self._body_open

    def set_buffer(self, buffer_type: BufferType, content: bytes) -> Status:
        """See `Context.set_buffer`."""
        if not self.is_writable(buffer_type):
            return Status.BAD_ARGUMENT
        self.stream.request_body = content
        self.stream.request_body_changed = True
        return Status.OK

    def get_property(self, path: bytes) -> bytes | None:
        """See `Context.get_property`."""
        state = self.stream.filter_state
        if path in state:
            return state[path]
        if path.startswith(_FILTER_STATE):
            return state.get(path.removeprefix(_FILTER_STATE))
        known = self.root.plugin_property(path)
        if known is not None:
            return known
        value = look_up(self.stream.attributes, path)
        return None if value is None else encode(value)

    def set_property(self, path: bytes, value: bytes) -> Status:
        """See `Context.set_property`."""
        self.stream.filter_state[path] = value
        return Status.OK

    def send_local_response(self, response: LocalResponse) -> None:
        """See `Context.send_local_response`; the first one wins."""
        if self.stream.local_response is None:
            self.stream.local_response = response

    def resume(self, stream_type: StreamType) -> Status:
        """See `Context.resume`; write access ends at once, as in Envoy."""
        if stream_type is StreamType.HTTP_REQUEST:
            self._resumed = True
            self._headers_open = False
        return super().resume(stream_type)

    def close_stream(self, stream_type: StreamType) -> Status:
        """See `Context.close_stream`."""
        self.stream.reset = True
        return super().close_stream(stream_type)
