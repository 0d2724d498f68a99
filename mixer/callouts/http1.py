"""HTTP/1.1 with h11, without any socket: a request to bytes, bytes to a response.

h11 and not a whole client, because those leave trailers out.
"""

import re

import h11

from mixer.callouts.http_failures import Reset, ResetError
from mixer.callouts.http_request import Request
from mixer.callouts.http_response import MAX_HEAD_BYTES, Response
from mixer.callouts.ports import HttpReply, Pairs

_WITHOUT_LENGTH = frozenset({b"GET", b"HEAD"})
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")


class Http1Codec:
    """One connection to an upstream: one exchange after the other."""

    def __init__(self) -> None:
        self._protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._response: Response | None = None
        self._silent = True

    @property
    def reusable(self) -> bool:
        """Whether the exchange is over and another one may follow it."""
        return self._response is None and self._protocol.our_state is h11.IDLE

    def send(self, request: Request) -> bytes:
        """Begin an exchange; the bytes to write.

        Raises:
            ResetError: It is no HTTP/1.1 request.
        """
        head = h11.Request(
            method=request.method, target=request.path, headers=[*_head_fields(request)]
        )
        body = [h11.Data(request.body)] if request.body else []
        events = [head, *body, h11.EndOfMessage(headers=list(request.trailers))]
        self._response, self._silent = Response(request.max_response_bytes), True
        return b"".join(self._protocol.send(event) or b"" for event in events)

    def receive(self, data: bytes) -> HttpReply | None:
        """Take bytes of the upstream, none for its end; the response once it is whole.

        Raises:
            ResetError: What came is no HTTP/1.1, or the end came too early.
            ResponseTooLargeError: The body exceeds its bound.
        """
        if not data and self._silent:
            raise ResetError(Reset.CONNECTION_TERMINATION)
        self._silent = False
        try:
            self._protocol.receive_data(data)
            return self._take_events()
        except (h11.RemoteProtocolError, h11.LocalProtocolError):
            raise ResetError(Reset.PROTOCOL_ERROR) from None

    @property
    def has_headers(self) -> bool:
        """Whether the headers of the response under way are there."""
        return self._response is not None and self._response.has_headers

    def _take_events(self) -> HttpReply | None:
        assert self._response is not None
        # Until there is no event but a mark: more data is needed, or the response is whole.
        while isinstance(event := self._protocol.next_event(), h11.Event):
            if isinstance(event, h11.Response):
                self._response.add_headers(str(event.status_code).encode(), _received(event))
            elif isinstance(event, h11.InformationalResponse) and event.status_code == 101:
                self._response.add_headers(b"101", _received(event))
                return self._finish()
            elif isinstance(event, h11.Data):
                self._response.add_body(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                self._response.add_trailers(_pairs(event))
                return self._finish()
        return None

    def _finish(self) -> HttpReply:
        assert self._response is not None
        reply, self._response = self._response.reply(), None
        # Bytes behind the response are nobody's: a connection that has some is not used again.
        both_done = self._protocol.our_state is self._protocol.their_state is h11.DONE
        if both_done and not self._protocol.trailing_data[0]:
            self._protocol.start_next_cycle()
        return reply


def _head_fields(request: Request) -> Pairs:
    headers = ((b"host", request.authority), *request.headers)
    if request.trailers:
        others = tuple(pair for pair in headers if pair[0] != b"content-length")
        return (*others, (b"transfer-encoding", b"chunked"))
    if request.body or request.method in _WITHOUT_LENGTH:
        return headers
    return (*headers, (b"content-length", b"0"))


def _pairs(event: h11.InformationalResponse | h11.Response | h11.EndOfMessage) -> Pairs:
    return tuple((bytes(name), bytes(value)) for name, value in event.headers)


def _received(event: h11.InformationalResponse | h11.Response) -> Pairs:
    headers = _pairs(event)
    names = [name for name, _ in headers]
    # Of two lengths, others on the way may take the other one.
    lengths = names.count(b"content-length") + (b"transfer-encoding" in names)
    if lengths > 1 or not all(_VALUE.fullmatch(value) for _, value in headers):
        raise ResetError(Reset.PROTOCOL_ERROR)
    return tuple(pair for pair in headers if pair[0] != b"keep-alive")
