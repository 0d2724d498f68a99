"""The HTTP stream context: one request, and its response, in one plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixer.proxywasm.abi import Action
from mixer.proxywasm.lifecycle import Event, advance
from mixer.proxywasm.message_view import MessageView, Outcome, Pause
from mixer.proxywasm.stream_access import StreamAccess

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixer.proxywasm.contexts import RootContext
    from mixer.proxywasm.http_stream import HttpStream, LocalResponse
    from mixer.proxywasm.reads import Reads
    from mixer.vm import GuestFunction


class StreamContext(StreamAccess):
    """One HTTP stream in one plugin.

    A front end drives it piece by piece: it puts a piece of a body into the message, makes the
    callback, and finds in the message what goes on.

    Args:
        root: The plugin.
        stream: The request, shared by all adapters of the chain.
        reads: Where to record what the module reads, or None.
    """

    __slots__ = ()

    def __init__(self, root: RootContext, stream: HttpStream, reads: Reads | None = None) -> None:
        super().__init__(root, stream, reads)
        root.vm.contexts[self.id] = self
        self.vm.call(self, self.vm.callbacks.on_context_create, self.id, root.id)

    def on_request_headers(self, *, end_of_stream: bool) -> Outcome:
        """Run ``proxy_on_request_headers``. Raises TrapError."""
        self._state = advance(self._state, Event.REQUEST_HEADERS)
        callback = self.vm.callbacks.on_request_headers
        # An answer counts even if it was sent as the context was created.
        return self._on_headers(self._request, callback, None, end_of_stream=end_of_stream)

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
        answered = self.stream.local_response
        return self._on_headers(view, callback, answered, end_of_stream=end_of_stream)

    def on_response_body(self, *, end_of_stream: bool) -> Outcome:
        """Run ``proxy_on_response_body`` over a piece of the body; see `on_request_body`.

        A local response resets the stream where the headers of this one are gone already.

        Raises:
            TrapError: It trapped.
        """
        self._state = advance(self._state, Event.RESPONSE_BODY)
        view, callback = self._sent_response(), self.vm.callbacks.on_response_body
        is_sent = not view.headers_open
        return self._on_body(view, callback, end_of_stream=end_of_stream, is_sent=is_sent)

    def on_response_trailers(self) -> Outcome:
        """Run ``proxy_on_response_trailers``; see `on_request_trailers`. Raises TrapError."""
        self._state = advance(self._state, Event.RESPONSE_TRAILERS)
        view, callback = self._sent_response(), self.vm.callbacks.on_response_trailers
        return self._on_trailers(view, callback, is_sent=not view.headers_open)

    def on_request_metadata(self, metadata: Mapping[str, str]) -> Outcome:
        """Run ``proxy_on_request_metadata``: the module is told how many names there are.

        It can read none of them, and they go on whatever it returns. A pause stays as it is.

        Args:
            metadata: What one block of HTTP/2 METADATA frames has.

        Raises:
            TrapError: It trapped.
        """
        self._state = advance(self._state, Event.REQUEST_METADATA)
        return self._on_metadata(self.vm.callbacks.on_request_metadata, len(metadata))

    def on_response_metadata(self, metadata: Mapping[str, str]) -> Outcome:
        """Run ``proxy_on_response_metadata``; see `on_request_metadata`. Raises TrapError."""
        self._state = advance(self._state, Event.RESPONSE_METADATA)
        outcome = self._on_metadata(self.vm.callbacks.on_response_metadata, len(metadata))
        return outcome if self._sent_response().headers_open else _too_late(outcome)

    @property
    def pause(self) -> Pause | None:
        """What the stream waits with since the last callback that paused it."""
        return self._paused

    def on_resume(self, pause: Pause | None = None) -> Outcome:
        """What has become of a pause, after `wait` told of a change; PAUSE if it goes on.

        Args:
            pause: Which one, where request and response may both be held back; else the last.
        """
        pause = pause or self._paused
        assert pause is not None
        view, answered, is_sent = pause
        outcome = self._outcome(view, Action.STOP_ITERATION, answered)
        if outcome is not Outcome.PAUSE:
            view.release()
        return _too_late(outcome) if is_sent else outcome

    def _sent_response(self) -> MessageView:
        assert self._response is not None
        return self._response

    def _on_headers(
        self,
        view: MessageView,
        callback: GuestFunction,
        answered: LocalResponse | None,
        *,
        end_of_stream: bool,
    ) -> Outcome:
        view.headers_open, view.resumed = True, False
        action = self.vm.call(self, callback, self.id, view.message.headers.count(), end_of_stream)
        outcome = self._outcome(view, action, answered)
        if outcome is not Outcome.PAUSE:
            view.headers_open = False
            return outcome
        self._paused = Pause(view, answered, is_sent=False)
        return Outcome.HOLD if not end_of_stream and self._holds(action) else outcome

    def _holds(self, action: int) -> bool:
        return action == Action.STOP_ITERATION and (
            self.root.allow_on_headers_stop_iteration or self.vm.abi.traits.native_stop_iteration
        )

    def _on_body(
        self,
        view: MessageView,
        callback: GuestFunction,
        *,
        end_of_stream: bool,
        is_sent: bool = False,
    ) -> Outcome:
        answered = self.stream.local_response
        size = view.open_body(end_of_stream=end_of_stream)
        action = self.vm.call(self, callback, self.id, size, end_of_stream)
        outcome = self._outcome(view, action, answered)
        view.close_body(action, outcome)
        return self._paused_or(outcome, view, answered, is_sent=is_sent)

    def _on_trailers(
        self, view: MessageView, callback: GuestFunction, *, is_sent: bool = False
    ) -> Outcome:
        answered = self.stream.local_response
        count = view.open_trailers()
        action = self.vm.call(self, callback, self.id, count)
        outcome = self._outcome(view, action, answered)
        view.close_trailers(outcome)
        return self._paused_or(outcome, view, answered, is_sent=is_sent)

    def _on_metadata(self, callback: GuestFunction, count: int) -> Outcome:
        answered = self.stream.local_response
        self.vm.call(self, callback, self.id, count)
        if self.stream.local_response is not answered:
            return Outcome.RESPOND
        return Outcome.RESET if self.stream.reset else Outcome.CONTINUE

    def _paused_or(
        self, outcome: Outcome, view: MessageView, answered: LocalResponse | None, *, is_sent: bool
    ) -> Outcome:
        if outcome is Outcome.PAUSE:
            self._paused = Pause(view, answered, is_sent)
            return outcome
        return _too_late(outcome) if is_sent else outcome

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
            if self.vm.takes:
                self.vm.takes.forget(self)
            if self.vm.retired:
                self.vm.release()

    def _close(self, event: Event) -> None:
        self._state = advance(self._state, event)
        self._request.close()
        if self._response is not None:
            self._response.close()


def _too_late(outcome: Outcome) -> Outcome:
    """The headers are gone: an answer can only break the response off."""
    return Outcome.RESET if outcome is Outcome.RESPOND else outcome
