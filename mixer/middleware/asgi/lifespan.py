"""The life of an application: what decides starts before it, and stops after it."""

import logging

from mixer.middleware.asgi.types import App, Message, Receive, Scope, Send
from mixer.middleware.placement import Placement

_log = logging.getLogger(__name__)

_STARTED, _NOT_STARTED = "lifespan.startup.complete", "lifespan.startup.failed"
_STOPPED = "lifespan.shutdown.complete"


class Lifespan:
    """The lifespan events of one server.

    Args:
        app: Which may know of none.
        placement: Of what decides.
        receive: Of the server.
        send: Likewise.
    """

    def __init__(self, app: App, placement: Placement, receive: Receive, send: Send) -> None:
        self._app = app
        self._placement = placement
        self._receive = receive
        self._send = send
        self._first: Message | None = None
        self._answered = False

    async def run(self, scope: Scope) -> None:
        """From startup to shutdown."""
        self._first = await self._receive()
        try:
            await self._placement.running()
        except Exception as error:
            _log.exception("what decides does not start")
            await self._send({"type": _NOT_STARTED, "message": str(error)})
            return
        try:
            await self._of_app(scope)
        finally:
            await self._placement.close()

    async def _of_app(self, scope: Scope) -> None:
        """Have the application take part; without it where it does not."""
        try:
            await self._app(scope, self._told, self._tell)
        except Exception:
            if self._answered:
                raise
            _log.debug("the application has no lifespan", exc_info=True)
        if self._answered:
            return
        await self._send({"type": _STARTED})
        await self._receive()
        await self._placement.close()
        await self._send({"type": _STOPPED})

    async def _told(self) -> Message:
        first, self._first = self._first, None
        return first or await self._receive()

    async def _tell(self, message: Message) -> None:
        self._answered = True
        if message["type"] != _STARTED:
            await self._placement.close()
        await self._send(message)
