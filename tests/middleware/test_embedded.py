"""An application behind the engine in its own process: bodies, responses, waiting and the log."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from mixer.config import ConfigError
from mixer.embedded import EmbeddedDecider
from mixer.embedded.decider import EmbeddedRunning
from mixer.engine import Engine
from mixer.engine.life import BrokenAdaptersError
from mixer.middleware import Workload
from mixer.middleware.asgi import MixerMiddleware
from mixer.middleware.asgi.scope import incoming_of
from tests.engine.conftest import MakeEngine, Plugins
from tests.engine.world import PAUSE, World
from tests.middleware.asgi import PATIENCE_S, Echo, Reply, call, lifespan, scope
from tests.support import adapters as do
from tests.support.adapters import adapter

HOLDING = {"allow-on-headers-stop-iteration": "true"}
BUFFER = do.answer(1)


class Having:
    """Decides by an engine of the test's."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @asynccontextmanager
    async def running(self) -> AsyncIterator[EmbeddedRunning]:
        yield EmbeddedRunning(self.engine)


def before(app: Any, plugins: Plugins, *texts: str, **spec: Any) -> MixerMiddleware:
    """The middleware with adapters of these texts."""
    documents = [
        plugins.plugin(f"p{number}", text, HOLDING, priority=-number)
        for number, text in enumerate(texts)
    ]
    return MixerMiddleware(app, EmbeddedDecider(plugins.configuration(*documents)), **spec)


def streaming(*chunks: bytes, headers: Any = (), status: int = 200, trailers: Any = None) -> Any:
    """An application that answers in pieces, without reading the request."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        start = {"type": "http.response.start", "status": status, "headers": [*headers]}
        await send(start | ({"trailers": True} if trailers is not None else {}))
        for number, chunk in enumerate(chunks, 1):
            more = number < len(chunks)
            await send({"type": "http.response.body", "body": chunk, "more_body": more})
        if trailers is not None:
            await send({"type": "http.response.trailers", "headers": trailers})

    return app


async def test_a_request_body_is_changed(plugins: Plugins) -> None:
    """An adapter that holds the headers sees the whole body, and the application what it left."""
    text = adapter(
        do.remove("content-length"),
        BUFFER,
        request_body=[
            do.where_body("onetwo", do.set_body("new"), do.add("x-late", "1"), do.answer(0)),
            BUFFER,
        ],
    )
    reply = await call(before(Echo(), plugins, text), method="POST", chunks=(b"one", b"two"))
    assert reply.seen["body"] == "new"
    assert ["x-late", "1"] in reply.seen["headers"]
    assert not any(name == "content-length" for name, _ in reply.seen["headers"])


async def test_a_body_that_streams(plugins: Plugins) -> None:
    """Where no adapter holds it, each piece reaches the application when it comes."""
    told: list[bytes] = []
    pieces: asyncio.Queue[Any] = asyncio.Queue()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(2):
            told.append((await receive())["body"])
            await pieces.put({"type": "http.request", "body": b"two", "more_body": False})
        await streaming(b"done")(scope, receive, send)

    found = Reply()

    async def send(message: Any) -> None:
        found.take(message)

    await pieces.put({"type": "http.request", "body": b"one", "more_body": True})
    sent = scope(method="POST", headers=[(b"transfer-encoding", b"chunked")])
    async with asyncio.timeout(PATIENCE_S):
        await before(app, plugins, adapter())(sent, pieces.get, send)
    assert (told, found.body) == ([b"one", b"two"], b"done")


@pytest.mark.parametrize("holds_headers", [True, False])
async def test_too_much_is_held_back(plugins: Plugins, holds_headers: bool) -> None:
    """The client gets 413, as from Envoy, be the application called already or not."""
    text = adapter(*([BUFFER] if holds_headers else []), request_body=[BUFFER])
    chunks = [bytes(1 << 19)] * 4
    echo = Echo()
    reply = await call(before(echo, plugins, text), method="POST", chunks=chunks)
    assert (reply.status, reply.complete) == (413, True)
    assert bool(echo.scopes) is not holds_headers


async def test_the_body_has_a_request_refused(plugins: Plugins) -> None:
    """The client gets the answer, and the application a disconnect."""
    received: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        received.append((await receive())["type"])
        await streaming(b"ignored")(scope, receive, send)

    text = adapter(request_body=[do.deny(403, "not that")])
    reply = await call(before(app, plugins, text), method="POST", chunks=(b"bad",))
    assert (reply.status, reply.body, received) == (403, b"not that", ["http.disconnect"])


async def test_an_application_that_fails_after_a_refusal(plugins: Plugins) -> None:
    """Its failure is no failure of the request any more."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if (await receive())["type"] == "http.disconnect":
            raise RuntimeError("the client is gone")

    text = adapter(request_body=[do.deny(403)])
    assert (await call(before(app, plugins, text), method="POST", chunks=(b"bad",))).status == 403


