"""The HTTP listener, over real sockets."""

import asyncio
import logging
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from pathlib import Path

import pytest

from mixer.api.forward_auth.forward import CARRIERS
from mixer.api.forward_auth.request import decode
from mixer.api.http import Asking, Endpoint, HttpCall, at_once, plain
from mixer.config import HttpSettings, Listener, MixerSpec, Protocol, ServiceLimits, Shutdown
from mixer.engine import Engine
from mixer.shedding import Bounds, Kind, RateBound, Shedder
from mixer.study.client import HttpConnection, Request, Response
from mixer.transport import http_asking, http_protocol, http_server
from mixer.transport.http_notices import Notices
from mixer.transport.http_server import HttpServer
from mixer.transport.listening import ListenError
from tests.engine.conftest import MakeEngine, Plugins, make_engine, plugins
from tests.engine.world import World, asking
from tests.support import adapters as do

__all__ = ["make_engine", "plugins"]

TOLD = (
    ("x-forwarded-host", "example.org"),
    ("x-forwarded-proto", "http"),
    ("x-forwarded-for", "10.1.2.3"),
    ("x-forwarded-method", "GET"),
    ("x-forwarded-uri", "/a"),
)
HEAD = b"GET /forward_auth HTTP/1.1\r\nhost: mixer\r\n"
ALLOWED = b"".join(f"{name}: {value}\r\n".encode() for name, value in TOLD)


@pytest.fixture
def engine(make_engine: MakeEngine) -> Engine:
    """Allows everything."""
    return make_engine()


@asynccontextmanager
async def serving(
    engine: Engine,
    *,
    address: str = "127.0.0.1:0",
    mode: str | None = None,
    shedder: Shedder | None = None,
    grace: float = 5.0,
    max_message_bytes: int = 65536,
    max_concurrent_rpcs: int = 1024,
    **settings: object,
) -> AsyncIterator[HttpServer]:
    listener = Listener(
        name="web",
        address=address,
        protocol=Protocol.HTTP,
        mode=mode,  # type: ignore[arg-type]
        http=HttpSettings.model_construct(**settings),  # type: ignore[arg-type]
    )
    limits = ServiceLimits.model_construct(
        max_message_bytes=max_message_bytes, max_concurrent_rpcs=max_concurrent_rpcs
    )
    spec = MixerSpec.model_construct(limits=limits, shutdown=Shutdown.model_construct(grace=grace))
    gate = None if shedder is None else shedder.gate("http", Kind.CHECK)
    async with HttpServer(engine, listener, spec, gate) as server:
        yield server


async def ask(server: HttpServer, request: Request | None = None) -> Response:
    async with HttpConnection(server.address, 30.0) as connection:
        return await connection.send(request or Request("GET", "/forward_auth", TOLD))


async def raw(server: HttpServer, data: bytes) -> bytes:
    """What comes back until the connection ends, in whatever way."""
    host, _, port = server.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    with closing(writer):
        writer.write(data)
        return await rest(reader)


async def rest(reader: asyncio.StreamReader) -> bytes:
    data = b""
    async with asyncio.timeout(30):
        with suppress(ConnectionError):
            while part := await reader.read(65536):
                data += part
    return data


async def test_an_allow(engine: Engine) -> None:
    """A trusted caller is answered, again and again on one connection."""
    async with serving(engine) as server, HttpConnection(server.address, 30.0) as connection:
        for _ in range(3):
            response = await connection.send(Request("GET", "/forward_auth", TOLD))
            assert (response.status, response.body) == (200, b"")
            assert response.header("server") is None
    assert engine.decisions == 3


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/nothing", 404),
        ("GET", "/forward_auth/", 404),
        ("GET", "/forward_auth%2F", 404),
        ("GET", "/%66orward_auth", 404),
        ("GET", "//forward_auth", 404),
        ("GET", "/x/../forward_auth", 404),
        ("GET", "/ext_authzx", 404),
        ("GET", "/ext_authz%2Fa", 404),
        ("GET", "/healthz", 200),
        ("HEAD", "/healthz", 200),
        ("POST", "/healthz", 405),
    ],
)
async def test_paths(engine: Engine, method: str, target: str, status: int) -> None:
    """A path is what was sent, not what it may be decoded to."""
    async with serving(engine) as server:
        assert (await ask(server, Request(method, target, TOLD))).status == status
    assert engine.decisions == 0


