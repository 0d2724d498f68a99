"""HTTP/2 with h2, without any socket: many exchanges on one connection, flow control, trailers.

h2 and not a whole client, because those leave trailers out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import h2.events
import h2.exceptions
from h2.errors import ErrorCodes
from hyperframe.exceptions import HyperframeError

from mixer.callouts.goaway import GoAwayFilter
from mixer.callouts.http2_connection import MOST_AT_FIRST, cancel, connect, is_used_up
from mixer.callouts.http_failures import Outcome, Reset, ResetError
from mixer.callouts.http_request import Request
from mixer.callouts.http_response import MAX_HEADERS, Response, ResponseTooLargeError
from mixer.callouts.ports import Pairs

# Of the connection, which HTTP/2 has none of (RFC 9113, 8.2.2).
_OF_HTTP1 = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"upgrade"})
_RESETS = {
    ErrorCodes.PROTOCOL_ERROR: Reset.PROTOCOL_ERROR,
    ErrorCodes.REFUSED_STREAM: Reset.REFUSED_STREAM,
    ErrorCodes.CONNECT_ERROR: Reset.CONNECT_ERROR,
}


@dataclass(slots=True)
class _Exchange:
    response: Response
    unsent: bytes
    trailers: Pairs
    sent: bool = False


class Http2Codec:
    """One connection to an upstream, many exchanges at a time.

    The bytes to write are taken from ``to_send`` after every call.

    Attributes:
        answers: See `mixer.callouts.flood.Answering`.
    """

    def __init__(self) -> None:
        self._protocol = connect()
        self._goaway = GoAwayFilter()
        self._exchanges: dict[int, _Exchange] = {}
        self._ended: list[tuple[int, Outcome]] = []
        self._closing = False
        self._most = MOST_AT_FIRST
        self._unwritten = b""
        self.answers = 0

    @property
    def capacity(self) -> int:
        """How many exchanges may begin now."""
        if self._closing or is_used_up(self._protocol):
            return 0
        return self._most - len(self._exchanges)

    @property
    def closing(self) -> bool:
        """Whether the upstream wants no more exchanges."""
        return self._closing

    def to_send(self) -> bytes:
        """Take the bytes to write."""
        taken, self._unwritten = self._unwritten + self._protocol.data_to_send(), b""
        return taken

    def send(self, request: Request) -> int:
        """Begin an exchange; its number."""
        stream = self._protocol.get_next_available_stream_id()
        exchange = _Exchange(Response(request.max_response_bytes), request.body, request.trailers)
        ends = not request.body and not request.trailers
        self._protocol.send_headers(stream, list(_head_fields(request)), end_stream=ends)
        exchange.sent = ends
        self._exchanges[stream] = exchange
        self._send_body(stream, exchange)
        return stream

    def cancel(self, stream: int) -> bool:
        """Give an exchange up; whether the headers of its response had come."""
        exchange = self._exchanges.pop(stream, None)
        if exchange is not None:
            cancel(self._protocol, stream)
        return exchange is not None and exchange.response.has_headers

    def receive(self, data: bytes) -> list[tuple[int, Outcome]]:
        """Take bytes of the upstream; the exchanges that ended with them.

        Raises:
            ResetError: What came is no HTTP/2; all exchanges are over.
        """
        try:
            data, goaways = self._goaway.receive(data)
            self._unwritten = self.to_send()
            events = self._protocol.receive_data(data)
            answers = self._protocol.data_to_send()
            self._unwritten, self.answers = self._unwritten + answers, self.answers + len(answers)
            for event in events:
                handle = _HANDLERS.get(type(event))
                if handle is not None:
                    handle(self, event)
            for goaway in goaways:
                self._refuse_above(goaway.last_stream)
        except h2.exceptions.DenialOfServiceError:  # more headers than were announced
            raise ResetError(Reset.REMOTE_RESET) from None
        except (h2.exceptions.ProtocolError, HyperframeError):
            raise ResetError(Reset.PROTOCOL_ERROR) from None
        ended, self._ended = self._ended, []
        return ended

    def abandon(self, reset: Reset) -> list[tuple[int, Outcome]]:
        """End all exchanges, as the connection did."""
        self._closing = True
        for stream in list(self._exchanges):
            self._end(stream, reset)
        ended, self._ended = self._ended, []
        return ended

    def _send_body(self, stream: int, exchange: _Exchange) -> None:
        while exchange.unsent:
            room = self._protocol.local_flow_control_window(stream)
            size = min(room, self._protocol.max_outbound_frame_size, len(exchange.unsent))
            if size <= 0:
                return
            piece, exchange.unsent = exchange.unsent[:size], exchange.unsent[size:]
            exchange.sent = not exchange.unsent and not exchange.trailers
            self._protocol.send_data(stream, piece, end_stream=exchange.sent)
        if not exchange.sent:
            exchange.sent = True
            trailers = [pair for pair in exchange.trailers if pair[0] not in _OF_HTTP1 | {b"te"}]
            if trailers:
                self._protocol.send_headers(stream, trailers, end_stream=True)
            else:
                self._protocol.end_stream(stream)

    def _end(self, stream: int, reset: Reset) -> None:
        """End an exchange: what fails after the response's headers has no response."""
        exchange = self._exchanges.pop(stream)
        self._ended.append((stream, None if exchange.response.has_headers else reset))

    def _refuse_above(self, last_stream: int) -> None:
        self._closing = True
        for stream in [one for one in self._exchanges if one > last_stream]:
            self._end(stream, Reset.REFUSED_STREAM)

    def _on_response(self, event: Any) -> None:
        exchange = self._exchanges.get(event.stream_id)
        if exchange is None:
            return
        fields = dict(event.headers)
        if len(event.headers) > MAX_HEADERS:
            self._end(event.stream_id, Reset.REMOTE_RESET)
            cancel(self._protocol, event.stream_id)
            return
        headers = tuple((n, v) for n, v in event.headers if not n.startswith(b":"))
        exchange.response.add_headers(fields[b":status"], headers)

    def _on_data(self, event: Any) -> None:
        self._protocol.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        exchange = self._exchanges.get(event.stream_id)
        if exchange is None:
            return
        try:
            exchange.response.add_body(event.data)
        except ResponseTooLargeError:
            self._end(event.stream_id, Reset.REMOTE_RESET)
            cancel(self._protocol, event.stream_id)

    def _on_trailers(self, event: Any) -> None:
        if exchange := self._exchanges.get(event.stream_id):
            exchange.response.add_trailers(tuple(event.headers))

    def _on_end(self, event: Any) -> None:
        if exchange := self._exchanges.pop(event.stream_id, None):
            self._ended.append((event.stream_id, exchange.response.reply()))
            if not exchange.sent:
                cancel(self._protocol, event.stream_id)

    def _on_reset(self, event: Any) -> None:
        if event.stream_id in self._exchanges:
            self._end(event.stream_id, _RESETS.get(event.error_code, Reset.REMOTE_RESET))

    def _on_settings(self, event: Any) -> None:
        self._most = self._protocol.remote_settings.max_concurrent_streams
        self._on_room(event)

    def _on_room(self, _event: Any) -> None:
        for stream, exchange in list(self._exchanges.items()):
            if not exchange.sent:
                self._send_body(stream, exchange)


_HANDLERS: dict[type[h2.events.Event], Callable[[Http2Codec, Any], None]] = {
    h2.events.ResponseReceived: Http2Codec._on_response,
    h2.events.DataReceived: Http2Codec._on_data,
    h2.events.TrailersReceived: Http2Codec._on_trailers,
    h2.events.StreamEnded: Http2Codec._on_end,
    h2.events.StreamReset: Http2Codec._on_reset,
    h2.events.WindowUpdated: Http2Codec._on_room,
    h2.events.RemoteSettingsChanged: Http2Codec._on_settings,
}


def _head_fields(request: Request) -> Pairs:
    pseudo: Pairs = (
        (b":method", request.method),
        (b":path", request.path),
        (b":authority", request.authority),
        (b":scheme", request.scheme),
    )
    headers = tuple(
        pair
        for pair in request.headers
        if pair[0] not in _OF_HTTP1 and (pair[0] != b"te" or pair[1] == b"trailers")
    )
    return (*pseudo, *headers)
