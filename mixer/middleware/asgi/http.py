"""One HTTP request through the middleware."""

import asyncio
import logging

from mixer.middleware.asgi.reply import CutOffError, Reply
from mixer.middleware.asgi.request_body import RequestBody, has_body
from mixer.middleware.asgi.scope import UnusableHeadersError, changed_scope
from mixer.middleware.asgi.types import App, Receive, Scope, Send
from mixer.middleware.ports import Exchange, nobody
from mixer.middleware.values import UNAVAILABLE, Ended, Incoming

_log = logging.getLogger(__name__)

_PAST_US = frozenset({"http.response.pathsend", "http.response.zerocopysend", "http.response.push"})
"""Extensions by which a response, or another request, would go past what decides."""


class HttpCall:
    """One request and its response.

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
        self._scope = scope
        self._is_empty = not has_body(scope)
        self._reply = Reply(exchange, ended, send, is_head=scope["method"] == "HEAD")
        self._body = RequestBody(exchange, ended, receive, self._reply, is_empty=self._is_empty)
        self._pushing: asyncio.Task[None] | None = None
        exchange.on_change = self._changed

    async def run(self, app: App) -> None:
        """Have the request decided about, and the application answer it if it may.

        Raises:
            CutOffError: The response began, and may not go on.
            Exception: Of the application.
        """
        try:
            await self._reach_decision()
            if self._reply.answered or self._body.disconnected:
                return
            await self._serve(app)
        finally:
            self._exchange.on_change = nobody  # a cycle of references would wait for the collector
            self._body.close()
            if self._pushing is not None:
                self._pushing.cancel()

    async def _reach_decision(self) -> None:
        try:
            await self._decide()
        except CutOffError:
            raise
        except Exception:
            _log.exception("a request could not be decided about")
            await self._reply.answer(UNAVAILABLE)

    async def _decide(self) -> None:
        exchange = self._exchange
        await exchange.request_headers(end_of_stream=self._is_empty)
        while exchange.answer is None and exchange.request.headers is None:
            await self._body.read()
            if self._body.disconnected:
                return
        if exchange.answer is not None:
            await self._reply.answer(exchange.answer)

    async def _serve(self, app: App) -> None:
        try:
            scope = self._for_app()
        except UnusableHeadersError as error:
            _log.warning("%s", error)
            await self._reply.answer(UNAVAILABLE)
            return
        try:
            await app(scope, self._body.give, self._reply.give)
        except CutOffError:
            raise
        except Exception:
            if not self._reply.answered or self._reply.cut_off:
                raise
            _log.debug("the application failed after its request was refused", exc_info=True)
        if self._reply.cut_off:
            raise CutOffError("the response may not go on")

    def _for_app(self) -> Scope:
        scope, headers = self._scope, self._exchange.request.headers
        if headers is not None and headers is not self._incoming.headers:
            scope = changed_scope(scope, self._incoming.headers, headers)
        extensions = scope.get("extensions")
        if extensions and not _PAST_US.isdisjoint(extensions):
            kept = {name: one for name, one in extensions.items() if name not in _PAST_US}
            scope = {**scope, "extensions": kept}
        return scope

    def _changed(self) -> None:
        """Something came through by itself: to the application, or to the server."""
        self._body.changed()
        if self._pushing is None or self._pushing.done():
            self._pushing = asyncio.get_running_loop().create_task(self._reply.changed())
