"""From what may go on to the bytes of an answer, with all that is said beside it."""

from collections.abc import Callable

from mixer.api.ext_proc.half import REQUEST, RESPONSE, Passed, Phases
from mixer.api.ext_proc.modes import Modes, encode_override
from mixer.api.ext_proc.responses import Reply, encode, encode_streamed, encode_told
from mixer.engine import HttpExchange, Sees


class Composer:
    """Composes the answers of one stream.

    Args:
        exchange: The stream in the engine.
        modes: What the filter sends.
        may_override: See `mixer.api.ext_proc.process.ProcessStream`.
    """

    __slots__ = ("_buffered", "_exchange", "_may_override", "_modes", "_told")

    def __init__(
        self, exchange: HttpExchange, modes: Modes, may_override: Callable[[], bool]
    ) -> None:
        self._exchange = exchange
        self._modes = modes
        self._may_override = may_override
        self._told = False
        self._buffered = Sees.NOTHING

    def tell_nothing(self) -> None:
        """Say nothing of what was decided: nothing was."""
        self._told = True

    def may_buffer(self) -> bool:
        """Whether the filter can be made to send a whole body before the headers go on."""
        modes = self._modes
        return modes.told and not modes.full_duplex and self._may_override()

    def buffer(self, phases: Phases) -> None:
        """Have the answer to the headers ask for that."""
        self._buffered |= _BODIES[phases]

    def compose(self, passed: Passed) -> bytes:
        """An answer.

        Raises:
            InexpressibleError: A header cannot be set to what an adapter wants.
        """
        phase = passed.phase
        if passed.ends is not None:
            return encode_streamed(phase, passed.body or b"", end_of_stream=passed.ends)
        clears = phase in _ROUTED and self._clears_route_cache(passed)
        answer = encode(Reply(phase, passed.changes, clears, passed.body)) + self._news()
        if phase in _HEADERS:
            answer += encode_override(self._modes, self._exchange.sees, self._buffered)
        return answer

    def _clears_route_cache(self, passed: Passed) -> bool:
        """Whether the route is to be selected anew; Envoy does so when a module changes headers."""
        return self._exchange.take_cleared_route() or bool(passed.changes)

    def _news(self) -> bytes:
        """What was decided, told once: with the first answer after that."""
        if self._told or not self._exchange.request.headers_passed:
            return b""
        self._told = True
        return encode_told(self._exchange.decision)


_BODIES = {REQUEST: Sees.REQUEST_BODY, RESPONSE: Sees.RESPONSE_BODY}
_HEADERS = (REQUEST.headers, RESPONSE.headers)
_ROUTED = (REQUEST.headers, REQUEST.body)
