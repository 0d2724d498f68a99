"""The answers to the messages of one stream, as the adapters let things go on."""

from collections.abc import Callable, Iterator

from mixer.api.ext_proc.composing import Composer
from mixer.api.ext_proc.half import REQUEST, RESPONSE, Half, Phases
from mixer.api.ext_proc.halves import BufferedHalf, PiecewiseHalf, half_for
from mixer.api.ext_proc.lifecycle import Phase
from mixer.api.ext_proc.modes import BodyMode, Modes
from mixer.attributes import HeaderMap
from mixer.engine import Flow, HttpExchange


class Answering:
    """Answers what a proxy asked, each half in its order.

    Args:
        exchange: The stream in the engine.
        modes: What the filter sends.
        may_override: See `mixer.api.ext_proc.process.ProcessStream`.
    """

    __slots__ = ("_composer", "_exchange", "_halves", "_modes")

    def __init__(
        self, exchange: HttpExchange, modes: Modes, may_override: Callable[[], bool]
    ) -> None:
        self._exchange = exchange
        self._modes = modes
        self._composer = Composer(exchange, modes, may_override)
        self._halves: dict[Phases, Half] = {}

    def tell_nothing(self) -> None:
        """See `Composer.tell_nothing`."""
        self._composer.tell_nothing()

    def begin(self, phases: Phases, flow: Flow) -> None:
        """The headers of a half came; in which way its body comes is known from here on."""
        mode = self._modes.request if phases is REQUEST else self._modes.response
        half = half_for(mode, flow, phases, body_before_answer=self._modes.body_before_answer)
        half.ask(phases.headers)
        self._halves[phases] = half

    def ask(self, phases: Phases, phase: Phase, body: bytes = b"") -> None:
        """A message came that is to be answered."""
        self._halves[phases].ask(phase, body)

    def ends(self, phases: Phases) -> bool:
        """Trailers are to be told to the adapters: whether they were not told of any yet."""
        half = self._halves[phases]
        told, half.has_trailers = half.has_trailers, True
        return not told

    def messages(self) -> Iterator[bytes]:
        """What may be said now, in order.

        Raises:
            InexpressibleError: The adapters want what cannot be said.
        """
        for phases in list(self._halves):
            yield from self._of(phases)

    def _of(self, phases: Phases) -> Iterator[bytes]:
        half, exchange = self._halves[phases], self._exchange
        if half.wants_trailers:
            self._give_trailers(phases)
        if exchange.answer is not None or exchange.is_answering:
            return
        if isinstance(half, PiecewiseHalf) and half.lacks_body and self._composer.may_buffer():
            self._composer.buffer(phases)
            half = self._halves[phases] = BufferedHalf(half.flow, phases, BodyMode.BUFFERED)
            half.ask(phases.headers)
        yield from map(self._composer.compose, half.answers())

    def _give_trailers(self, phases: Phases) -> None:
        """Tell the adapters of the end: trailers come only once the body was answered, or never."""
        self._halves[phases].has_trailers = True
        exchange = self._exchange
        put = exchange.request_trailers if phases is REQUEST else exchange.response_trailers
        put(HeaderMap.of())

    @property
    def must_wait(self) -> bool:
        """Whether the proxy waits for something that the adapters hold back."""
        if self._exchange.is_answering:
            return True
        return any(half.must_wait for half in self._halves.values())

    @property
    def has_bodiless_response(self) -> bool:
        """Whether there is a response, of which nothing but its headers is shown."""
        response = self._halves.get(RESPONSE)
        return response is not None and response.mode is BodyMode.NONE
