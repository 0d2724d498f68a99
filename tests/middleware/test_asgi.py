"""What the middleware does whoever decides: WebSockets, lifespans, defects, event loops."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixer.middleware import Answer, Incoming, Running, Workload
from mixer.middleware.asgi import MixerMiddleware
from mixer.middleware.asgi.scope import changed_scope, incoming_of
from mixer.middleware.service.exchange import PassingFlow
from tests.engine.conftest import Plugins
from tests.middleware.asgi import PATIENCE_S, Echo, Reply, call, lifespan, scope
from tests.middleware.placements import PLACEMENTS, placed
from tests.support import adapters as do
from tests.support.adapters import adapter


class Scripted:
    """Decides as a test says, and notes its life.

    Args:
        decide: What it does with a request; an answer refuses it.
    """

    def __init__(self, decide: Callable[[Incoming], Answer | None] = lambda _: None) -> None:
        self.decide = decide
        self.life: list[str] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Running]:
        self.life.append("start")
        try:
            yield self
        finally:
            self.life.append("stop")

    def open(self, incoming: Incoming) -> Any:
        return _Exchange(self, incoming)


class _Exchange:
    may_go_on = False

    def __init__(self, script: Scripted, incoming: Incoming) -> None:
        self._script, self._incoming = script, incoming
        self.request, self.response = PassingFlow(), PassingFlow()
        self.answer: Answer | None = None
        self.on_change = lambda: None

    async def request_headers(self, *, end_of_stream: bool) -> None:
        self.answer = self._script.decide(self._incoming)
        self.request.headers = self._incoming.headers
        self.request.complete = end_of_stream

    async def request_body(self, data: bytes, *, end_of_stream: bool) -> None:
        self.request.add(data, end_of_stream=end_of_stream)

    async def response_headers(self, headers: Any, *, end_of_stream: bool) -> None:
        self.response.headers, self.response.complete = headers, end_of_stream

    async def response_body(self, data: bytes, *, end_of_stream: bool) -> None:
        self.response.add(data, end_of_stream=end_of_stream)

    async def response_trailers(self, trailers: Any) -> None: ...

    def fail(self, reason: str) -> None:
        self.answer = Answer(503, message=reason)

    async def close(self, ended: Any) -> None:
        self._script.life.append("close")


async def shake_hands(
    app: Any, *, denial: bool = False, headers: Any = (), messages: Any = ()
) -> list[dict[str, Any]]:
    """What a server is told by an application, of one WebSocket."""
    to_app = [{"type": "websocket.connect"}, *messages, {"type": "websocket.disconnect", "code": 1}]
    sent: list[dict[str, Any]] = []

    async def receive() -> Any:
        return to_app.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    extensions = {"websocket.http.response": {}} if denial else {}
    async with asyncio.timeout(PATIENCE_S):
        await app(
            scope("/ws", kind="websocket", extensions=extensions, headers=headers), receive, send
        )
    return sent


async def chat(scope: Any, receive: Any, send: Any) -> None:
    """An application that accepts, and says what it saw and hears."""
    if scope["type"] == "lifespan":
        return
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept", "subprotocol": "chat", "headers": [(b"X-App", b"1")]})
    names = ",".join(name.decode() for name, _ in scope["headers"])
    await send({"type": "websocket.send", "text": names})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


GATE = adapter(
    do.when("x-deny", do.deny(401, "who")),
    do.add("x-user", "ann"),
    do.set_property("mixer.response_header.x-said", "1"),
)


@pytest.mark.parametrize("placement", PLACEMENTS)
async def test_a_websocket_that_is_allowed(placement: str, plugins: Plugins) -> None:
    """Headers change on both ways of the handshake; afterwards everything passes as it is."""
    configuration = plugins.configuration(plugins.plugin("gate", GATE))
    async with placed(placement, configuration) as decider:
        app = MixerMiddleware(chat, decider)
        async with lifespan(app):
            hello = [{"type": "websocket.receive", "text": "hello"}]
            accepted, names, echoed = await shake_hands(app, messages=hello)
    assert (accepted["type"], accepted["subprotocol"]) == ("websocket.accept", "chat")
    assert accepted["headers"] == [(b"x-app", b"1"), (b"x-said", b"1")]
    assert names["text"] == "host,x-user"
    assert echoed["text"] == "hello"


@pytest.mark.parametrize("denial", [False, True])
@pytest.mark.parametrize("placement", PLACEMENTS)
async def test_a_websocket_that_is_refused(placement: str, denial: bool, plugins: Plugins) -> None:
    """With the whole answer where the server can send one, else by a close before it opens: 403."""
    configuration = plugins.configuration(plugins.plugin("gate", GATE))
    async with placed(placement, configuration) as decider:
        app = MixerMiddleware(chat, decider)
        async with lifespan(app):
            sent = await shake_hands(app, denial=denial, headers=[(b"x-deny", b"1")])
    if not denial:
        assert [message["type"] for message in sent] == ["websocket.close"]
        return
    reply = Reply()
    for message in sent:
        reply.take(message)
    assert (reply.status, reply.body, reply.complete) == (401, b"who", True)


@pytest.mark.parametrize("placement", ["embedded"])
async def test_a_module_that_waits_for_the_body_of_a_handshake(
    placement: str, plugins: Plugins
) -> None:
    """There is none: it is refused."""
    text = adapter(do.answer(1), request_body=[do.answer(0)])
    holding = {"allow-on-headers-stop-iteration": "true"}
    configuration = plugins.configuration(plugins.plugin("one", text, holding))
    async with placed(placement, configuration) as decider:
        sent = await shake_hands(MixerMiddleware(chat, decider), denial=True)
    assert sent[0]["status"] == 503


async def test_an_application_refuses_a_websocket() -> None:
    """By itself, in either way; that passes as any other response."""

    async def closing(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.close"})

    async def answering(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.http.response.start", "status": 404, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b"none"})

    (closed,) = await shake_hands(MixerMiddleware(closing, Scripted()))
    assert closed == {"type": "websocket.close"}
    sent = await shake_hands(MixerMiddleware(answering, Scripted()), denial=True)
    assert [m["type"].rpartition(".")[2] for m in sent] == ["start", "body"]
    assert (sent[0]["status"], sent[1]["body"]) == (404, b"none")


def _defect(_: Incoming) -> Answer | None:
    raise ZeroDivisionError


async def test_a_defect_refuses(caplog: pytest.LogCaptureFixture) -> None:
    """Of what decides: a request and a handshake are answered with 503, and that is logged."""
    echo = Echo()
    script = Scripted(_defect)
    with caplog.at_level(logging.ERROR):
        assert (await call(MixerMiddleware(echo, script))).status == 503
        sent = await shake_hands(MixerMiddleware(chat, script), denial=True)
    assert (sent[0]["status"], echo.scopes) == (503, [])
    assert [r.exc_info[0] for r in caplog.records if r.exc_info] == [ZeroDivisionError] * 2
    assert script.life.count("close") == 2


async def test_a_decider_that_does_not_start(caplog: pytest.LogCaptureFixture) -> None:
    """Every request is refused until it does; then it starts once."""
    attempts = []

    class Slow(Scripted):
        @asynccontextmanager
        async def running(self) -> AsyncIterator[Running]:
            attempts.append(1)
            await asyncio.sleep(0)
            if len(attempts) == 1:
                raise OSError("not yet")
            yield self

    app = MixerMiddleware(Echo(), Slow())
    first = await asyncio.gather(call(app), call(app))
    assert [reply.status for reply in first] == [503, 503]
    later = await asyncio.gather(*(call(app) for _ in range(5)))
    assert [reply.status for reply in later] == [200] * 5
    assert len(attempts) == 2


def test_each_event_loop_has_its_own() -> None:
    """What decides belongs to one loop; those of loops that are closed are forgotten."""
    script = Scripted()
    app = MixerMiddleware(Echo(), script)

    async def twice() -> list[int]:
        return [(await call(app)).status for _ in range(2)]

    for _ in range(3):
        loop = asyncio.new_event_loop()
        assert loop.run_until_complete(twice()) == [200, 200]
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
    assert script.life.count("start") == script.life.count("stop") == 3


async def test_a_scope_of_another_kind() -> None:
    """It is no request that could be decided about, and goes nowhere."""
    echo = Echo()
    with pytest.raises(ValueError, match="mqtt"):
        await MixerMiddleware(echo, Scripted())({"type": "mqtt"}, None, None)  # type: ignore[arg-type]
    assert echo.scopes == []


async def test_an_application_without_a_lifespan() -> None:
    """What decides has one nevertheless, be it that the application returns or raises."""

    async def raising(scope: Any, receive: Any, send: Any) -> None:
        raise NotImplementedError

    for app in (Echo(), raising):
        script = Scripted()
        async with lifespan(MixerMiddleware(app, script)):
            assert script.life == ["start"]
        assert script.life == ["start", "stop"]


async def test_what_decides_stops_before_the_server_does() -> None:
    """Reports are delivered then: a server may end the process at once."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(2):
            await send({"type": f"{(await receive())['type']}.complete"})

    script, told = Scripted(), []
    coming = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def receive() -> Any:
        return coming.pop(0)

    async def send(message: Any) -> None:
        told.append((message["type"], list(script.life)))

    await MixerMiddleware(app, script)({"type": "lifespan"}, receive, send)
    assert told == [
        ("lifespan.startup.complete", ["start"]), ("lifespan.shutdown.complete", ["start", "stop"]),
    ]  # fmt: skip


