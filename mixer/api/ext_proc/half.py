"""When the messages about a request, or about a response, are answered, and with what.

A half notes what the proxy waits for, and hands out answers as the adapters let things go. In what
way depends on how the body comes; see `mixer.api.ext_proc.halves`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

from mixer.api.ext_proc.lifecycle import Phase
from mixer.api.ext_proc.modes import BodyMode
from mixer.attributes import HeaderChange
from mixer.engine import Flow


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
