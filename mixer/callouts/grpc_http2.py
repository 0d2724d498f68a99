"""gRPC's use of HTTP/2 with h2, without any socket: many exchanges on one connection."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import h2.events
import h2.exceptions
from h2.errors import ErrorCodes
from hyperframe.exceptions import HyperframeError

from mixer.callouts.goaway import GoAwayFilter
from mixer.callouts.grpc_exchange import Exchange
from mixer.callouts.grpc_status import PROTOCOL_ERROR, REFUSED, REMOTE_RESET, Failure
from mixer.callouts.http2_connection import MOST_AT_FIRST, cancel, connect, is_used_up
from mixer.callouts.ports import Pairs

_RESETS = {
    ErrorCodes.PROTOCOL_ERROR: PROTOCOL_ERROR,
    ErrorCodes.REFUSED_STREAM: REFUSED,
}


class BrokenConnectionError(Exception):
    """What the server sent is no HTTP/2."""


@dataclass(slots=True)
class _Stream:
    exchange: Exchange
    unsent: bytearray = field(default_factory=bytearray)
    end: bool = False
    end_sent: bool = False


class GrpcHttp2:
    """One connection. The bytes to write are taken from ``to_send`` after every call.

    Attributes:
        answers: See `mixer.callouts.flood.Answering`.
    """

    def __init__(self) -> None:
        self._protocol = connect()
        self._goaway = GoAwayFilter()
        self._streams: dict[int, _Stream] = {}
        self._closing = False
        self._most = MOST_AT_FIRST
        self._unwritten = bytearray()
        self.answers = 0

    @property
    def open_streams(self) -> int:
        """How many exchanges are under way."""
        return len(self._streams)

    @property
    def capacity(self) -> int:
        """How many exchanges may begin now."""
        if self._closing or is_used_up(self._protocol):
            return 0
        return self._most - len(self._streams)

    def to_send(self) -> bytes:
        """Take the bytes to write."""
        self._unwritten += self._protocol.data_to_send()
        taken, self._unwritten = bytes(self._unwritten), bytearray()
        return taken

    def open(self, headers: Pairs, exchange: Exchange) -> int:
        """Begin an exchange; its number."""
        number = self._protocol.get_next_available_stream_id()
        self._protocol.send_headers(number, list(headers))
        self._streams[number] = _Stream(exchange)
        return number

    def unsent(self, number: int) -> int:
        """Bytes that the server has no room for yet."""
        stream = self._streams.get(number)
        return 0 if stream is None else len(stream.unsent)

    def unwritten(self) -> int:
        """Bytes to write that nobody took yet."""
        self._unwritten += self._protocol.data_to_send()
        return len(self._unwritten)

    def send(self, number: int, data: bytes, *, end: bool) -> None:
        """Send a part of a body, as soon as the server has room; nothing after its end."""
        stream = self._streams.get(number)
        if stream is not None and not stream.end:
            stream.unsent += data
            stream.end = end
            self._push(number, stream)

    def reset(self, number: int) -> None:
        """Give an exchange up."""
        if self._streams.pop(number, None) is not None:
            cancel(self._protocol, number)

    def receive(self, data: bytes) -> None:
        """Take bytes of the server, and tell the exchanges.

        Raises:
            BrokenConnectionError: They are no HTTP/2.
        """
        try:
            data, goaways = self._goaway.receive(data)
            self._unwritten += self._protocol.data_to_send()
            events = self._protocol.receive_data(data)
            answers = self._protocol.data_to_send()
            self._unwritten += answers
            self.answers += len(answers)
            for event in events:
                handle = _HANDLERS.get(type(event))
                if handle is not None:
                    handle(self, event)
            for goaway in goaways:
                self._refuse_above(goaway.last_stream)
        except (h2.exceptions.ProtocolError, HyperframeError) as error:
            raise BrokenConnectionError(str(error)) from None

    def lost(self, failure: Failure) -> None:
        """The connection is gone: all exchanges are over."""
        self._closing = True
        streams, self._streams = self._streams, {}
        for stream in streams.values():
            stream.exchange.lost(failure)

    def _push(self, number: int, stream: _Stream) -> None:
        while stream.unsent:
            room = self._protocol.local_flow_control_window(number)
            size = min(room, self._protocol.max_outbound_frame_size, len(stream.unsent))
            if size <= 0:
                return
            piece = bytes(stream.unsent[:size])
            del stream.unsent[:size]
            stream.end_sent = stream.end and not stream.unsent
            self._protocol.send_data(number, piece, end_stream=stream.end_sent)
        if stream.end and not stream.end_sent:
            stream.end_sent = True
            self._protocol.end_stream(number)

    def _refuse_above(self, last_stream: int) -> None:
        self._closing = True
        for number in [one for one in self._streams if one > last_stream]:
            self._streams.pop(number).exchange.lost(REFUSED)

    def _on_headers(self, event: Any) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is not None:
            end = event.stream_ended is not None
            stream.exchange.headers(tuple(event.headers), end=end)
            self._forget_ended(event.stream_id, stream)

    def _on_data(self, event: Any) -> None:
        self._protocol.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        stream = self._streams.get(event.stream_id)
        if stream is not None:
            stream.exchange.data(event.data, end=event.stream_ended is not None)
            self._forget_ended(event.stream_id, stream)

    def _on_trailers(self, event: Any) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is not None:
            stream.exchange.trailers(tuple(event.headers))
            self._forget_ended(event.stream_id, stream)

    def _forget_ended(self, number: int, stream: _Stream) -> None:
        """What has its answer needs no more of the server, nor the server of it."""
        if stream.exchange.ended:
            self.reset(number)

    def _on_reset(self, event: Any) -> None:
        stream = self._streams.pop(event.stream_id, None)
        if stream is not None:
            stream.exchange.lost(_RESETS.get(event.error_code, REMOTE_RESET))

    def _on_settings(self, event: Any) -> None:
        self._most = self._protocol.remote_settings.max_concurrent_streams
        self._on_room(event)

    def _on_room(self, _event: Any) -> None:
        for number, stream in list(self._streams.items()):
            if not stream.end_sent:
                self._push(number, stream)


_HANDLERS: dict[type[h2.events.Event], Callable[[GrpcHttp2, Any], None]] = {
    h2.events.ResponseReceived: GrpcHttp2._on_headers,
    h2.events.DataReceived: GrpcHttp2._on_data,
    h2.events.TrailersReceived: GrpcHttp2._on_trailers,
    h2.events.StreamReset: GrpcHttp2._on_reset,
    h2.events.WindowUpdated: GrpcHttp2._on_room,
    h2.events.RemoteSettingsChanged: GrpcHttp2._on_settings,
}