async def test_an_application_that_does_not_start() -> None:
    """The server is told so, and what decides stops."""

    async def failing(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    script = Scripted()
    with pytest.raises(RuntimeError, match="no database"):
        async with lifespan(MixerMiddleware(failing, script)):
            pass
    assert script.life == ["start", "stop"]


async def test_extensions_that_go_past_us() -> None:
    """A response by path would not be seen; the others are left."""
    echo = Echo()
    extensions = {"http.response.pathsend": {}, "http.response.early_hint": {}}
    await call(MixerMiddleware(echo, Scripted()), extensions=extensions)
    assert set(echo.scopes[0]["extensions"]) == {"http.response.early_hint"}


@pytest.mark.parametrize("version", ["2", "3"])
async def test_a_body_that_is_not_announced(version: str) -> None:
    """With HTTP/2 a request may have one nevertheless, and it is seen."""
    seen: list[bytes] = []

    class Reading(_Exchange):
        async def request_body(self, data: bytes, *, end_of_stream: bool) -> None:
            seen.append(data)
            await super().request_body(data, end_of_stream=end_of_stream)

    script = Scripted()
    script.open = lambda incoming: Reading(script, incoming)  # type: ignore[method-assign]
    chunks = (b"body",)
    reply = await call(MixerMiddleware(Echo(), script), http_version=version, chunks=chunks)
    assert (reply.seen["body"], seen) == ("body", [b"body"])


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_QUERY = st.text(st.characters(min_codepoint=33, max_codepoint=255), max_size=12)


@given(_TEXT, _QUERY)
def test_a_path_is_told_as_it_is_routed_by(path: str, text: str) -> None:
    """Whatever the client sent: what a module leaves as it is routes to the same path."""
    query = text.encode("latin-1")
    sent = scope("/" + path, query=query, raw_path=b"/somehow%41else")
    incoming = incoming_of(sent, Workload())
    target = dict(incoming.headers)[b":path"]
    assert target.partition(b"?")[0].isascii()
    assert b"%41" not in target.partition(b"?")[0]
    before = [(n, b"/other" if n == b":path" else v) for n, v in incoming.headers]
    changed = changed_scope(sent, before, incoming.headers)
    assert (changed["path"], changed["query_string"]) == (sent["path"], query)
