"""The response on its way from the application, past what decides, to the server."""

import asyncio
import logging

from mixer.api.safe_headers import is_safe
from mixer.attributes import whole_number
from mixer.middleware.asgi.types import Message, Send
from mixer.middleware.ports import Exchange, Flow
from mixer.middleware.values import UNAVAILABLE, Answer, Ended, Pairs

_log = logging.getLogger(__name__)

HTTP, WEBSOCKET_HTTP = "http.response", "websocket.http.response"
"""What the types of messages begin with, of a response and of one that refuses a WebSocket."""

_STATUS = b":status"
_WITHOUT_BODY = frozenset({204, 205, 304})
_MIN_STATUS, _MAX_STATUS = 200, 599


class CutOffError(RuntimeError):
    """A response may not go on, and its beginning is sent: all that is left is to break it off."""


class Reply:
    """One response.

    Args:
        exchange: What decides.
        ended: Where to note what was sent.
        send: Of the server.
        kind: `HTTP` or `WEBSOCKET_HTTP`.
        is_head: Whether the response has no body, whatever its headers say.

    Attributes:
        started: Whether its headers were sent.
        answered: Whether something else than the application answered.
        cut_off: Whether it may not go on.
    """

    def __init__(
        self, exchange: Exchange, ended: Ended, send: Send, kind: str = HTTP, *, is_head: bool
    ) -> None:
        self._exchange = exchange
        self._ended = ended
        self._send = send
        self._kind = kind
        self._is_head = is_head
        self._lock = asyncio.Lock()
        self._start: Message = {}
        self._trailers: Pairs = []
        self._fed = self._finished = False
        self.started = self.answered = self.cut_off = False

    async def give(self, message: Message) -> None:
        """Take what the application sends; what comes through goes to the server.

        Raises:
            CutOffError: The response may not go on.
        """
        async with self._lock:
            if self.answered:
                return
            kind = message["type"].removeprefix(self._kind)
            if kind == ".start":
                await self._take_start(message)
            elif kind == ".body":
                await self._take_body(message)
            elif kind == ".trailers":
                await self._take_trailers(message)
            else:
                await self._send(message)
                return
            await self._pass_on()

    async def changed(self) -> None:
        """Send what came through by itself."""
        async with self._lock:
            try:
                await self._pass_on()
            except CutOffError:
                _log.debug("a response is cut off")

    async def _take_start(self, message: Message) -> None:
        self._start = message
        status = message["status"]
        headers = [(name.lower(), value) for name, value in message.get("headers", ())]
        self._fed = self._is_head or status in _WITHOUT_BODY or _is_empty(headers)
        pairs = [(_STATUS, b"%d" % status), *headers]
        await self._exchange.response_headers(pairs, end_of_stream=self._fed)

    async def _take_body(self, message: Message) -> None:
        if self._fed:
            return
        self._fed = not message.get("more_body", False) and not self._start.get("trailers")
        body = message.get("body", b"")
        await self._exchange.response_body(body, end_of_stream=self._fed)

    async def _take_trailers(self, message: Message) -> None:
        self._trailers += ((name.lower(), value) for name, value in message.get("headers", ()))
        if not message.get("more_trailers", False) and not self._fed:
            self._fed = True
            await self._exchange.response_trailers(self._trailers)

    async def _pass_on(self) -> None:
        if self._exchange.answer is not None:
            await self._answer(self._exchange.answer)
            return
        flow = self._exchange.response
        if not self.started:
            if flow is None or flow.headers is None:
                return
            await self._send_start(flow.headers)
        if self.started and not self._finished and not self.answered:
            await self._send_body(flow)

    async def _send_start(self, headers: Pairs) -> None:
        status = _status_of(headers)
        if status is None or not all(is_safe(name, value) for name, value in headers):
            _log.warning("an adapter left headers of which no response can be made")
            await self._answer(UNAVAILABLE)
            return
        self.started = True
        self._ended.response_headers = headers
        regular = [pair for pair in headers if not pair[0].startswith(b":")]
        await self._send({**self._start, "status": status, "headers": regular})

    async def _send_body(self, flow: Flow) -> None:
        data, self._finished = flow.take_body(), flow.complete
        if not data and not self._finished:
            return
        self._ended.response_size += len(data)
        more = not self._finished
        await self._send({"type": f"{self._kind}.body", "body": data, "more_body": more})
        if self._finished and self._start.get("trailers"):
            trailers = {"headers": flow.trailers or [], "more_trailers": False}
            await self._send({"type": f"{self._kind}.trailers", **trailers})

    async def answer(self, answer: Answer) -> None:
        """Answer instead of the application.

        Raises:
            CutOffError: The application's response began.
        """
        async with self._lock:
            await self._answer(answer)

    async def _answer(self, answer: Answer) -> None:
        if self.answered:
            return
        self.answered = True
        if self.started:
            self.cut_off = not self._finished
            if self.cut_off:
                raise CutOffError(f"the response may not go on: {answer.message}")
            return
        self.started = True
        await self._send_answer(_usable(answer))

    async def _send_answer(self, answer: Answer) -> None:
        headers, body = described(answer)
        self._ended.response_headers = [(_STATUS, b"%d" % answer.status), *headers]
        self._ended.response_size = len(body)
        start = {"type": f"{self._kind}.start", "status": answer.status, "headers": headers}
        await self._send(start)
        await self._send({"type": f"{self._kind}.body", "body": body, "more_body": False})


def described(answer: Answer) -> tuple[Pairs, bytes]:
    """Headers and body of an answer, with the headers that tell of the body, as proxies do it."""
    headers = [pair for pair in answer.headers if pair[0] != b"content-length"]
    if answer.status in _WITHOUT_BODY:
        return headers, b""
    if answer.body and not any(name == b"content-type" for name, _ in headers):
        headers.append((b"content-type", b"text/plain"))
    return [*headers, (b"content-length", b"%d" % len(answer.body))], answer.body


def _usable(answer: Answer) -> Answer:
    return answer if all(is_safe(name, value) for name, value in answer.headers) else UNAVAILABLE


def _status_of(headers: Pairs) -> int | None:
    told = next((value for name, value in headers if name == _STATUS), None)
    status = whole_number(told)
    return status if status is not None and _MIN_STATUS <= status <= _MAX_STATUS else None


def _is_empty(headers: Pairs) -> bool:
    return (b"content-length", b"0") in headers
