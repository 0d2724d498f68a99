"""The HTTP stream context: one request, and its response, in one plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixer.proxywasm.abi import Action, BufferType, MapType, Status, StreamType
from mixer.proxywasm.contexts import Context, RootContext
from mixer.proxywasm.lifecycle import NEW, End, Event, advance
from mixer.proxywasm.message_view import MessageView, Outcome
from mixer.proxywasm.property_codec import encode, look_up

if TYPE_CHECKING:
    from mixer.attributes import HeaderMap
    from mixer.proxywasm.http_stream import HttpMessage, HttpStream, LocalResponse
    from mixer.proxywasm.reads import ReadSet
    from mixer.vm import GuestFunction

_FILTER_STATE = b"filter_state\0wasm."


class StreamContext(Context):
    """One HTTP stream in one plugin.

    A front end drives it piece by piece: it puts a piece of a body into the message, makes the
    callback, and finds in the message what goes on.

    Args:
        root: The plugin.
        stream: The request, shared by all adapters of the chain.
        reads: Where to record what the module reads, or None.
    """

    __slots__ = ("_answered", "_request", "_response", "_state", "root", "stream")

    def __init__(self, root: RootContext, stream: HttpStream, reads: ReadSet | None = None) -> None:
        super().__init__(root.vm, root.vm.next_context_id())
        self.root = root
        self.stream = stream
        self.reads = reads
        self._state = NEW
        self._answered = False
        self._request = MessageView(stream.request)
        self._response: MessageView | None = None
        root.vm.contexts[self.id] = self
        self.vm.call(self, self.vm.callbacks.on_context_create, self.id, root.id)

    def on_request_headers(self, *, end_of_stream: bool) -> Outcome:
        """Run ``proxy_on_request_headers``. Raises TrapError."""
        self._state = advance(self._state, Event.REQUEST_HEADERS)
        callback = self.vm.callbacks.on_request_headers
        return self._on_headers(self._request, callback, end_of_stream=end_of_stream)

    def on_request_body(self, *, end_of_stream: bool) -> Outcome:
        """Run ``proxy_on_request_body`` over a piece of the body. Raises TrapError.

        The end of the stream is not in the body where trailers follow.
        """
        self._state = advance(self._state, Event.REQUEST_BODY)
        callback = self.vm.callbacks.on_request_body
        return self._on_body(self._request, callback, end_of_stream=end_of_stream)

    def on_request_trailers(self) -> Outcome:
        """Run ``proxy_on_request_trailers``; what is left of the body goes on with them.

        Raises:
            TrapError: It trapped.
        """
        self._state = advance(self._state, Event.REQUEST_TRAILERS)
        return self._on_trailers(self._request, self.vm.callbacks.on_request_trailers)

    def on_response_headers(self, *, end_of_stream: bool) -> Outcome:
        """Run ``proxy_on_response_headers``.

        On `Outcome.RESPOND` the local response replaces this one, and no more response callbacks
        are made.

        Raises:
            TrapError: It trapped.
        """
        assert self.stream.response is not None
        self._state = advance(self._state, Event.RESPONSE_HEADERS)
        view = self._response = MessageView(self.stream.response)
        self._answered = self.stream.reset = False  # what ended the request is carried out
        callback = self.vm.callbacks.on_response_headers
        return self._on_headers(view, callback, end_of_stream=end_of_stream)

    def on_response_body(self, *, end_of_stream: bool) -> Outcome:
        """Run ``proxy_on_response_body`` over a piece of the body; see `on_request_body`.

        A local response resets the stream where the headers of this one are gone already.

        Raises:
            TrapError: It trapped.
        """
        self._state = advance(self._state, Event.RESPONSE_BODY)
        view = self._sent_response()
        held = view.headers_open
        callback = self.vm.callbacks.on_response_body
        outcome = self._on_body(view, callback, end_of_stream=end_of_stream)
        return outcome if held else _too_late(outcome)

    def on_response_trailers(self) -> Outcome:
        """Run ``proxy_on_response_trailers``; see `on_request_trailers`. Raises TrapError."""
        self._state = advance(self._state, Event.RESPONSE_TRAILERS)
        view = self._sent_response()
        held = view.headers_open
        outcome = self._on_trailers(view, self.vm.callbacks.on_response_trailers)
        return outcome if held else _too_late(outcome)

    def _sent_response(self) -> MessageView:
        assert self._response is not None
        return self._response

    def _on_headers(
        self, view: MessageView, callback: GuestFunction, *, end_of_stream: bool
    ) -> Outcome:
        view.headers_open, view.resumed = True, False
        answered = self.stream.local_response
        action = self.vm.call(self, callback, self.id, view.message.headers.count(), end_of_stream)
        outcome = self._outcome(view, action, answered)
        if outcome is Outcome.PAUSE and not end_of_stream and self._holds(action):
            return Outcome.HOLD
        view.headers_open = outcome is Outcome.PAUSE
        return outcome

    def _holds(self, action: int) -> bool:
        return action == Action.STOP_ITERATION and (
            self.root.allow_on_headers_stop_iteration or self.vm.abi.traits.native_stop_iteration
        )

    def _on_body(
        self, view: MessageView, callback: GuestFunction, *, end_of_stream: bool
    ) -> Outcome:
        answered = self.stream.local_response
        size = view.open_body(end_of_stream=end_of_stream)
        action = self.vm.call(self, callback, self.id, size, end_of_stream)
        outcome = self._outcome(view, action, answered)
        view.close_body(action, outcome)
        return outcome

    def _on_trailers(self, view: MessageView, callback: GuestFunction) -> Outcome:
        answered = self.stream.local_response
        count = view.open_trailers()
        action = self.vm.call(self, callback, self.id, count)
        outcome = self._outcome(view, action, answered)
        view.close_trailers(outcome)
        return outcome

    def _outcome(self, view: MessageView, action: int, answered: LocalResponse | None) -> Outcome:
        if self.stream.local_response is not answered:
            return Outcome.RESPOND
        if self.stream.reset:
            return Outcome.RESET
        return view.outcome(action)

    def log_stream(self) -> None:
        """Run ``proxy_on_log``. Raises TrapError."""
        self._close(Event.LOG)
        self.vm.call(self, self.vm.callbacks.on_log, self.id)

    def delete(self) -> None:
        """Run ``proxy_on_done`` and ``proxy_on_delete``; the context is then gone.

        A stream cannot put this off: Envoy ignores what ``proxy_on_done`` returns here.

        Raises:
            TrapError: One of them trapped.
        """
        self._close(Event.DELETE)
        try:
            self.vm.call(self, self.vm.callbacks.on_done, self.id)
            self.vm.call(self, self.vm.callbacks.on_delete, self.id)
        finally:
            self.vm.contexts.pop(self.id, None)

    def _close(self, event: Event) -> None:
        self._state = advance(self._state, event)
        self._request.close()
        if self._response is not None:
            self._response.close()

    def charge(self, size: int) -> bool:
        """See `Context.charge`."""
        return self.stream.charge(size)

    def header_map(self, map_type: MapType) -> HeaderMap | None:
        """See `Context.header_map`."""
        if map_type is MapType.HTTP_REQUEST_HEADERS and self._request.headers_open:
            return self.stream.request.headers
        if self._state.end is End.LOGGED:
            return self._logged_map(map_type)
        return self._open_map(map_type)

    def _logged_map(self, map_type: MapType) -> HeaderMap | None:
        if map_type is MapType.HTTP_REQUEST_HEADERS:
            return self.stream.request.headers
        response = self.stream.response
        if response is None:
            return None
        if map_type is MapType.HTTP_RESPONSE_HEADERS:
            return response.headers
        return response.trailers if map_type is MapType.HTTP_RESPONSE_TRAILERS else None

    def _open_map(self, map_type: MapType) -> HeaderMap | None:
        if map_type is MapType.HTTP_REQUEST_TRAILERS:
            return self._request.trailers()
        response = self._response
        if response is None:
            return None
        if map_type is MapType.HTTP_RESPONSE_HEADERS:
            return response.message.headers if response.headers_open else None
        return response.trailers() if map_type is MapType.HTTP_RESPONSE_TRAILERS else None

    def absent_map(self) -> Status:
        """See `Context.absent_map`."""
        if self._state.end is End.LOGGED:
            return self.vm.abi.traits.missing_header
        return super().absent_map()

    def writable_header_map(self, map_type: MapType) -> HeaderMap | None:
        """See `Context.writable_header_map`."""
        if map_type is MapType.HTTP_REQUEST_HEADERS:
            return self.stream.request.headers if self._request.headers_open else None
        if map_type is MapType.HTTP_REQUEST_TRAILERS:
            return self._request.writable_trailers()
        if map_type is MapType.HTTP_RESPONSE_TRAILERS and self._response is not None:
            return self._response.writable_trailers()
        return None if self._state.end is not End.OPEN else self._open_map(map_type)

    def _open_body(self, buffer_type: BufferType) -> HttpMessage | None:
        """The message whose body the module can reach now."""
        request, response = self._request, self._response
        if buffer_type is BufferType.HTTP_REQUEST_BODY:
            return request.message if request.body_open else None
        if buffer_type is BufferType.HTTP_RESPONSE_BODY and response is not None:
            return response.message if response.body_open else None
        return None

    def buffer(self, buffer_type: BufferType) -> bytes | None:
        """See `Context.buffer`."""
        message = self._open_body(buffer_type)
        return super().buffer(buffer_type) if message is None else message.body

    def is_writable(self, buffer_type: BufferType) -> bool:
        """See `Context.is_writable`."""
        return self._open_body(buffer_type) is not None

    def set_buffer(self, buffer_type: BufferType, content: bytes) -> Status:
        """See `Context.set_buffer`."""
        message = self._open_body(buffer_type)
        if message is None:
            return Status.BAD_ARGUMENT
        message.body = content
        message.body_changed = True
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
        """See `Context.send_local_response`; the first one wins.

        One more may replace the response, even where that is the answer of a module.
        """
        if not self._answered:
            self._answered = True
            self.stream.local_response = response

    def resume(self, stream_type: StreamType) -> Status:
        """See `Context.resume`.

        The request is closed to the module at once, whichever message is resumed, and the response
        never is: as in Envoy.
        """
        if stream_type in (StreamType.HTTP_REQUEST, StreamType.HTTP_RESPONSE):
            self._request.close()
        if stream_type is StreamType.HTTP_REQUEST:
            self._request.resumed = True
        elif stream_type is StreamType.HTTP_RESPONSE and self._response is not None:
            self._response.resumed = True
        return super().resume(stream_type)

    def close_stream(self, stream_type: StreamType) -> Status:
        """See `Context.close_stream`."""
        self.stream.reset = True
        return super().close_stream(stream_type)


def _too_late(outcome: Outcome) -> Outcome:
    """The headers are gone: an answer can only break the response off."""
    return Outcome.RESET if outcome is Outcome.RESPOND else outcome
