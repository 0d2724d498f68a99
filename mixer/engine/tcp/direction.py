"""One direction of a connection: what came in, and what came through."""

from enum import IntEnum, auto

from mixer.proxywasm import TcpFlow, TcpLifecycleError


class DirectionState(IntEnum):
    """How far one direction has come."""

    UNCONNECTED = auto()
    OPEN = auto()
    ENDED = auto()


class DirectionEvent(IntEnum):
    """What happens to it next."""

    CONNECT = auto()
    DATA = auto()
    LAST_DATA = auto()


_NEXT = {
    (DirectionState.UNCONNECTED, DirectionEvent.CONNECT): DirectionState.OPEN,
    (DirectionState.OPEN, DirectionEvent.DATA): DirectionState.OPEN,
    (DirectionState.OPEN, DirectionEvent.LAST_DATA): DirectionState.ENDED,
}


def advance(state: DirectionState, event: DirectionEvent) -> DirectionState:
    """Return the state after an event. Raises TcpLifecycleError if the event is illegal there."""
    try:
        return _NEXT[state, event]
    except KeyError:
        raise TcpLifecycleError(f"{event.name} in state {state.name}") from None


class Direction:
    """What one side sends to the other.

    Args:
        flow: What the adapters reach of it.

    Attributes:
        ended: Whether its end came through.
    """

    __slots__ = ("_flow", "_state", "ended")

    def __init__(self, flow: TcpFlow) -> None:
        self._flow = flow
        self._state = DirectionState.UNCONNECTED
        self.ended = False

    def connect(self) -> None:
        """The connection begins. Raises TcpLifecycleError if it did so before."""
        self._state = advance(self._state, DirectionEvent.CONNECT)

    def put(self, data: bytes, *, end_of_stream: bool) -> None:
        """Take in what came. Raises TcpLifecycleError before the connection and after the end."""
        event = DirectionEvent.LAST_DATA if end_of_stream else DirectionEvent.DATA
        self._state = advance(self._state, event)
        self._flow.held += data

    @property
    def ends(self) -> bool:
        """Whether its end came in."""
        return self._state is DirectionState.ENDED

    @property
    def holds(self) -> bool:
        """Whether something of it has not come through."""
        return bool(self._flow.held) or (self.ends and not self.ended)

    @property
    def held_bytes(self) -> int:
        """How much came in and did not come through."""
        return len(self._flow.held)

    @property
    def has_passed(self) -> bool:
        """Whether something came through that was not taken."""
        return bool(self._flow.passed)

    def let_go(self) -> None:
        """Everything that came in comes through."""
        self._flow.let_go()
        self.ended = self.ends

    def take(self) -> bytes:
        """What came through since the last call."""
        passed, self._flow.passed = self._flow.passed, b""
        return passed
