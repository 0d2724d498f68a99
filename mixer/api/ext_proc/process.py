"""One Process stream: messages of the proxy in, answers out, without I/O."""

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from mixer.api.ext_proc.answering import Answering
from mixer.api.ext_proc.attributes import StreamSource
from mixer.api.ext_proc.errors import InexpressibleError, ProtocolError
from mixer.api.ext_proc.finishing import is_finished
from mixer.api.ext_proc.half import REQUEST, RESPONSE, Phases
from mixer.api.ext_proc.headers import header_map
from mixer.api.ext_proc.lifecycle import NEW, Action, advance
from mixer.api.ext_proc.local_reply import check_is_local
from mixer.api.ext_proc.message import Message, decode
from mixer.api.ext_proc.modes import BodyMode, Modes
from mixer.api.ext_proc.opening import read_opening
from mixer.api.ext_proc.responses import encode_immediate, encode_more_time, refuse
from mixer.attributes import FindCaller, HeaderMap
from mixer.engine import Decision, HttpExchange, Record, Request
from mixer.engine.durable import Records
from mixer.proxywasm import LifecycleError


class Streams(Protocol):
    """Where streams begin: the engine."""

    def open(self, request: Request) -> HttpExchange:
        """Begin a stream."""

    def bypass(self, request: Request) -> HttpExchange:
        """Begin a stream that no adapter is shown."""

    def report(self, record: Record) -> tuple[str, ...]:
        """Have the adapters log what they were not shown."""


class Ended(NamedTuple):
    """A stream that is over.

    Attributes:
        request: What was decided about.
        decision: What was decided.
    """

    request: Request
    decision: Decision