@pytest.mark.parametrize("trusted", [(), ("10.0.0.0/8", "::1/128"), ("unix",)])
async def test_a_caller_that_is_not_trusted(
    engine: Engine, trusted: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    """Its word about a client is not heard: 403, and no decision; only the log has its address."""
    async with serving(engine, trusted_callers=trusted) as server:
        response = await ask(server)
    assert (response.status, engine.decisions) == (403, 0)
    assert response.body == b"this proxy is not trusted to speak for clients\n"
    assert warnings(caplog) == [
        "listener web: the caller 127.0.0.1 is not among http.trustedCallers, and gets 403"
    ]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]


@pytest.mark.parametrize(
    ("target", "headers", "why"),
    [
        ("/forward_auth", (), "x-forwarded-for must be there once, not 0 times"),
        ("/forward_auth?a=b", TOLD, "the query may have headers and response_headers"),
    ],
)
async def test_a_malformed_call_is_told(
    engine: Engine,
    caplog: pytest.LogCaptureFixture,
    target: str,
    headers: tuple[tuple[str, str], ...],
    why: str,
) -> None:
    """The log says what is wrong with it, a few times of many."""
    async with serving(engine) as server:
        for _ in range(30):
            assert (await ask(server, Request("GET", target, headers))).status == 400
    told = warnings(caplog)
    assert 1 <= len(told) < 30
    assert told[0] == f"listener web: a call is malformed: {why}"