async def test_a_response_is_changed(plugins: Plugins) -> None:
    """Headers wait for the body where an adapter holds them; all of it may change."""
    text = adapter(
        response_headers=[BUFFER],
        response_body=[
            do.set_status(201), do.add_to_response("x-late", "1"), do.set_body("new", kind=1),
        ],
    )  # fmt: skip
    reply = await call(before(streaming(b"old"), plugins, text))
    assert (reply.status, reply.values(b"x-late"), reply.body) == (201, [b"1"], b"new")


async def test_responses_pass_in_reverse(plugins: Plugins) -> None:
    """As in Envoy's filter chain."""
    texts = [adapter(response_headers=[do.add_to_response("x-order", name)]) for name in "ab"]
    reply = await call(before(streaming(b""), plugins, *texts))
    assert reply.values(b"x-order") == [b"b", b"a"]


async def test_an_answer_in_place_of_a_response(plugins: Plugins) -> None:
    """The application's own response is not sent."""
    text = adapter(response_headers=[do.deny(502, "bad")])
    reply = await call(before(streaming(b"secret"), plugins, text))
    assert (reply.status, reply.body, reply.complete) == (502, b"bad", True)


async def test_a_response_that_may_not_go_on(plugins: Plugins) -> None:
    """Once it began, it is broken off: the server has to close the connection."""
    text = adapter(response_body=[do.trap])
    reply = Reply()
    with pytest.raises(RuntimeError, match="may not go on"):
        await call(before(streaming(b"a", b"b"), plugins, text), reply=reply)
    assert (reply.status, reply.body, reply.complete) == (200, b"", False)


@pytest.mark.parametrize(
    ("method", "status", "headers"),
    [("HEAD", 200, [(b"content-length", b"4")]), ("GET", 204, []), ("GET", 304, [])],
)
async def test_a_response_without_a_body(
    plugins: Plugins, method: str, status: int, headers: Any
) -> None:
    """Adapters are told so with the headers, and no body callback is made."""
    text = adapter(response_headers=[do.add_to_response("x", "1")], response_body=[do.trap])
    app = before(streaming(b"body", headers=headers, status=status), plugins, text)
    reply = await call(app, method=method)
    assert (reply.status, reply.values(b"x"), reply.complete) == (status, [b"1"], True)


async def test_trailers(plugins: Plugins) -> None:
    """They go on after the body."""
    app = before(streaming(b"a", b"b", trailers=[(b"x-t", b"1")]), plugins, adapter())
    reply = await call(app)
    assert (reply.body, reply.trailers) == (b"ab", [(b"x-t", b"1")])


async def test_headers_that_would_be_several(plugins: Plugins) -> None:
    """A response with a header that would split it is not sent."""
    text = adapter(response_headers=[do.add_to_response("x", "1\r\nx-evil: 1")])
    reply = await call(before(streaming(b"body"), plugins, text))
    assert (reply.status, reply.body) == (503, b"")


async def test_a_status_that_is_none(plugins: Plugins) -> None:
    """It is refused, whatever an adapter made of it."""
    text = adapter(response_headers=[do.set_status(42)])
    assert (await call(before(streaming(b"body"), plugins, text))).status == 503


