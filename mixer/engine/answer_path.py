"""The way of a local response back through the adapters, the last one first, as in Envoy."""

from collections.abc import Callable, Generator, Iterable, MutableMapping

from mixer.engine.adapter import Adapter
from mixer.engine.decision import Response
from mixer.engine.failure import misled
from mixer.engine.pausing import PAUSED_FOR_EVER, Paused, living, may_resume
from mixer.proxywasm import HttpMessage, HttpStream, Outcome, StreamContext, local_reply
from mixer.vm import TrapError

_NOT_SENT = (b":status", b"content-length")
"""What the proxy derives by itself."""


class AnswerPath:
    """A local response on its way back.

    Args:
        stream: The stream that was answered.
        contexts: Its contexts; one whose VM trapped is taken out.
    """

    def __init__(
        self, stream: HttpStream, contexts: MutableMapping[Adapter, StreamContext]
    ) -> None:
        self._stream = stream
        self._contexts = contexts

    def run(self, adapters: Iterable[Adapter]) -> Generator[Paused, None, Response]:
        """Make the response callbacks of these adapters, in order; what is left of the response.

        Raises:
            AdapterFailure: An adapter trapped, closed the stream, or paused the response for ever.
        """
        message = self._make()
        for adapter in adapters:
            outcome = yield from self._pass(adapter, message)
            if outcome is Outcome.RESPOND:
                message = self._make()
                break
            if outcome is not Outcome.CONTINUE:
                reason = "closed_the_stream" if outcome is Outcome.RESET else PAUSED_FOR_EVER
                adapter.note_failure(reason)
                raise misled(adapter.name, reason)
        return response_of(message)

    def _make(self) -> HttpMessage:
        local = self._stream.local_response
        assert local is not None
        message = self._stream.response = local_reply(local)
        return message

    def _pass(self, adapter: Adapter, message: HttpMessage) -> Generator[Paused, None, Outcome]:
        has_body = bool(message.body)
        context = self._contexts[adapter]
        outcome = yield from self._step(
            adapter, lambda: context.on_response_headers(end_of_stream=not has_body)
        )
        if has_body and outcome in (Outcome.CONTINUE, Outcome.HOLD):
            outcome = yield from self._step(
                adapter, lambda: context.on_response_body(end_of_stream=True)
            )
        return outcome

    def _step(
        self, adapter: Adapter, callback: Callable[[], Outcome]
    ) -> Generator[Paused, None, Outcome]:
        """Make a callback, and wait as long as the adapter pauses the response."""
        context = self._contexts[adapter]
        outcome = self._guarded(adapter, callback)
        while outcome is Outcome.PAUSE and may_resume(context):
            yield Paused(adapter, context)
            outcome = self._guarded(adapter, context.on_resume)
        return outcome

    def _guarded(self, adapter: Adapter, callback: Callable[[], Outcome]) -> Outcome:
        try:
            living(adapter, self._contexts[adapter])
            return callback()
        except TrapError as trap:  # an error with FAIL_OPEN too, as in Envoy
            self._contexts.pop(adapter, None)
            raise adapter.crashed(trap) from trap


def sees_responses(adapter: Adapter, context: StreamContext) -> bool:
    """Whether a response passes an adapter; one that lost its VM and fails open is passed over."""
    vm = context.vm
    return vm.callbacks.sees_responses and not (vm.closed and adapter.fails_open)


_DIGITS = 3


def response_of(message: HttpMessage) -> Response:
    """What a caller is told of a response; its status is 0 where it is no number."""
    status = message.headers.first(b":status") or b""
    headers = tuple(pair for pair in message.headers.pairs() if pair[0] not in _NOT_SENT)
    # A status that is no number is sent as the error that it is: see the front end's codec.
    usable = status.isdigit() and len(status) <= _DIGITS
    return Response(int(status) if usable else 0, headers, message.body)
