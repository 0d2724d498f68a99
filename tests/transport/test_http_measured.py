"""What is counted of HTTP requests, and which spans they get."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from mixer.config import Listener, MixerSpec, Protocol
from mixer.engine import Engine
from mixer.study.client import HttpConnection, Request
from mixer.telemetry import Calls, SpanCounts
from mixer.telemetry.tracing import SpanQueue, Tracer
from mixer.transport.http_server import HttpServer
from mixer.transport.spans import listen
from mixer.transport.watch import Watch
from tests.engine.conftest import MakeEngine, Plugins, make_engine, plugins
from tests.support import adapters as do
from tests.support.adapters import adapter

__all__ = ["make_engine", "plugins"]

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TOLD = (
    ("x-forwarded-host", "example.org"),
    ("x-forwarded-proto", "http"),
    ("x-forwarded-for", "10.1.2.3"),
    ("x-forwarded-method", "GET"),
    ("x-forwarded-uri", "/secret?a=b"),
)


class World:
    """A server whose calls are counted, and those with a sampled parent have spans."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.calls = engine, Calls()
        self.queue = SpanQueue(SpanCounts())
        tracer = Tracer(self.queue, 0.0)
        listen(engine, tracer)
        self.watch = Watch(self.calls, tracer)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[HttpServer]:
        listener = Listener(name="web", address="127.0.0.1:0", protocol=Protocol.HTTP)
        async with HttpServer(self.engine, listener, MixerSpec(), watch=self.watch) as server:
            yield server

    def counted(self) -> dict[tuple[object, ...], int]:
        """How many requests there were, by the values of their labels."""
        return {
            tuple(value for _, value in kind.labels()): sum(durations.counts)
            for kind, durations in self.calls.http.items()
        }


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30.0):
        while True:
            if condition():
                return
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("method", "path", "labels"),
    [
        ("GET", "/forward_auth", ("GET", "http", "/forward_auth", 200)),
        ("GET", "/healthz", ("GET", "http", "/healthz", 200)),
        ("GET", "/nothing/12345", ("GET", "http", 404)),
        ("DELETE", "/healthz", ("DELETE", "http", 405)),
        ("PROPFIND", "/nothing", ("_OTHER", "http", 404)),
    ],
)
async def test_what_is_counted(
    make_engine: MakeEngine, method: str, path: str, labels: tuple[object, ...]
) -> None:
    """Requests by method, route and status; a caller cannot make up series."""
    world = World(make_engine())
    async with world.serving() as server, HttpConnection(server.address, 30.0) as connection:
        response = await connection.send(Request(method, path, TOLD))
    assert response.status == labels[-1]
    assert world.counted() == {labels: 1}
    assert set(world.calls.http_in_progress.values()) == {0}


async def test_a_failure(make_engine: MakeEngine, plugins: Plugins) -> None:
    """What the service answers with 5xx is an error."""
    world = World(make_engine(plugins.plugin("one", adapter(do.trap))))
    async with world.serving() as server, HttpConnection(server.address, 30.0) as connection:
        await connection.send(Request("GET", "/forward_auth", TOLD))
    assert world.counted() == {("GET", "http", "/forward_auth", 503, "503"): 1}


async def test_a_caller_that_goes(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A request that got no answer is told by that."""
    world = World(make_engine())
    head = b"POST /forward_auth HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n"
    async with world.serving() as server:
        host, _, port = server.address.rpartition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(head)
        await until(lambda: world.calls.http_in_progress == {("POST", "http"): 1})
        writer.close()
        await until(lambda: world.calls.http_in_progress == {("POST", "http"): 0})
    assert list(world.counted()) == [("POST", "http", "/forward_auth", "caller_gone")]


async def test_spans(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A sampled request has one which goes on where the caller's is, with its adapters in it."""
    world = World(make_engine(plugins.plugin("one", adapter(do.deny(403, "no", "why")))))
    parent = ("traceparent", f"00-{TRACE}-{SPAN}-01")
    async with world.serving() as server, HttpConnection(server.address, 30.0) as connection:
        for more in ((), (parent,), (("b3", "0"),)):
            await connection.send(Request("GET", "/forward_auth", TOLD + more))
    call, child = world.queue.take()
    assert (f"{call.trace_id:032x}", f"{call.parent_id:016x}") == (TRACE, SPAN)
    assert (call.name, call.error) == ("GET /forward_auth", False)
    assert call.attributes == {
        "http.request.method": "GET",
        "url.scheme": "http",
        "http.route": "/forward_auth",
        "http.response.status_code": 403,
        "network.peer.address": "127.0.0.1",
        "mixer.verdict": "deny",
        "mixer.adapter": "one",
        "mixer.reason": "why",
        "mixer.cache.hit": False,
    }
    assert (child.parent_id, child.name) == (call.span_id, "one request_headers")