async def test_every_request_is_logged(make_engine: MakeEngine, plugins: Plugins) -> None:
    """With the response, also those that were refused."""
    text = adapter(
        do.when("x-deny", do.deny(403)),
        log=[
            do.where_true("response.code == 200 && response.size == 4", do.count("served", 1)),
            do.where_true("response.code == 403", do.count("refused", 1)),
        ],
    )
    engine = make_engine(plugins.plugin("one", text))
    app = MixerMiddleware(streaming(b"done"), Having(engine))
    await call(app)
    await call(app, headers=[(b"x-deny", b"1")])
    counted = {m.name: m.value for m in engine.services.metrics.snapshot()}
    assert counted == counted | {"served": 1, "refused": 1}
    assert (engine.verdicts.allow, engine.verdicts.deny) == (1, 1)


WAITING = adapter(
    do.callout("auth"),
    PAUSE,
    http_call_response=[
        do.in_stream(do.if_called("2", do.resume), do.if_called("5", do.deny(401)))
    ],
)


async def until(holds: Any) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 - of the engine's own state
            await asyncio.sleep(0.001)


@pytest.mark.parametrize(("status", "expected"), [(200, 200), (500, 401)])
async def test_a_callout(
    make_engine: MakeEngine, plugins: Plugins, status: int, expected: int
) -> None:
    """The request waits for it, while others pass."""
    world = World(make_engine, plugins.plugin("one", WAITING))
    app = MixerMiddleware(Echo(), Having(world.engine))
    waiting = [asyncio.ensure_future(call(app, f"/{n}")) for n in range(2)]
    await until(lambda: len(world.callouts.http_calls) == 2)
    world.answer(1, status)
    second = await waiting[1]
    assert (second.status, waiting[0].done()) == (expected, False)
    world.answer(0, status)
    assert (await waiting[0]).status == expected


async def test_a_callout_that_nobody_answers(make_engine: MakeEngine, plugins: Plugins) -> None:
    """The request is refused once its time is over."""
    world = World(make_engine, plugins.plugin("one", WAITING))
    world.engine.decision_timeout = 0.01
    reply = await call(MixerMiddleware(Echo(), Having(world.engine)))
    assert reply.status == 503


