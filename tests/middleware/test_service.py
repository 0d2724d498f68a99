"""An application in front of which a service is asked."""

import asyncio
import os
import socket
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from mixer.attributes import AttributeBag, HeaderMap, IstioAttributes, PairSource
from mixer.client import NetworkFailPolicy
from mixer.embedded.attributes import RESOLVERS, EmbeddedSource
from mixer.middleware import ServiceDecider, Workload
from mixer.middleware.asgi import MixerMiddleware
from mixer.middleware.asgi.scope import incoming_of
from mixer.middleware.service.attributes import attributes_of
from mixer.middleware.service.outages import Outages
from tests.client.answers import answer, exact
from tests.client.scripted import ScriptedServer
from tests.middleware.asgi import Echo, call, lifespan, scope
from tests.middleware.placements import settings


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


def before(app: Any, address: str, *, reports: bool = False, **more: Any) -> MixerMiddleware:
    return MixerMiddleware(app, ServiceDecider(settings(address, **more), reports=reports))


async def test_an_answer_is_used_again(server: ScriptedServer) -> None:
    """The service is asked once about requests alike."""
    server.check = lambda _: answer(exact("request.path"))
    app = before(Echo(), server.address)
    async with lifespan(app):
        for path in ("/a", "/a", "/b", "/a"):
            assert (await call(app, path)).status == 200
    assert len(server.checks) == 2


async def test_requests_are_reported(server: ScriptedServer) -> None:
    """With what was told to ask, and what became of them, before the application is down."""
    app = before(Echo([(b"x-app", b"1")]), server.address, reports=True)
    server.check = lambda _: answer(exact("request.path"))
    async with lifespan(app):
        reply = await call(app, "/a", method="POST", chunks=(b"one", b"two"), query=b"b=1")
        server.check = lambda _: answer(code=7, message="no")
        await call(app, "/refused")
    allowed, refused = server.records()
    assert allowed.items() >= {
        "request.path": "/a?b=1", "request.url_path": "/a", "request.method": "POST",
        "request.host": "shop", "request.query_params": {"b": "1"}, "request.size": 6,
        "source.ip": bytes((10, 0, 0, 9)), "destination.port": 8000, "response.code": 200,
        "response.headers": {":status": "200", "x-app": "1"}, "response.size": len(reply.body),
        "context.protocol": "http", "context.reporter.kind": "inbound",
    }.items()  # fmt: skip
    assert allowed["response.duration"] > 0
    assert (refused["request.path"], refused["response.code"]) == ("/refused", 403)


async def test_reports_can_be_left_out(server: ScriptedServer) -> None:
    """Then the service is asked, and told nothing."""
    app = before(Echo(), server.address)
    async with lifespan(app):
        await call(app)
    assert (len(server.checks), server.reports) == (1, [])


async def test_an_application_that_fails(server: ScriptedServer) -> None:
    """Its error is the server's to answer, and the request is reported without a response."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("a defect")

    decided = before(app, server.address, reports=True)
    async with lifespan(decided):
        with pytest.raises(RuntimeError, match="a defect"):
            await call(decided)
    (record,) = server.records()
    assert "response.code" not in record


@pytest.mark.parametrize(
    ("code", "status"), [(7, 403), (16, 401), (8, 429), (5, 404), (3, 400), (14, 503), (2, 503)]
)
async def test_a_refusal_without_a_response(server: ScriptedServer, code: int, status: int) -> None:
    """A Mixer that says no more than a code: its words are the body."""
    server.check = lambda _: answer(code=code, message="handler.ns:words")
    echo = Echo()
    reply = await call(before(echo, server.address))
    assert (reply.status, reply.body, echo.scopes) == (status, b"handler.ns:words", [])


async def test_a_direct_response(server: ScriptedServer) -> None:
    """It is given with its headers, also where the request is allowed."""
    said = answer()
    directive = said.precondition.route_directive
    directive.direct_response_code, directive.direct_response_body = 302, "moved"
    directive.response_header_operations.add(name="Location", value="/login")
    server.check = lambda _: said
    reply = await call(before(Echo(), server.address))
    assert (reply.status, reply.body, reply.values(b"location")) == (302, b"moved", [b"/login"])


async def test_operations_on_headers(server: ScriptedServer) -> None:
    """Each is done in its turn: replaced in its place, removed, added."""
    said = answer()
    directive = said.precondition.route_directive
    request, response = directive.request_header_operations, directive.response_header_operations
    request.add(name="x-a", value="new")
    request.add(name="x-a", value="more", operation=2)
    request.add(name="x-b", operation=1)
    request.add(name=":path", value="/caf%C3%A9?c=2")
    request.add(name=":authority", value="other")
    response.add(name="x-app", operation=1)
    response.add(name="x-said", value="1", operation=2)
    server.check = lambda _: said
    headers = [(b"x-a", b"1"), (b"x-b", b"1"), (b"x-c", b"1"), (b"x-a", b"2")]
    reply = await call(before(Echo(), server.address), "/old", headers=headers)
    assert reply.seen["headers"] == [
        ["host", "other"], ["x-a", "new"], ["x-c", "1"], ["x-a", "more"],
    ]  # fmt: skip
    assert (reply.seen["path"], reply.seen["query"]) == ("/café", "c=2")
    assert reply.seen["raw_path"] == "/caf%C3%A9"
    assert reply.headers == [(b"x-said", b"1")]


@pytest.mark.parametrize("name", [":path", "x-a"])
async def test_a_service_that_forges_headers(server: ScriptedServer, name: str) -> None:
    """What would be more than one header reaches neither the application nor the client."""
    said = answer()
    said.precondition.route_directive.request_header_operations.add(name=name, value="/\r\nx: 1")
    server.check = lambda _: said
    echo = Echo()
    assert (await call(before(echo, server.address))).status == 503
    assert echo.scopes == []
    said = answer(code=7)
    directive = said.precondition.route_directive
    directive.direct_response_code = 403
    directive.response_header_operations.add(name="x", value="1\r\ny: 2")
    server.check = lambda _: said
    reply = await call(before(echo, server.address))
    assert (reply.status, reply.values(b"x")) == (503, [])


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a peer that takes connections and never says anything."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"127.0.0.1:{listening.getsockname()[1]}"


POLICIES = [(NetworkFailPolicy.FAIL_OPEN, 200), (NetworkFailPolicy.FAIL_CLOSE, 503)]


@pytest.mark.parametrize(("policy", "status"), POLICIES)
async def test_a_service_that_does_not_answer(
    silent: str, policy: NetworkFailPolicy, status: int
) -> None:
    """The network fail policy decides, in the time that there is."""
    app = before(Echo(), silent, timeout=0.05, network_fail_policy=policy)
    async with lifespan(app):
        assert (await call(app)).status == status


@pytest.mark.parametrize(("policy", "status"), POLICIES)
async def test_a_service_that_is_down(
    server: ScriptedServer,
    policy: NetworkFailPolicy,
    status: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Likewise; a real answer is never overruled, and the log tells of what was not answered."""
    app = before(Echo(), server.address, network_fail_policy=policy)
    async with lifespan(app):
        server.check = lambda _: answer(exact("request.path"), code=7)
        assert (await call(app, "/kept")).status == 403
        server.stop()
        new = await call(app, "/new")
        assert (new.status, b"gRPC" in new.body or b"connect" in new.body) == (status, False)
        assert (await call(app, "/kept")).status == 403
    [record] = [one for one in caplog.records if one.name.endswith(".outages")]
    assert record.levelname == "WARNING"
    assert f"the Mixer at {server.address} did not answer: 'gRPC code 14: " in record.getMessage()
    assert ("is refused by" in record.getMessage()) is (status == 503)


