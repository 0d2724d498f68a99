"""The middleware."""

import logging
import time
from collections.abc import Mapping

from mixer.middleware.asgi.http import HttpCall
from mixer.middleware.asgi.lifespan import Lifespan
from mixer.middleware.asgi.refusal import refuse
from mixer.middleware.asgi.scope import incoming_of
from mixer.middleware.asgi.types import App, Receive, Scope, Send
from mixer.middleware.asgi.websocket import Handshake
from mixer.middleware.placement import Placement
from mixer.middleware.ports import Decider, UntellableError
from mixer.middleware.values import UNAVAILABLE, Answer, Ended, Workload

_log = logging.getLogger(__name__)

_CALLS: Mapping[str, type[HttpCall] | type[Handshake]] = {"http": HttpCall, "websocket": Handshake}
_UNTELLABLE = 400, 3


class MixerMiddleware:
    """Has requests decided about before an application of ASGI gets them.

    HTTP and the handshakes of WebSocket. What decides starts with the application's lifespan, or
    with the first request where a server has none, once for each event loop.

    Args:
        app: The application.
        decider: Says where requests are decided.
        service: The name of what the application is, ``destination.service``.
        labels: Of it, ``destination.labels``.
    """

    def __init__(
        self,
        app: App,
        decider: Decider,
        *,
        service: str = "",
        labels: Mapping[str, str] | None = None,
    ) -> None:
        self._app = app
        self._placement = Placement(decider)
        self._workload = Workload(service, dict(labels or {}))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve what a scope is about.

        Raises:
            ValueError: It is about something that cannot be decided about.
        """
        kind = scope["type"]
        if kind == "lifespan":
            await Lifespan(self._app, self._placement, receive, send).run(scope)
        elif kind in _CALLS:
            await self._serve(scope, receive, send)
        else:
            raise ValueError(f"a scope of type {kind!r} cannot be decided about")

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.monotonic_ns()
        try:
            running = await self._placement.running()
            incoming = incoming_of(scope, self._workload)
            exchange = running.open(incoming)
        except UntellableError as error:
            status, code = _UNTELLABLE
            await refuse(scope, receive, send, Answer(status, (), b"", code, str(error)))
            return
        except Exception:
            _log.exception("a request could not be decided about")
            await refuse(scope, receive, send, UNAVAILABLE)
            return
        ended = Ended()
        call = _CALLS[scope["type"]](exchange, incoming, ended, scope, receive, send)
        try:
            await call.run(self._app)
        finally:
            ended.duration = time.monotonic_ns() - began
            await exchange.close(ended)