async def test_a_caller_with_a_deadline(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Nothing waits longer than it does."""
    world = World(make_engine, plugins.plugin("one", WAITING))
    world.engine.decision_timeout = 3600.0
    incoming = replace(incoming_of(scope(), Workload()), seconds=0.01)
    exchange = EmbeddedRunning(world.engine).open(incoming)
    async with asyncio.timeout(PATIENCE_S):
        await exchange.request_headers(end_of_stream=True)
    assert exchange.answer is not None
    assert exchange.answer.status == 503


async def test_a_request_that_is_cancelled(
    make_engine: MakeEngine, plugins: Plugins, caplog: pytest.LogCaptureFixture
) -> None:
    """What waited for it is given up, and counted as no permission."""
    caplog.set_level(logging.DEBUG, "mixer.embedded")
    world = World(make_engine, plugins.plugin("one", WAITING))
    waiting = asyncio.ensure_future(call(MixerMiddleware(Echo(), Having(world.engine))))
    await until(lambda: world.callouts.http_calls)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (world.engine.verdicts.error, world.engine.verdicts.allow) == (1, 0)
    assert "error by one caller_gone" in caplog.text


async def test_a_body_goes_on_by_itself(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A callout about one piece lets it through while the client sends no other."""
    text = adapter(
        request_body=[do.callout("scan"), BUFFER],
        http_call_response=[do.in_stream(do.resume)],
    )
    world = World(make_engine, plugins.plugin("one", text))
    got: list[bytes] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        got.append((await receive())["body"])
        await streaming(b"early")(scope, receive, send)

    pieces: asyncio.Queue[Any] = asyncio.Queue()
    await pieces.put({"type": "http.request", "body": b"one", "more_body": True})
    found = Reply()

    async def send(message: Any) -> None:
        found.take(message)

    sent = scope(method="POST", headers=[(b"transfer-encoding", b"chunked")])
    running = asyncio.ensure_future(
        MixerMiddleware(app, Having(world.engine))(sent, pieces.get, send)
    )
    await until(lambda: world.callouts.http_calls)
    world.answer()
    async with asyncio.timeout(PATIENCE_S):
        await running
    assert (got, found.body) == ([b"one"], b"early")


async def test_a_response_goes_on_by_itself(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A callout about one piece lets it through while the application sends no other."""
    text = adapter(
        response_body=[do.callout("scan"), BUFFER],
        http_call_response=[do.in_stream(do.resume_response)],
    )
    world = World(make_engine, plugins.plugin("one", text))
    found, end = Reply(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await end.wait()

    running = asyncio.ensure_future(call(MixerMiddleware(app, Having(world.engine)), reply=found))
    await until(lambda: world.callouts.http_calls)
    assert found.body == b""
    world.answer()
    await until(lambda: found.body == b"one")
    end.set()
    await running


async def test_a_client_that_goes_away(plugins: Plugins) -> None:
    """The application is not called for a request whose body never came."""
    echo = Echo()
    app = before(echo, plugins, adapter(BUFFER, request_body=[BUFFER]))

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        raise AssertionError(message)

    await app(scope(method="POST", headers=[(b"content-length", b"9")]), receive, send)
    assert echo.scopes == []


async def test_it_starts_and_ends_with_the_application(plugins: Plugins) -> None:
    """Its plugins are told of the end."""
    life: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(2):
            kind = (await receive())["type"]
            life.append(kind)
            await send({"type": f"{kind}.complete"})

    text = adapter(vm_start=[do.log("started")])
    async with lifespan(before(app, plugins, text)):
        assert life == ["lifespan.startup"]
    assert life == ["lifespan.startup", "lifespan.shutdown"]


async def test_a_configuration_that_is_wrong(plugins: Plugins) -> None:
    """The server does not start, and says why; what is asked anyway is refused."""
    (plugins.folder / "bad.yaml").write_text("kind: Nonsense\n")
    decider = EmbeddedDecider(plugins.folder / "bad.yaml")
    app = MixerMiddleware(Echo(), decider)
    with pytest.raises(RuntimeError, match="bad"):
        async with lifespan(app):
            pass
    assert (await call(app)).status == 503
    with pytest.raises(ConfigError):
        async with decider.running():
            pass


@pytest.mark.parametrize("strategy", ["FAIL_CLOSE", "FAIL_OPEN"])
async def test_a_module_that_does_not_load(plugins: Plugins, strategy: str) -> None:
    """Without it the server does not start, unless it fails open or it is told to."""
    document = plugins.document("absent", failStrategy=strategy)
    configuration = plugins.configuration(document)
    if strategy == "FAIL_CLOSE":
        with pytest.raises(BrokenAdaptersError, match="absent"):
            async with EmbeddedDecider(configuration).running():
                pass
    decider = EmbeddedDecider(configuration, continue_on_errors=True)
    status = (await call(MixerMiddleware(Echo(), decider))).status
    assert status == (503 if strategy == "FAIL_CLOSE" else 200)


async def test_attributes_of_a_request(plugins: Plugins) -> None:
    """The ends of the connection are told as they are; forwarding headers are not believed."""
    conditions = [
        "source.address == '10.0.0.9:40000'", "source.port == 40000",
        "destination.address == '10.0.0.1:8000'", "request.protocol == 'HTTP/1.1'",
        "request.scheme == 'http'", "request.url_path == '/a'", "request.query == 'b=1'",
        "destination.service == 'orders'", "!connection.mtls",
    ]  # fmt: skip
    text = adapter(do.where_true(" && ".join(conditions), do.add("x-right", "1")))
    headers = [(b"x-forwarded-for", b"1.2.3.4"), (b"forwarded", b"for=1.2.3.4")]
    app = before(Echo(), plugins, text, service="orders")
    reply = await call(app, "/a", query=b"b=1", headers=headers)
    assert ["x-right", "1"] in reply.seen["headers"], json.dumps(reply.seen)
