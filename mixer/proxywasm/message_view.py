"""One message of a stream as one plugin sees it: what is open to it now, and what it holds back."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

from mixer.proxywasm.abi import Action

if TYPE_CHECKING:
    from mixer.attributes import HeaderMap
    from mixer.proxywasm.http_stream import HttpMessage, LocalResponse

_DROP = 3
"""What a body callback returns to have its bytes dropped: StopIterationNoBuffer."""


class Outcome(Enum):
    """What the host must do after a callback."""

    CONTINUE = auto()
    """Hand the message to the next adapter."""
    HOLD = auto()
    """Keep the headers back, and go on with the body in this adapter."""
    PAUSE = auto()
    """Wait until the module resumes the stream."""
    RESPOND = auto()
    """The module sent a local response."""
    RESET = auto()
    """The module closed the stream."""


class Pause(NamedTuple):
    """What a stream waits with.

    Attributes:
        view: The message that is held back.
        answered: The local response that there was before.
        is_sent: Whether the headers of the message are gone already.
    """

    view: MessageView
    answered: LocalResponse | None
    is_sent: bool


class MessageView:
    """A request or a response in one plugin.

    Attributes:
        message: The message.
        headers_open: Whether the module can reach the headers now.
        body_open: Whether it can reach the body now.
        trailers_open: Whether it can reach the trailers now.
        resumed: Whether it resumed the message in the current callback.
    """

    __slots__ = (
        "_buffers",
        "_ends",
        "_held",
        "body_open",
        "headers_open",
        "message",
        "resumed",
        "trailers_open",
    )

    def __init__(self, message: HttpMessage) -> None:
        self.message = message
        self.headers_open = self.body_open = self.trailers_open = self.resumed = False
        self._held = b""
        self._ends = self._buffers = False

    def outcome(self, action: int) -> Outcome:
        """What an action means where the module neither answered nor closed the stream."""
        if self.resumed or action in (Action.CONTINUE, Action.CONTINUE_AND_END_STREAM):
            return Outcome.CONTINUE
        return Outcome.PAUSE

    def open_body(self, *, end_of_stream: bool) -> int:
        """Let the module at the body, what it holds back included; how many bytes that are."""
        message = self.message
        if self._buffers:
            message.body = self._take_held() + message.body
        self.body_open, self.resumed, self._ends = True, False, end_of_stream
        return len(message.body)

    def close_body(self, action: int, outcome: Outcome) -> None:
        """Let the body go on, hold it back or drop it.

        What was held back before cannot be dropped any more, only hidden until it is held again.
        """
        self.body_open = False
        message = self.message
        if outcome is not Outcome.PAUSE:
            self.release()
            return
        if action != _DROP or self._buffers:
            self._held += message.body
        message.body = b""
        self._buffers = action != _DROP

    def body(self) -> bytes | None:
        """The body, where the module can reach it now: in its callbacks, and while it buffers."""
        if self.body_open:
            return self.message.body
        return self._held if self._buffers else None

    @property
    def held(self) -> bytes:
        """What the module holds back of the body."""
        return self._held

    def set_body(self, content: bytes) -> None:
        """Replace what `body` tells."""
        if self.body_open:
            self.message.body = content
        else:
            self._held = content
        self.message.body_changed = True

    def release(self) -> None:
        """Let go on what a pause held back."""
        if self._held:
            self.message.body = self._take_held() + self.message.body
        self.headers_open = self.trailers_open = self._buffers = False

    def _take_held(self) -> bytes:
        held, self._held = self._held, b""
        return held

    def open_trailers(self) -> int:
        """Let the module at the trailers, and at a body that it holds back; how many there are."""
        trailers = self.message.add_trailers()
        self.trailers_open, self.resumed, self._ends = True, False, False
        self.body_open = self._buffers
        self.message.body = self._take_held()
        return trailers.count()

    def close_trailers(self, outcome: Outcome) -> None:
        """Let the trailers go on, with all of the body that was held back, or hold them too."""
        self.body_open = False
        if outcome is Outcome.PAUSE:
            self._held, self.message.body = self.message.body, b""
        else:
            self.headers_open = self.trailers_open = False

    def close(self) -> None:
        """Nothing of the message is open any more."""
        self.headers_open = self.body_open = self.trailers_open = False

    def trailers(self) -> HeaderMap | None:
        """The trailers, where the module can read them now."""
        return self.message.trailers if self.trailers_open else None

    def writable_trailers(self) -> HeaderMap | None:
        """The trailers, where the module can change them now; the last piece of a body has some."""
        if self.body_open and self._ends:
            self.trailers_open = True
            return self.message.add_trailers()
        return self.trailers()
