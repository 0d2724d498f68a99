"""When the messages about a request, or about a response, are answered, and with what.

A half notes what the proxy waits for, and hands out answers as the adapters let things go. In what
way depends on how the body comes.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

from mixer.api.ext_proc.errors import InexpressibleError
from mixer.api.ext_proc.lifecycle import Phase
from mixer.api.ext_proc.modes import BodyMode
from mixer.attributes import HeaderChange
from mixer.engine import Flow

NO_BODY = "waits_for_a_body_that_the_proxy_does_not_send"
TOO_LATE = "holds_a_body_until_the_trailers_which_needs_FULL_DUPLEX_STREAMED"

_CONTENT_LENGTH = b"content-length"


class Phases(NamedTuple):
    """What the messages of one half are about."""

    headers: Phase
    body: Phase
    trailers: Phase


REQUEST = Phases(Phase.REQUEST_HEADERS, Phase.REQUEST_BODY, Phase.REQUEST_TRAILERS)
RESPONSE = Phases(Phase.RESPONSE_HEADERS, Phase.RESPONSE_BODY, Phase.RESPONSE_TRAILERS)


class Asked(NamedTuple):
    """A message that the proxy waits to be answered.

    Attributes:
        phase: What it is about.
        body: What it has of the body.
    """

    phase: Phase
    body: bytes


class Passed(NamedTuple):
    """What may go on: an answer.

    Attributes:
        phase: What it is about.
        changes: Of headers or trailers.
        body: What goes on in place of the body, or of the piece; None if that itself does.
        ends: In full duplex, of a piece of the body: whether it is the last; else None.
    """

    phase: Phase
    changes: tuple[HeaderChange, ...] = ()
    body: bytes | None = None
    ends: bool | None = None


class Half(ABC):
    """The request or the response.

    Args:
        flow: As it passes the adapters.
        phases: What its messages are about.
        mode: How the body comes.

    Attributes:
        flow: As given.
        mode: As given.
        has_trailers: Whether the adapters were told of trailers.
    """

    __slots__ = ("_asked", "_phases", "flow", "has_trailers", "mode")

    def __init__(self, flow: Flow, phases: Phases, mode: BodyMode) -> None:
        self.flow = flow
        self.mode = mode
        self.has_trailers = False
        self._phases = phases
        self._asked: list[Asked] = []  # few at a time

    def ask(self, phase: Phase, body: bytes = b"") -> None:
        """Note a message that came."""
        self._asked.append(Asked(phase, body))

    def answers(self) -> Iterator[Passed]:
        """What may go on now, in order.

        Raises:
            InexpressibleError: The adapters want what cannot be had in this mode.
        """
        while self._asked:
            passed = self._next(self._asked[0])
            if passed is None:
                return
            del self._asked[0]
            yield passed

    @abstractmethod
    def _next(self, asked: Asked) -> Passed | None:
        """The answer to the first message that waits, or None where it has to wait."""

    @property
    def must_wait(self) -> bool:
        """Whether the proxy waits for something that the adapters hold back."""
        return bool(self._asked)

    @property
    def wants_trailers(self) -> bool:
        """Whether nothing but trailers, which may never come, would have the body go on."""
        return False

    def _trailers(self) -> Passed | None:
        if not self.flow.complete:
            return None
        return Passed(self._phases.trailers, self.flow.trailer_changes())


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