async def test_a_decision_that_cannot_be_said_is_told(
    make_engine: MakeEngine, plugins: Plugins, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says what the proxy would have lost, without the query of the request."""
    text = do.adapter(request_headers=[do.add("x-a", "1"), do.add("x-b", "2")])
    engine = make_engine(plugins.plugin("adds", text))
    secret = ("x-forwarded-uri", "/a?token=secret")
    async with serving(engine) as server:
        response = await ask(server, Request("GET", "/forward_auth", (*TOLD[:-1], secret)))
    assert response.status == 503
    [told] = warnings(caplog)
    assert told.startswith("listener web: GET '/a': error by adds: ")
    assert "x-a,x-b:_changed_but_not_copied" in told


@pytest.mark.parametrize("trusted", [("127.0.0.1/32",), ("10.0.0.0/8", "127.0.0.0/8")])
async def test_a_caller_of_a_trusted_network(engine: Engine, trusted: tuple[str, ...]) -> None:
    """An address in one of the networks is enough."""
    async with serving(engine, trusted_callers=trusted) as server:
        assert (await ask(server)).status == 200


async def test_a_unix_socket(engine: Engine, tmp_path: Path) -> None:
    """It has the configured permissions, is trusted as `unix`, and goes at the end."""
    path = tmp_path / "web.sock"
    for trusted, status in ((("unix",), b"200"), ((), b"403")):
        async with serving(engine, address=f"unix:{path}", mode="0600", trusted_callers=trusted):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(HEAD + ALLOWED + b"\r\n")
            assert (await reader.readline()).split()[1] == status
            writer.close()
        assert not path.exists()


async def test_an_address_in_use(engine: Engine) -> None:
    """It is told with the listener's name."""
    async with serving(engine) as server:
        with pytest.raises(ListenError, match=r"^listener web: 127\.0\.0\.1:\d+: "):
            async with serving(engine, address=server.address):
                pass


AMBIGUOUS = {
    "both framings": HEAD + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": HEAD + b"content-length: 0\r\ncontent-length: 1\r\n\r\n",
    "no length": HEAD + b"content-length: x\r\n\r\n",
    "an unknown encoding": HEAD + b"transfer-encoding: identity, x\r\n\r\n",
    "an absolute target": b"GET http://evil/forward_auth HTTP/1.1\r\n" + ALLOWED + b"\r\n",
    "an asterisk": b"OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n",
    "an authority": b"CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n",
    "a space": b"GET /forward_auth /a HTTP/1.1\r\nhost: a\r\n\r\n",
    "a folded header": HEAD + b"x-a: 1\r\n x-b: 2\r\n\r\n",
    "a space in a name": HEAD + b"x-a : 1\r\n\r\n",
    "a line feed in a name": HEAD + b"x-a\nb: 1\r\n\r\n",
    "a carriage return in a value": HEAD + b"x-a: 1\rb: 2\r\n\r\n",
    "a zero": HEAD + b"x-a: \0\r\n\r\n",
    "no http": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("name", AMBIGUOUS)
async def test_what_proxies_could_read_in_two_ways(engine: Engine, name: str) -> None:
    """It is 400, the connection ends, and no adapter is asked."""
    async with serving(engine) as server:
        answer = await raw(server, AMBIGUOUS[name])
    assert answer.split()[1:2] == [b"400"], answer
    assert (answer.count(b"HTTP/1.1"), engine.decisions) == (1, 0)


@pytest.mark.parametrize(
    "data",
    [
        HEAD + b"x-long: " + b"a" * 5000 + b"\r\n\r\n",
        HEAD + b"a: b\r\n" * 1000 + b"\r\n",
        b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nhost: a\r\n\r\n",
    ],
    ids=["value", "many", "target"],
)
async def test_headers_that_are_too_long(engine: Engine, data: bytes) -> None:
    """They are refused."""
    async with serving(engine, max_header_bytes=4096) as server:
        assert (await raw(server, data)).startswith(b"HTTP/1.1 400 ")


async def test_headers_without_an_end(engine: Engine) -> None:
    """The connection ends, though not always with an answer: what was sent is not all read."""
    async with serving(engine, max_header_bytes=4096) as server:
        answer = await raw(server, HEAD + b"x-long: " + b"a" * 500_000)
    assert answer[:13] in (b"HTTP/1.1 400 ", b"")


async def test_headers_of_the_longest_size(engine: Engine) -> None:
    """What is just short enough is served, request after request, with bodies of any length."""
    request = Request("POST", "/forward_auth", (*TOLD, ("x", "a" * 3600)), b"b" * 9000)
    async with (
        serving(engine, max_header_bytes=4096) as server,
        HttpConnection(server.address, 30.0) as connection,
    ):
        for _ in range(4):
            assert (await connection.send(request)).status == 200


@pytest.mark.parametrize(
    "framing",
    [
        b"content-length: 70000\r\n\r\n",
        b"transfer-encoding: chunked\r\n\r\n11170\r\n",
    ],
    ids=["length", "chunked"],
)
async def test_a_body_that_is_too_long(engine: Engine, framing: bytes) -> None:
    """It is 413 as soon as it is too long, and the connection ends."""
    async with serving(engine) as server:
        answer = await raw(server, HEAD + ALLOWED + framing + b"a" * 65537)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert engine.decisions == 0


async def test_connections_that_are_too_many(engine: Engine) -> None:
    """One more than there may be is closed, and there is room again once one has ended."""
    async with serving(engine, max_connections=2) as server:
        async with HttpConnection(server.address) as one, HttpConnection(server.address) as two:
            for kept in (one, two):
                assert (await kept.send(Request("GET", "/healthz"))).status == 200
            assert await raw(server, HEAD + b"\r\n") == b""
        async with asyncio.timeout(30):
            while not await raw(server, HEAD + b"connection: close\r\n\r\n"):
                pass


@pytest.mark.parametrize("sent", [b"", HEAD, HEAD + b"content-length: 9\r\n\r\nhalf"])
async def test_a_caller_that_does_not_go_on(
    engine: Engine, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection on which no request arrives in time ends."""
    bounds = http_protocol.HttpBounds(10, 4096, idle_s=0.05, request_s=0.05)
    monkeypatch.setattr(http_server, "HttpBounds", lambda *_args: bounds)
    async with serving(engine) as server:
        assert await raw(server, sent) == b""
    assert engine.decisions == 0


async def test_an_idle_connection(engine: Engine) -> None:
    """It ends after its idle time."""
    async with serving(engine, idle_timeout=0.01) as server:
        host, _, port = server.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n")
        assert (await rest(reader)).endswith(b"ok\n")
        writer.close()


async def test_load_shedding(engine: Engine) -> None:
    """What is too much gets 503 and when to come again; health never does."""
    shedder = Shedder(Bounds(rate=RateBound(1, 1)), clock=lambda: 0.0)
    async with serving(engine, shedder=shedder) as server:
        assert (await ask(server)).status == 200
        refused = await ask(server)
        assert (await ask(server, Request("GET", "/healthz"))).status == 200
    assert (refused.status, int(refused.header("retry-after") or 0) >= 1) == (503, True)
    (gate,) = shedder.gates
    assert (gate.front_end, gate.admitted) == ("http", engine.decisions)


async def test_a_call_leaves_its_place(engine: Engine) -> None:
    """Calls one after the other are one in progress, whatever becomes of them."""
    async with serving(engine, shedder=Shedder(Bounds(max_concurrent=1))) as server:
        for headers in (TOLD, (), TOLD, TOLD):
            assert (await ask(server, Request("GET", "/forward_auth", headers))).status != 503


def _asks_twice(call: HttpCall) -> Asking:
    for _ in range(2):
        yield decode(call, CARRIERS)
    return plain(200, "twice")


@pytest.mark.parametrize(("burst", "status"), [(1, 503), (2, 200)])
async def test_each_question_of_a_call_is_counted(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, burst: int, status: int
) -> None:
    """A call that asks many times takes as much of the rate as as many calls."""
    monkeypatch.setattr(http_server, "ENDPOINTS", (Endpoint("/twice", _asks_twice),))
    shedder = Shedder(Bounds(rate=RateBound(1, burst)), clock=lambda: 0.0)
    async with serving(engine, shedder=shedder) as server:
        assert (await ask(server, Request("GET", "/twice", TOLD))).status == status
    assert engine.decisions == burst


@pytest.fixture
def world(make_engine: MakeEngine, plugins: Plugins) -> World:
    """One adapter that asks another service."""
    return World(make_engine, plugins.plugin("one", asking()))


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - the server goes on when it does
            await asyncio.sleep(0.001)


async def test_a_pending_decision(world: World) -> None:
    """The answer comes once the decision is made."""
    async with serving(world.engine) as server:
        waiting = asyncio.create_task(ask(server))
        await until(lambda: world.callouts.http_calls)
        assert not waiting.done()
        world.answer()
        assert (await waiting).status == 200


async def test_a_decision_that_takes_too_long(world: World) -> None:
    """It is 503 after the decision's timeout."""
    world.engine.decision_timeout = 0.01
    async with serving(world.engine) as server:
        assert (await ask(server)).status == 503


async def test_a_caller_that_is_gone(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Its request ends, and its decision is logged as given up."""
    caplog.set_level(logging.DEBUG, "mixer.transport.decision_log")
    async with serving(world.engine) as server:
        host, _, port = server.address.rpartition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(HEAD + ALLOWED + b"\r\n")
        await until(lambda: world.callouts.http_calls)
        writer.transport.abort()
        await until(lambda: "caller_gone" in caplog.text)
    assert [r for r in caplog.records if r.name == "mixer.transport.http_app"] == []


async def test_calls_that_are_too_many(world: World) -> None:
    """More in progress than there may be get 503."""
    async with serving(world.engine, max_concurrent_rpcs=1) as server:
        waiting = asyncio.create_task(ask(server))
        await until(lambda: world.callouts.http_calls)
        assert (await ask(server)).status == 503
        world.answer()
        assert (await waiting).status == 200


async def test_a_stop_waits_for_what_is_in_flight(world: World) -> None:
    """A request that is being decided about is answered, and its connection ends."""
    served = AsyncExitStack()
    server = await served.enter_async_context(serving(world.engine, grace=60.0))
    waiting = asyncio.create_task(ask(server))
    await until(lambda: world.callouts.http_calls)
    stopping = asyncio.create_task(served.aclose())
    async with asyncio.timeout(30):
        while (await ask(server, Request("GET", "/healthz"))).status != 503:
            pass
    world.answer()
    response = await waiting
    assert (response.status, response.header("connection")) == (200, "close")
    await stopping


async def test_a_stop_cuts_what_outlasts_the_grace_period(world: World) -> None:
    """It is answered with 503."""
    async with serving(world.engine, grace=0.05) as server:
        waiting = asyncio.create_task(ask(server))
        await until(lambda: world.callouts.http_calls)
    assert (await waiting).status == 503


def _fails(_call: HttpCall) -> Asking:
    yield from ()
    raise ZeroDivisionError


def _echo(call: HttpCall) -> Asking:
    parts = (call.method, call.target, call.path, call.query, call.caller().address.encode())
    yield from ()
    return plain(200, b" ".join((*parts, call.body)).decode())


async def test_what_an_endpoint_is_given(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The whole call, as sent; a method that is not its own is 405, and its defect is 500."""
    endpoints = (
        Endpoint("/echo", _echo, methods=frozenset({"POST"}), takes_below=False),
        Endpoint("/fails", _fails),
        Endpoint("/fixed", at_once(lambda _call: plain(204, ""))),
    )
    monkeypatch.setattr(http_server, "ENDPOINTS", endpoints)
    async with serving(engine, trusted_callers=()) as server:
        response = await ask(server, Request("POST", "/echo?a=%20?b", (), b"body"))
        assert response.body == b"POST /echo?a=%20?b /echo a=%20?b 127.0.0.1 body\n"
        assert (await ask(server, Request("GET", "/echo"))).status == 405
        assert (await ask(server, Request("GET", "/fixed"))).status == 204
        assert (await ask(server, Request("GET", "/fails"))).status == 500
    assert "a call by HTTP failed" in caplog.text


def test_no_listener_no_library() -> None:
    """Neither uvicorn nor starlette is imported where there is no HTTP listener."""
    code = "import sys, mixer.transport; print({'uvicorn', 'starlette'} & set(sys.modules))"
    done = subprocess.run((sys.executable, "-c", code), capture_output=True, check=True, text=True)
    assert done.stdout == "set()\n"


async def test_a_peer_that_does_not_read(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connection ends, also where it has sent the next request before."""
    big = at_once(lambda _call: plain(200, "x" * 8_000_000))
    monkeypatch.setattr(http_server, "ENDPOINTS", (Endpoint("/big", big),))
    async with serving(engine, idle_timeout=0.05) as server:
        host, _, port = server.address.rpartition(":")
        _reader, writer = await asyncio.open_connection(host, int(port))
        with closing(writer):
            writer.write(2 * b"GET /big HTTP/1.1\r\nhost: a\r\n\r\n")
            await until(lambda: server._state.total_requests)
            await until(lambda: not server._state.connections)


async def test_calls_take_turns(engine: Engine) -> None:
    """A call that asks many times does not hold up others."""
    others: list[str] = []

    def many(call: HttpCall) -> Asking:
        for _ in range(100):
            if others:
                break
            yield decode(call, CARRIERS)
        return plain(200, f"after {len(others)}")

    async def gone() -> None:
        await asyncio.Event().wait()

    headers = tuple((name.encode(), value.encode()) for name, value in TOLD)
    call = HttpCall(b"GET", b"/forward_auth", headers)
    asyncio.get_running_loop().call_soon(others.append, "other")
    answer = await http_asking.ask(engine, many(call), gone, lambda: None, Notices("web"))
    assert answer.body == b"after 1\n"
