"""What an HTTP stream context answers to host calls, in whichever phase the stream is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixer.proxywasm.abi import BufferType, LogLevel, MapType, Status, StreamType
from mixer.proxywasm.departures import CHANGE_READ_ONLY_BUFFER
from mixer.proxywasm.lifecycle import NEW, End
from mixer.proxywasm.message_view import MessageView, Pause
from mixer.proxywasm.phases import PHASED, PHASED_WHILE_OPEN
from mixer.proxywasm.stream_properties import StreamProperties

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mixer.attributes import HeaderMap, Value
    from mixer.proxywasm.contexts import RootContext
    from mixer.proxywasm.http_stream import HttpStream, LocalResponse
    from mixer.proxywasm.phases import Read
    from mixer.proxywasm.reads import Reads


class StreamAccess(StreamProperties):
    """What a module can reach of its stream; `StreamContext` moves it from phase to phase.

    Args:
        root: The plugin.
        stream: The request, shared by all adapters of the chain.
        reads: Where to record what the module reads, or None.
    """

    __slots__ = (
        "_answered",
        "_paused",
        "_request",
        "_response",
        "_state",
        "_wake",
    )

    stream: HttpStream

    def __init__(self, root: RootContext, stream: HttpStream, reads: Reads | None = None) -> None:
        super().__init__(root, stream, reads)
        self._state = NEW
        self._answered = False
        self._paused: Pause | None = None
        self._wake: Callable[[], None] | None = None
        self._request = MessageView(stream.request)
        self._response: MessageView | None = None

    def wait(self, wake: Callable[[], None]) -> None:
        """Have `wake` called once the module resumed, answered or closed this paused stream.

        It is called later, never from within a callback of the module; also where the VM is gone.
        """
        self._wake = wake
        self.stream.wake = self._woken

    def _woken(self) -> None:
        wake, self._wake = self._wake, None
        if wake is not None:
            self.stream.wake = None
            self.vm.services.scheduler.defer(wake)

    def _ended(self) -> None:
        """The stream is answered or closed, perhaps while it waits in another context."""
        if self.stream.wake is not None:
            self.stream.wake()

    def vm_closed(self) -> None:
        """See `Context.vm_closed`."""
        self._woken()

    @property
    def request_view(self) -> MessageView:
        """The request as this plugin sees it now."""
        return self._request

    @property
    def response_view(self) -> MessageView | None:
        """The response as this plugin sees it now, once there is one."""
        return self._response

    @property
    def end(self) -> End:
        """How far the stream has come to its end."""
        return self._state.end

    @property
    def log_level(self) -> LogLevel:
        """See `Context.log_level`."""
        return self.root.log_level

    def log(self, level: LogLevel, message: str) -> None:
        """See `Context.log`."""
        if self.reads is not None:
            sink = self.root.settings.log or self.vm.services.log
            self.reads.logged(sink, level, message)
        self.root.log(level, message)

    def charge(self, size: int) -> bool:
        """See `Context.charge`."""
        if self.stream.charge(size):
            return True
        self._ended()
        return False

    def clear_route_cache(self) -> None:
        """See `Context.clear_route_cache`."""
        self.stream.route_cleared = True

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
        if response is not None and map_type is MapType.HTTP_RESPONSE_HEADERS:
            return response.message.headers if response.headers_open else None
        if response is not None and map_type is MapType.HTTP_RESPONSE_TRAILERS:
            return response.trailers()
        return super().header_map(map_type)

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
        if self._state.end is not End.OPEN or map_type is not MapType.HTTP_RESPONSE_HEADERS:
            return None
        return self._open_map(map_type)

    def _view(self, buffer_type: BufferType) -> MessageView | None:
        """The message that has this buffer."""
        if buffer_type is BufferType.HTTP_REQUEST_BODY:
            return self._request
        return self._response if buffer_type is BufferType.HTTP_RESPONSE_BODY else None

    def buffer(self, buffer_type: BufferType) -> bytes | None:
        """See `Context.buffer`."""
        view = self._view(buffer_type)
        body = None if view is None else view.body()
        return super().buffer(buffer_type) if body is None else body

    def is_writable(self, buffer_type: BufferType) -> bool:
        """See `Context.is_writable`."""
        view = self._view(buffer_type)
        return view is not None and view.body() is not None

    def set_buffer(self, buffer_type: BufferType, content: bytes, handed_over: int) -> Status:
        """See `Context.set_buffer`."""
        view = self._view(buffer_type)
        if view is None or view.body() is None:
            return self.departs(CHANGE_READ_ONLY_BUFFER)
        view.set_body(content)
        view.message.handed_over += handed_over
        return Status.OK

    @property
    def phased(self) -> Mapping[str, Read]:
        """See `StreamProperties.phased`."""
        can_be_read = self._request.headers_open or self.end is End.LOGGED
        return PHASED_WHILE_OPEN if can_be_read else PHASED

    def attribute(self, name: str) -> Value | None:
        """See `StreamProperties.attribute`; as the current phase has it."""
        phased = PHASED.get(name)
        return self.stream.attributes.get(name) if phased is None else phased(self)

    def send_local_response(self, response: LocalResponse) -> None:
        """See `Context.send_local_response`; the first one wins.

        One more may replace the response, even where that is the answer of a module.
        """
        if not self._answered:
            self._answered = True
            self.stream.local_response = response
            self._ended()

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
        self._woken()
        return super().resume(stream_type)

    def close_stream(self, stream_type: StreamType) -> Status:
        """See `Context.close_stream`."""
        self.stream.reset = True
        self._ended()
        return super().close_stream(stream_type)