class ProcessStream:
    """A stream; a message that is illegal where it comes is answered, and ends it.

    Args:
        engine: Where the stream begins.
        caller: Tells who asks.
        may_override: Tells whether the filter surely takes a mode override. Its messages do not
            show that, and headers that an adapter holds back must not go on for want of it.
        patience_s: Seconds that an answer may take, which the proxy is asked to wait.
        on_change: Called when something changed by itself: `look` then finds what there is to say.

    Attributes:
        is_over: Whether nothing is left to be done once everything is sent.
        waits: Whether an adapter holds back what the proxy waits for, so that it sends nothing on.
        observes: Whether the proxy takes no answers (``observability_mode``).
        error: Why such a stream ended before its time; empty otherwise.
    """

    __slots__ = (
        "_answers",
        "_asked_for_time",
        "_caller",
        "_engine",
        "_exchange",
        "_is_bypassed",
        "_may_override",
        "_modes",
        "_on_change",
        "_out",
        "_patience_s",
        "_request",
        "_source",
        "_state",
        "error",
        "is_over",
        "observes",
        "waits",
    )

    _answers: Answering
    _request: Request
    _source: StreamSource

    def __init__(
        self,
        engine: Streams,
        caller: FindCaller,
        *,
        may_override: Callable[[], bool],
        patience_s: float,
        on_change: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._caller = caller
        self._may_override = may_override
        self._patience_s = patience_s
        self._on_change = on_change
        self._state = NEW
        self._modes = Modes()
        self._exchange: HttpExchange | None = None
        self._out: list[bytes] = []
        self._asked_for_time = self._is_bypassed = False
        self.is_over = self.observes = self.waits = False
        self.error = ""

    def receive(self, data: bytes) -> None:
        """A message came."""
        if self.is_over:
            return
        try:
            message = decode(data)
            action, self._state = advance(self._state, message.phase, ends=message.ends)
            _ACTIONS[action](self, message)
        except ProtocolError as error:
            self.give_up(error.reason)
        except LifecycleError:
            self.give_up("body_after_its_end")
        else:
            self.look()

    @property
    def may_change(self) -> bool:
        """Whether there may be something to say without a further message: see `look`.

        In full duplex that may be so while the proxy sends on, and waits for no answer.
        """
        if self.waits or self._exchange is None or not self._modes.full_duplex:
            return self.waits
        return self._exchange.may_go_on

    def end(self) -> None:
        """The proxy sends no more: a request that adapters still hold does not pass for that."""
        exchange = self._exchange
        if exchange is not None and not self.observes and not exchange.request.headers_passed:
            self.give_up("stream_ended_early")

    def records(self) -> Iterable[Records]:
        """What the adapters recorded in the ledger so far."""
        return () if self._exchange is None else self._exchange.records()

    def refuse(self, reason: str) -> None:
        """End it with an error in place of what was to be sent.

        Args:
            reason: A short word for the decision log.
        """
        self._out = [refuse(reason)]
        self.is_over, self.waits = True, False
        if self._exchange is not None:
            self._exchange.give_up(reason)

    def take(self) -> list[bytes]:
        """The messages that are to be sent, in order."""
        out, self._out = self._out, []
        return out

    def _begin_request(self, message: Message) -> None:
        request = self._first(message, header_map(message.content.headers))
        request.has_body = self._modes.request is BodyMode.NONE and not self._may_override()
        exchange = self._enter(self._engine.open(request))
        self._answers.begin(REQUEST, exchange.request)
        exchange.request_headers(end_of_stream=message.ends)

    def _first(self, message: Message, headers: HeaderMap) -> Request:
        self.observes = message.whole.observability_mode
        opening = read_opening(message.whole, headers, self._caller)
        self._modes, self._source, self._request = opening
        return opening.request

    def _enter(self, exchange: HttpExchange) -> HttpExchange:
        self._exchange = exchange
        self._source.message = exchange.request.message
        exchange.on_change = self._on_change
        self._answers = Answering(exchange, self._modes, self._may_override)
        return exchange

    def _bypass(self, message: Message) -> None:
        """Let a response pass that has no request; the adapters log it."""
        request = self._first(message, HeaderMap.of())
        check_is_local(header_map(message.content.headers), request.attributes)
        self._is_bypassed = True
        exchange = self._enter(self._engine.bypass(request))
        self._answers.tell_nothing()
        exchange.request_headers(end_of_stream=True)
        self._begin_response(message)

    def _begin_response(self, message: Message) -> None:
        exchange = self._open
        self._source.add(message.whole.attributes)
        headers = header_map(message.content.headers)
        exchange.response_headers(headers, end_of_stream=message.ends)
        assert exchange.response is not None
        self._answers.begin(RESPONSE, exchange.response)

    def _add_to_request(self, message: Message) -> None:
        self._note(REQUEST, message)
        self._open.request_body(message.content.body, end_of_stream=message.ends)

    def _add_to_response(self, message: Message) -> None:
        self._note(RESPONSE, message)
        self._open.response_body(message.content.body, end_of_stream=message.ends)

    def _note(self, phases: Phases, message: Message) -> None:
        """Note a piece that is to be answered; a proxy that observes sends them without end."""
        if not self.observes:
            self._answers.ask(phases, message.phase, message.content.body)

    def _end_request(self, message: Message) -> None:
        self._end(REQUEST, message, self._open.request_trailers)

    def _end_response(self, message: Message) -> None:
        self._end(RESPONSE, message, self._open.response_trailers)

    def _end(self, phases: Phases, message: Message, put: Callable[[HeaderMap], None]) -> None:
        self._answers.ask(phases, message.phase)
        if self._answers.ends(phases):
            put(header_map(message.content.trailers))

    @property
    def _open(self) -> HttpExchange:
        assert self._exchange is not None
        return self._exchange

    def look(self) -> None:
        """See to what may be said now."""
        exchange = self._exchange
        if exchange is None or self.is_over:
            return
        if self.observes:
            self._overlook(exchange)
            return
        try:
            self._out.extend(self._answers.messages())
        except InexpressibleError as error:
            exchange.give_up(error.reason)
        if exchange.answer is not None:
            self._out.append(encode_immediate(exchange.answer))
            self.is_over, self.waits = True, False
            return
        self.waits = self._answers.must_wait
        if self.waits:
            self._ask_for_time()
        else:
            self._asked_for_time = False
            self.is_over = is_finished(exchange, self._modes, self._state)

    def _overlook(self, exchange: HttpExchange) -> None:
        """Nothing of it is answered, nor kept."""
        flows = [flow for flow in (exchange.request, exchange.response) if flow is not None]
        for flow in flows:
            flow.take_body()
        held_up = exchange.is_answering or any(flow.holds and not flow.wants_more for flow in flows)
        self.waits = exchange.answer is None and held_up

    def _ask_for_time(self) -> None:
        """Have the proxy wait as long as this does; it looks at the first time for a message."""
        if not self._asked_for_time and not self._modes.full_duplex:
            self._asked_for_time = True
            self._out.append(encode_more_time(self._patience_s))

    def give_up(self, reason: str) -> None:
        """End it with an error for the client.

        Args:
            reason: A short word for the decision log.
        """
        if self._exchange is not None:
            self._exchange.give_up(reason)
        if self.observes:
            self.error, self.is_over, self.waits = reason, True, False
        elif self._exchange is not None:
            self.look()
        else:
            self._out.append(refuse(reason))
            self.is_over = True

    def expire(self) -> None:
        """End it since nothing came for long.

        Where nothing is left to be shown but the end, that is no error.
        """
        is_told_all = self._exchange is not None and self._answers.has_bodiless_response
        if self.observes or (is_told_all and not self.waits):
            self.is_over = True
        else:
            self.give_up("stream_idle_timeout")

    def close(self) -> Ended | None:
        """End the stream in the adapters; None where nothing was decided."""
        self.is_over = True
        exchange = self._exchange
        if exchange is None:
            return None
        self._source.is_over = True
        if not self._is_bypassed:
            return Ended(self._request, exchange.close())
        assert exchange.response is not None
        response = exchange.response.message
        request = self._request
        self._engine.report(
            Record(request.headers, request.attributes, response.headers, response.trailers)
        )
        exchange.close()
        return None


_ACTIONS: dict[Action, Callable[[ProcessStream, Message], None]] = {
    Action.BEGIN_REQUEST: ProcessStream._begin_request,
    Action.ADD_TO_REQUEST: ProcessStream._add_to_request,
    Action.END_REQUEST: ProcessStream._end_request,
    Action.BEGIN_RESPONSE: ProcessStream._begin_response,
    Action.ADD_TO_RESPONSE: ProcessStream._add_to_response,
    Action.END_RESPONSE: ProcessStream._end_response,
    Action.BYPASS: ProcessStream._bypass,
}
