"""One gRPC call or stream, sans-I/O: what a server's answer means, as Envoy's client reads it."""

from typing import Protocol

from mixer.callouts.grpc_messages import GrpcFramingError, MessageSplitter
from mixer.callouts.grpc_status import (
    INTERNAL,
    UNKNOWN,
    VIA_UPSTREAM,
    Failure,
    LocalAnswer,
    before_headers,
    closing_text,
    status_of,
    status_of_http,
)
from mixer.callouts.ports import GrpcEvents, GrpcReply, Pairs


class Exchange:
    """Takes what comes on one HTTP/2 stream, and tells what it means.

    Args:
        events: Whom to tell.
        longest: Bytes of one message.
    """

    def __init__(self, events: GrpcEvents, longest: int) -> None:
        self._events = events
        self._messages = MessageSplitter(longest)
        self._started = False
        self.ended = False

    def headers(self, fields: Pairs, *, end: bool) -> None:
        """The server's headers; those that are all of its answer are its trailers too."""
        self._started = True
        found = dict(fields)
        fine = found.get(b":status") == b"200"
        self._events.on_initial_metadata(fields if fine and not end else ())
        if end and (fine or b"grpc-status" in found):
            self.trailers(fields)
        elif not fine:
            self._fail(status_of_http(found.get(b":status", b"")))

    def data(self, data: bytes, *, end: bool) -> None:
        """A part of the body."""
        if self.ended:
            return
        try:
            for message in self._messages.feed(data):
                self._events.on_message(message)
        except GrpcFramingError:
            self._fail(INTERNAL)
        else:
            if end:
                self._fail(UNKNOWN)

    def trailers(self, fields: Pairs) -> None:
        """The server's trailers: the regular end."""
        if not self.ended:
            status, message = status_of(fields)
            self._close(fields, status, closing_text(message, VIA_UPSTREAM))

    def lost(self, failure: Failure) -> None:
        """The stream was reset, or the connection ended."""
        if self._started:
            self._fail(INTERNAL, failure.details("after"))
        else:
            self.answer(before_headers(failure))

    def answer(self, local: LocalAnswer) -> None:
        """This side answers in the server's place, as far as that has not begun."""
        if self._started:
            self._fail(INTERNAL, local.details)
        elif not self.ended:
            self._events.on_initial_metadata(())
            text = closing_text(local.message, local.details)
            self._close(local.headers, local.status, text)

    def _fail(self, status: int, details: str = VIA_UPSTREAM) -> None:
        if not self.ended:
            self._close((), status, details)

    def _close(self, trailers: Pairs, status: int, text: str) -> None:
        self.ended = True
        self._events.on_trailing_metadata(trailers)
        self._events.on_close(status, text)


class Done(Protocol):
    """Told how a unary call ended."""

    def __call__(self, reply: GrpcReply, /) -> None:
        """Once."""


class UnaryEvents:
    """Makes one reply of what a stream tells, as Envoy does: the last message counts.

    Args:
        done: Gets the reply.
    """

    def __init__(self, done: Done) -> None:
        self._done = done
        self._message: bytes | None = None

    def on_initial_metadata(self, metadata: Pairs) -> None:
        """See `GrpcEvents`; nobody asks for it."""

    def on_message(self, message: bytes) -> None:
        """See `GrpcEvents`."""
        self._message = message

    def on_trailing_metadata(self, metadata: Pairs) -> None:
        """See `GrpcEvents`; nobody asks for it."""

    def on_close(self, status: int, message: str) -> None:
        """See `GrpcEvents`."""
        if status:
            self._done(GrpcReply(status, message))
        elif self._message is None:
            self._done(GrpcReply(INTERNAL))
        else:
            self._done(GrpcReply(0, message, self._message))
