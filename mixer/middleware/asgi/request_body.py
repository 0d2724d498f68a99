"""The request's body on its way from the server, past what decides, to the application."""

import asyncio

from mixer.middleware.asgi.reply import Reply
from mixer.middleware.asgi.types import Message, Receive, Scope
from mixer.middleware.ports import Exchange
from mixer.middleware.values import Ended

_REQUEST, _DISCONNECT = "http.request", "http.disconnect"


class RequestBody:
    """One request's body.

    Args:
        exchange: What decides.
        ended: Where to note how much was read.
        receive: Of the server.
        reply: Answers where a piece of the body has the request refused.
        is_empty: Whether the request has none.

    Attributes:
        disconnected: Whether the client went away.
    """

    def __init__(
        self, exchange: Exchange, ended: Ended, receive: Receive, reply: Reply, *, is_empty: bool
    ) -> None:
        self._exchange = exchange
        self._ended = ended
        self._receive = receive
        self._reply = reply
        self._fed = is_empty
        self._given = False
        self._coming: asyncio.Task[Message] | None = None
        self._changed = asyncio.Event()
        self.disconnected = False

    def changed(self) -> None:
        """Something came through by itself."""
        self._changed.set()

    async def give(self) -> Message:
        """What the application receives next."""
        flow = self._exchange.request
        while not (self._reply.answered or self.disconnected):
            data = flow.take_body()
            if data or (flow.complete and not self._given):
                self._given = flow.complete
                return {"type": _REQUEST, "body": data, "more_body": not flow.complete}
            await self.read()
        return {"type": _DISCONNECT}

    async def read(self) -> None:
        """Wait for the next piece, or until something came through by itself."""
        self._changed.clear()
        message = await self._next()
        if message is None:
            return
        if message["type"] == _DISCONNECT:
            self.disconnected = True
        elif not self._fed:
            data = message.get("body", b"")
            self._ended.request_size += len(data)
            self._fed = not message.get("more_body", False)
            await self._exchange.request_body(data, end_of_stream=self._fed)
            if self._exchange.answer is not None:
                await self._reply.answer(self._exchange.answer)

    async def _next(self) -> Message | None:
        """The server's next message; None where something came through before."""
        if self._coming is None and not self._exchange.may_go_on:
            return await self._receive()
        coming = self._coming
        if coming is None:
            coming = self._coming = asyncio.ensure_future(self._receive())
        changed = asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait({coming, changed}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
        if not coming.done() or self._coming is not coming:
            return None
        self._coming = None
        return coming.result()

    def close(self) -> None:
        """Wait for nothing any more."""
        if self._coming is not None:
            self._coming.cancel()


def has_body(scope: Scope) -> bool:
    """Whether a request has a body, or may have one: with HTTP/2 only its end tells."""
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    if lengths:
        return lengths != [b"0"]
    if scope.get("http_version") not in ("1.0", "1.1"):
        return True
    return any(name == b"transfer-encoding" for name, _ in scope["headers"])
