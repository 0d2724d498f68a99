"""The halves of a stream for each way in which a body can come."""

from collections.abc import Iterator

from mixer.api.ext_proc.errors import InexpressibleError
from mixer.api.ext_proc.half import Asked, Half, Passed, Phases
from mixer.api.ext_proc.lifecycle import Phase
from mixer.api.ext_proc.modes import BodyMode
from mixer.engine import Flow

NO_BODY = "waits_for_a_body_that_the_proxy_does_not_send"
TOO_LATE = "holds_a_body_until_the_trailers_which_needs_FULL_DUPLEX_STREAMED"

_CONTENT_LENGTH = b"content-length"


class PiecewiseHalf(Half):
    """Each piece of a body is answered for itself (STREAMED), or none comes (NONE).

    The headers go on before the body comes. A piece that an adapter holds back is answered with
    nothing, and goes on with a later one; the last one waits.

    Args:
        flow: See `Half`.
        phases: See `Half`.
        mode: See `Half`.
        body_before_answer: See `mixer.api.ext_proc.modes.Modes`.
    """

    __slots__ = ("_body_before_answer",)

    def __init__(
        self, flow: Flow, phases: Phases, mode: BodyMode, *, body_before_answer: bool
    ) -> None:
        super().__init__(flow, phases, mode)
        self._body_before_answer = body_before_answer

    @property
    def lacks_body(self) -> bool:
        """Whether an adapter holds the headers until it sees the body, which comes only later."""
        return self.flow.wants_body and not self._body_before_answer

    def _next(self, asked: Asked) -> Passed | None:
        if asked.phase is self._phases.headers:
            return self._headers()
        if asked.phase is self._phases.body:
            return self._piece(asked)
        trailers = self._trailers()
        if trailers is not None and self.flow.take_body():
            raise InexpressibleError(TOO_LATE)
        return trailers

    def _headers(self) -> Passed | None:
        flow = self.flow
        if flow.headers_passed:
            return Passed(self._phases.headers, flow.header_changes())
        if self.lacks_body and not flow.may_resume:
            raise InexpressibleError(NO_BODY)
        return None

    def _piece(self, asked: Asked) -> Passed | None:
        flow = self.flow
        if flow.holds and not flow.wants_more:
            return None
        if len(self._asked) > 1 and self._asked[1].phase is asked.phase:
            return Passed(asked.phase, body=b"")  # all goes on with the last one
        body = flow.take_body()
        return Passed(asked.phase, body=None if body == asked.body else body)


class BufferedHalf(Half):
    """The body comes as a whole, and the proxy keeps the headers until it is answered.

    In BUFFERED_PARTIAL only the beginning of a long body comes, and nothing tells that from a whole
    one that trailers follow.
    """

    __slots__ = ()

    def _next(self, asked: Asked) -> Passed | None:
        if asked.phase is self._phases.headers:
            return self._headers()
        return self._body(asked) if asked.phase is self._phases.body else self._trailers()

    def _headers(self) -> Passed | None:
        """The body comes once they are answered, so that this must not wait for it."""
        flow = self.flow
        if flow.headers_passed:
            return Passed(self._phases.headers, flow.header_changes())
        return Passed(self._phases.headers) if flow.wants_body else None

    def _body(self, asked: Asked) -> Passed | None:
        flow = self.flow
        if flow.holds:
            if flow.wants_more and self.mode is BodyMode.BUFFERED_PARTIAL:
                raise InexpressibleError(NO_BODY)
            return None
        body = flow.take_body()
        if body == asked.body:
            return Passed(asked.phase, flow.header_changes())
        headers = flow.message.headers
        if headers.first(_CONTENT_LENGTH) is not None:  # Envoy refuses one that is wrong
            headers.replace(_CONTENT_LENGTH, b"%d" % len(body))
        return Passed(asked.phase, flow.header_changes(), body)

    @property
    def wants_trailers(self) -> bool:
        """See `Half.wants_trailers`: they come only after the body was answered."""
        has_body = bool(self._asked) and self._asked[0].phase is self._phases.body
        return has_body and self.mode is BodyMode.BUFFERED and self.flow.wants_more


class DuplexHalf(Half):
    """What goes on is independent of what comes in, but for the order."""

    __slots__ = ("_ends_told", "_has_body", "_headers_told")

    def __init__(self, flow: Flow, phases: Phases, mode: BodyMode) -> None:
        super().__init__(flow, phases, mode)
        self._headers_told = self._has_body = self._ends_told = False

    def ask(self, phase: Phase, body: bytes = b"") -> None:
        """See `Half.ask`; a piece of the body has no answer of its own."""
        if phase is self._phases.body:
            self._has_body = True
        else:
            super().ask(phase, body)

    def answers(self) -> Iterator[Passed]:
        """See `Half.answers`."""
        if not self._headers_told:
            if not self.flow.headers_passed:
                return
            self._headers_told = True
            del self._asked[0]
            yield Passed(self._phases.headers, self.flow.header_changes())
        yield from self._body()
        yield from super().answers()

    def _body(self) -> Iterator[Passed]:
        flow = self.flow
        body = flow.take_body()
        ends = flow.complete and self._has_body and not self.has_trailers
        if body or (ends and not self._ends_told):
            self._ends_told = ends
            yield Passed(self._phases.body, body=body, ends=ends)

    def _next(self, _asked: Asked) -> Passed | None:
        return self._trailers()  # nothing else is left

    @property
    def must_wait(self) -> bool:
        """See `Half.must_wait`; the proxy sends on, which may be all that is waited for."""
        return self.flow.holds and not self.flow.wants_more


def half_for(mode: BodyMode, flow: Flow, phases: Phases, *, body_before_answer: bool) -> Half:
    """The half that a body needs which comes in this mode."""
    if mode is BodyMode.FULL_DUPLEX_STREAMED:
        return DuplexHalf(flow, phases, mode)
    if mode.holds_headers:
        return BufferedHalf(flow, phases, mode)
    return PiecewiseHalf(flow, phases, mode, body_before_answer=body_before_answer)
