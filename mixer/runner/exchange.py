"""One stream through one plugin, piece by piece, in Envoy's order."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mixer.attributes import HeaderMap
from mixer.proxywasm import HttpMessage, HttpStream, Outcome, StreamContext, local_reply

TextPairs = tuple[tuple[str, str], ...]

Pauses = Generator[None, None, Outcome]
"""Gives control back wherever the stream waits; goes on with what has become of it."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """What follows the headers of a message.

    Attributes:
        body: The pieces of the body, in order; none for a message without one.
        trailers: None where there are none.
        metadata: Of HTTP/2, by name: one for each block, which come before the body.
    """

    body: Sequence[bytes] = ()
    trailers: TextPairs | None = None
    metadata: Sequence[Mapping[str, str]] = ()

    def follow(self) -> bool:
        """Whether there are any."""
        return bool(self.body) or self.trailers is not None


@dataclass(frozen=True, slots=True)
class RunResponse:
    """What the upstream answers.

    Attributes:
        headers: Response headers, ``:status`` included.
        pieces: What follows them.
    """

    headers: TextPairs
    pieces: Pieces = Pieces()


class _Callbacks(NamedTuple):
    """Of one message, after its headers."""

    metadata: Callable[[Mapping[str, str]], Outcome]
    body: Callable[..., Outcome]
    trailers: Callable[[], Outcome]


class Exchange:
    """Drives a stream context.

    Args:
        context: The plugin's.
        request: What follows the headers of its request.
        response: What the upstream answers, or None to end with the request.
    """

    def __init__(
        self, context: StreamContext, request: Pieces, response: RunResponse | None
    ) -> None:
        self._context = context
        self._stream: HttpStream = context.stream
        self._request = request
        self._response = response

    def run(self) -> Pauses:
        """Make the callbacks of the request, then those of its response.

        Returns:
            RESPOND if the client gets the module's answer, CONTINUE if it gets the upstream's.

        Raises:
            TrapError: One of them trapped.
        """
        context, message = self._context, self._stream.request
        outcome = context.on_request_headers(end_of_stream=not self._request.follow())
        callbacks = _Callbacks(
            context.on_request_metadata, context.on_request_body, context.on_request_trailers
        )
        outcome = yield from self._follow(outcome, message, self._request, callbacks)
        if outcome is Outcome.RESPOND:
            return (yield from self._answer())
        if outcome is Outcome.CONTINUE and self._response is not None:
            headers = HeaderMap.of(*self._response.headers)
            return (yield from self._respond(HttpMessage(headers), self._response.pieces))
        return outcome

    def _answer(self) -> Pauses:
        reply = self._local_reply()
        outcome = yield from self._respond(reply, Pieces((reply.body,) if reply.body else ()))
        return Outcome.RESPOND if outcome is Outcome.CONTINUE else outcome

    def _respond(self, message: HttpMessage, pieces: Pieces) -> Pauses:
        context = self._context
        self._stream.response = message
        outcome = context.on_response_headers(end_of_stream=not pieces.follow())
        callbacks = _Callbacks(
            context.on_response_metadata, context.on_response_body, context.on_response_trailers
        )
        outcome = yield from self._follow(outcome, message, pieces, callbacks)
        if outcome is Outcome.RESPOND:
            self._stream.response = self._local_reply()
        return outcome

    def _local_reply(self) -> HttpMessage:
        local = self._stream.local_response
        assert local is not None
        return local_reply(local)

    def _follow(
        self,
        outcome: Outcome,
        message: HttpMessage,
        pieces: Pieces,
        callbacks: _Callbacks,
    ) -> Pauses:
        """Go on after the headers; the message then has the whole body that goes on."""
        outcome = yield from self._waited(outcome)
        if outcome not in (Outcome.CONTINUE, Outcome.HOLD):
            return outcome
        for metadata in pieces.metadata:
            told = callbacks.metadata(metadata)
            if told is not Outcome.CONTINUE:
                return told
        sent = []
        for number, piece in enumerate(pieces.body, 1):
            message.body = piece
            message.received += len(piece)
            last = number == len(pieces.body) and pieces.trailers is None
            outcome = callbacks.body(end_of_stream=last)
            if last:
                outcome = yield from self._waited(outcome)
            sent.append(message.body)
            message.sent += len(message.body)
            if outcome in (Outcome.RESPOND, Outcome.RESET):
                return outcome
        if pieces.trailers is not None:
            message.body, message.trailers = b"", HeaderMap.of(*pieces.trailers)
            outcome = yield from self._waited(callbacks.trailers())
            sent.append(message.body)
        message.body = b"".join(sent)
        message.correct_content_length()
        return outcome

    def _waited(self, outcome: Outcome) -> Pauses:
        """Let whoever drives this wait while the stream is paused and something can resume it."""
        while outcome is Outcome.PAUSE and self._context.vm.may_resume(self._context):
            yield
            if self._context.vm.closed:
                return Outcome.RESET
            resumed = self._context.on_resume()
            if resumed is outcome:
                break  # nobody resumed it in the time that there was
            outcome = resumed
        return outcome
