"""The handshake of a WebSocket through the middleware."""

import logging

from mixer.middleware.asgi.reply import WEBSOCKET_HTTP, Reply
from mixer.middleware.asgi.scope import UnusableHeadersError, changed_scope
from mixer.middleware.asgi.types import App, Message, Receive, Scope, Send
from mixer.middleware.ports import Exchange
from mixer.middleware.values import UNAVAILABLE, Answer, Ended, Incoming

_log = logging.getLogger(__name__)

_ACCEPT, _CLOSE = "websocket.accept", "websocket.close"
_SWITCHING, _FORBIDDEN = b"101", b"403"


class Handshake:
    """One handshake; what is said on the connection afterwards is between others.

    Args:
        exchange: What decides.
        incoming: As it was told.
        ended: Where to note what became of it.
        scope: As it came.
        receive: Of the server.
        send: Likewise.
    """

    def __init__(
        self,
        exchange: Exchange,
        incoming: Incoming,
        ended: Ended,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        self._exchange = exchange
        self._incoming = incoming
        self._ended = ended
        self._scope = scope
        self._receive = receive
        self._send = send
        self._reply = Reply(exchange, ended, send, WEBSOCKET_HTTP, is_head=False)
        self._open = self._refused = False

    async def run(self, app: App) -> None:
        """Have the handshake decided about, and the application go on if it may.

        Raises:
            Exception: Of the application.
        """
        try:
            await self._decide()
            scope = self._for_app()
        except UnusableHeadersError as error:
            _log.warning("%s", error)
            await self._refuse_unasked(UNAVAILABLE)
        except Exception:
            _log.exception("a handshake could not be decided about")
            await self._refuse_unasked(UNAVAILABLE)
        else:
            if self._exchange.answer is not None:
                await self._refuse_unasked(self._exchange.answer)
            else:
                await app(scope, self._receive, self._give)

    async def _decide(self) -> None:
        exchange = self._exchange
        await exchange.request_headers(end_of_stream=False)
        if exchange.answer is None and exchange.request.headers is None:
            exchange.fail("waits_for_the_body_of_a_handshake")

    def _for_app(self) -> Scope:
        headers = self._exchange.request.headers
        if headers is None or headers is self._incoming.headers:
            return self._scope
        return changed_scope(self._scope, self._incoming.headers, headers)

    async def _refuse_unasked(self, answer: Answer) -> None:
        """Refuse before the application heard of it."""
        await self._receive()  # websocket.connect
        await self._refuse(answer)

    async def _refuse(self, answer: Answer) -> None:
        self._refused = True
        if WEBSOCKET_HTTP in (self._scope.get("extensions") or {}):
            await self._reply.answer(answer)
            return
        self._ended.response_headers = [(b":status", _FORBIDDEN)]  # what servers make of it
        await self._send({"type": _CLOSE})

    async def _give(self, message: Message) -> None:
        """Take what the application sends."""
        kind = message["type"]
        if self._open:
            await self._send(message)
        elif self._refused:
            return
        elif kind == _ACCEPT:
            await self._accept(message)
        elif kind == _CLOSE:
            self._refused = True
            self._ended.response_headers = [(b":status", _FORBIDDEN)]
            await self._send(message)
        else:
            await self._reply.give(message)

    async def _accept(self, message: Message) -> None:
        headers = [(name.lower(), value) for name, value in message.get("headers", ())]
        pairs = [(b":status", _SWITCHING), *headers]
        await self._exchange.response_headers(pairs, end_of_stream=False)
        changed = self._exchange.response.headers
        if self._exchange.answer is None and changed is None:
            self._exchange.fail("waits_for_the_body_of_a_handshake")
        if self._exchange.answer is not None or changed is None:
            await self._refuse(self._exchange.answer or UNAVAILABLE)
            return
        self._open = True
        self._ended.response_headers = changed
        regular = [pair for pair in changed if not pair[0].startswith(b":")]
        await self._send({**message, "headers": regular})
