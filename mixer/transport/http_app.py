"""The ASGI application of an HTTP listener: endpoints, and what is refused before them."""

import asyncio
import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass

from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mixer.api.http import Endpoint, HttpAnswer, HttpCall, plain
from mixer.engine import Engine
from mixer.shedding import Gate, Refusal
from mixer.transport.allow_list import NOT_ALLOWED, AllowList
from mixer.transport.http_asking import CallerGoneError, ask
from mixer.transport.http_endpoints import HEALTH
from mixer.transport.http_measured import ROUTE, measured
from mixer.transport.http_notices import About, Notices
from mixer.transport.http_protocol import CALLER, IDENTITY, TARGET
from mixer.transport.trust import TrustedCallers
from mixer.transport.watch import Watch

_log = logging.getLogger(__name__)

_NO_BODY = frozenset({204, 304})
_UNTRUSTED = plain(403, "this proxy is not trusted to speak for clients")
_STOPPING = plain(503, "the service stops", (b"connection", b"close"))
_HEALTHY = plain(200, "ok")
_NOT_ALLOWED = plain(403, NOT_ALLOWED)
_FAILED = plain(500, "internal error")


@dataclass(slots=True)
class Life:
    """Of one listener.

    Attributes:
        calls: How many there were.
        in_progress: How many have no answer yet.
        is_stopping: Whether connections are to end.
    """

    calls: int = 0
    in_progress: int = 0
    is_stopping: bool = False


@dataclass(frozen=True, slots=True)
class Taking:
    """What calls are taken on.

    Attributes:
        gate: Refuses what is too much; None refuses nothing.
        trusted: Who may speak for clients.
        callers: Who may ask at all; None for all that have reached the listener.
        max_body_bytes: Of a call.
        max_calls: In progress at one time.
        notices: Of the listener.
    """

    gate: Gate | None
    trusted: TrustedCallers
    callers: AllowList | None
    max_body_bytes: int
    max_calls: int
    notices: Notices


class RefusedError(Exception):
    """A call is not taken on.

    Args:
        answer: What the caller gets.
    """

    def __init__(self, answer: HttpAnswer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def application(
    engine: Engine, endpoints: Iterable[Endpoint], taking: Taking, life: Life, watch: Watch
) -> ASGIApp:
    """Make the application of one listener."""
    routes: list[BaseRoute] = [Route(HEALTH, _health(life), methods=["GET"])]
    for one in endpoints:
        answering = _Answering(engine, one, taking, life)
        if one.takes_below:
            routes.append(Mount(one.path, answering))
        else:
            routes.append(Route(one.path, answering, methods=one.methods))
    router = Router(routes, redirect_slashes=False)

    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        # By what was sent: decoded, another path could look like one of these.
        target: bytes = scope["state"][TARGET]
        scope["path"] = target.partition(b"?")[0].decode("latin-1")
        await router(scope, receive, send)

    return measured(route, watch)


def _health(life: Life) -> ASGIApp:
    class _Health:
        async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
            scope[ROUTE] = HEALTH
            await _send(scope, send, _STOPPING if life.is_stopping else _HEALTHY)

    return _Health()


class _Answering:
    """Serves one endpoint."""

    def __init__(self, engine: Engine, endpoint: Endpoint, taking: Taking, life: Life) -> None:
        self._engine = engine
        self._endpoint = endpoint
        self._taking = taking
        self._life = life

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[ROUTE] = self._endpoint.path
        self._life.calls += 1
        self._life.in_progress += 1
        try:
            answer = await self._answer(scope, receive)
        except RefusedError as refused:
            answer = refused.answer
        except CallerGoneError:
            return
        except asyncio.CancelledError:
            answer = _STOPPING
        except Exception:
            _log.exception("a call by HTTP failed")
            answer = _FAILED
        finally:
            self._life.in_progress -= 1
        await _send(scope, send, answer, closes=self._life.is_stopping)

    async def _answer(self, scope: Scope, receive: Receive) -> HttpAnswer:
        find_caller = scope["state"][CALLER]
        callers = self._taking.callers
        if callers is not None and not callers.admits(scope["state"][IDENTITY]):
            raise RefusedError(_NOT_ALLOWED)
        if self._endpoint.speaks_for_clients:
            self._check_trust(find_caller().address)
        if self._life.in_progress > self._taking.max_calls:
            raise RefusedError(_overloaded(1.0))
        gate = self._taking.gate
        ticket = None if gate is None else gate.admit()
        if isinstance(ticket, Refusal):
            raise RefusedError(_overloaded(ticket.retry_after))
        try:
            body = await _body(scope, receive, self._taking.max_body_bytes)
            headers = tuple(scope["headers"])
            target = scope["state"][TARGET]
            call = HttpCall(scope["method"].encode(), target, headers, body, find_caller)
            asking = self._endpoint.answer(call)
            notices = self._taking.notices
            return await ask(self._engine, asking, lambda: _gone(receive), self._readmit, notices)
        finally:
            if ticket is not None:
                ticket.release()

    def _check_trust(self, address: str) -> None:
        if not self._taking.trusted.has(address):
            text = f"the caller {address} is not among http.trustedCallers, and gets 403"
            self._taking.notices.tell(About.UNTRUSTED, text)
            raise RefusedError(_UNTRUSTED)

    def _readmit(self) -> None:
        """Each further question of a call is work as a call is; it is over when it is answered."""
        if self._taking.gate is not None:
            ticket = self._taking.gate.admit()
            if isinstance(ticket, Refusal):
                raise RefusedError(_overloaded(ticket.retry_after))
            ticket.release()


def _overloaded(seconds: float) -> HttpAnswer:
    return plain(503, "overloaded", (b"retry-after", str(math.ceil(seconds)).encode()))


async def _body(scope: Scope, receive: Receive, most: int) -> bytes:
    """The body of a call.

    Raises:
        RefusedError: It is too long.
        CallerGoneError: It ends before its end.
    """
    if not any(n in (b"content-length", b"transfer-encoding") for n, _ in scope["headers"]):
        return b""
    body = bytearray()
    while True:
        message: Message = await receive()
        if message["type"] == "http.disconnect":
            raise CallerGoneError
        body += message["body"]
        if len(body) > most:
            close = (b"connection", b"close")
            raise RefusedError(plain(413, f"a body has at most {most} bytes", close))
        if not message["more_body"]:
            return bytes(body)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(scope: Scope, send: Send, answer: HttpAnswer, *, closes: bool = False) -> None:
    headers = list(answer.headers)
    has_body = answer.status not in _NO_BODY
    if has_body:
        headers.append((b"content-length", str(len(answer.body)).encode()))
    if closes:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    shown = answer.body if has_body and scope["method"] != "HEAD" else b""
    await send({"type": "http.response.body", "body": shown})