def test_an_outage_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """One warning in ten seconds, which tells how many there were; lines are quoted and bounded."""
    now = [0.0]
    outages = Outages("a:1", lambda: now[0])
    for now[0] in (0.0, 1.0, 9.9, 10.0):
        outages.add("x\ny" * 1000, refused=True)
    first, second = (record.getMessage() for record in caplog.records)
    assert first.endswith("(0 more since the last warning)")
    assert second.endswith("(2 more since the last warning)")
    assert "\n" not in first
    assert len(first) < 1000


async def test_a_request_that_is_cancelled(server: ScriptedServer) -> None:
    """While the service is asked; the application is not called, and others are served."""
    asked, release = asyncio.Event(), os.pipe()
    loop = asyncio.get_running_loop()

    def check(_: Any) -> Any:
        loop.call_soon_threadsafe(asked.set)
        os.read(release[0], 1)
        return answer()

    server.check = check
    echo = Echo()
    app = before(echo, server.address)
    async with lifespan(app):
        waiting = asyncio.ensure_future(call(app))
        async with asyncio.timeout(30):
            await asked.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert echo.scopes == []
        os.write(release[1], b"..")
        assert (await call(app)).status == 200


async def test_headers_that_cannot_be_told(server: ScriptedServer) -> None:
    """A header that is not UTF-8 is refused with 400: to leave it out would hide it."""
    echo = Echo()
    app = before(echo, server.address)
    assert (await call(app, headers=[(b"x-a", b"caf\xe9")])).status == 400
    assert (await call(app, headers=[(b"host", b"other")])).status == 400
    assert (echo.scopes, server.checks) == ([], [])


async def test_a_status_of_gRPC(server: ScriptedServer) -> None:  # noqa: N802
    """A service that refuses the call gave no answer."""
    server.check = lambda _: (grpc.StatusCode.INTERNAL, "a defect")
    assert (await call(before(Echo(), server.address))).status == 503


@pytest.mark.parametrize(
    "sent",
    [
        scope("/"),
        scope("/a b/é", query=b"x=1&x=2&y=", headers=[(b"user-agent", b"curl")]),
        scope("/", headers=[(b"x-request-id", b"7"), (b"accept", b"a"), (b"accept", b"b")]),
        scope("/s", method="POST", scheme="https", headers=[
            (b"content-type", b"application/grpc"), (b"content-length", b"5"), (b"referer", b"r"),
        ]),
        scope("/u", client=None, server=("/run/app.sock", None)),
        scope("/6", client=("::1", 7), server=("::1", 80)),
        scope("/t", client=("testclient", 50000)),
    ],
)  # fmt: skip
def test_both_placements_tell_the_same(sent: Any) -> None:
    """A service is told by Istio's names what an adapter here finds under them."""
    incoming = incoming_of(sent, Workload("orders", {"app": "o"}))
    told = attributes_of(incoming)
    headers = HeaderMap(PairSource(incoming.headers))
    here = dict(IstioAttributes(AttributeBag(RESOLVERS, EmbeddedSource(incoming, headers)).get))
    mine, theirs = told.pop("request.headers"), here.pop("request.headers")
    assert isinstance(mine, dict)
    assert told == here
    assert mine == {n: v for n, v in theirs.items() if not n.startswith(":")}
