"""nginx, HAProxy and Caddy of Debian with the configurations of deploy/, and the service."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from mixer.study.client import HttpConnection, Request
from mixer.study.service import ServiceProcess
from mixer.study.upstream import EchoUpstream
from tests.e2e.guests import Guests
from tests.e2e.stack import Services, adapter, operation, rule
from tests.support.proxies import CADDY, HAPROXY, KINDS, NGINX, Kind, running_proxy

pytestmark = pytest.mark.asyncio(loop_scope="module")

SEEN = " + '|' + ".join(
    (
        "request.method",
        "request.scheme",
        "request.host",
        "request.path",
        "source.address",
        "request.headers['x-plain']",
    )
)
"""What the service saw, told to the upstream in a header that the proxies copy."""


def case(name: str) -> str:
    return f"request.headers['x-case'] == '{name}'"


ISOLATED = {"isolation": "request"}
"""So that a trap costs its own request only: else the adapter starts again, in its own time."""

RULES = (
    rule("seen", case("seen"), request=[operation("REPLACE", "x-user", SEEN)]),
    rule("removed", case("removed"), request=[operation("REMOVE", "x-user")]),
    rule("other", case("other"), request=[operation("REPLACE", "x-other", "'1'")]),
    rule("path", case("path"), request=[operation("REPLACE", ":path", "'/other'")]),
    rule("response", case("response"), response=[operation("APPEND", "x-served-to", "'ann'")]),
    rule("replaced", case("replaced"), response=[operation("REPLACE", "content-type", "'a/b'")]),
)


@dataclass(frozen=True)
class Seen:
    """What came of a request.

    Attributes:
        status: Of the response.
        headers: Of the response; of several with one name, the last.
        body: What the proxy made of it; empty where the upstream answered.
        upstream: The headers that the upstream saw; None where the request did not get there.
    """

    status: int
    headers: dict[str, str]
    body: str
    upstream: list[tuple[str, str]] | None

    def lines(self, name: str) -> list[str]:
        """The values of a header that the upstream saw."""
        assert self.upstream is not None, self
        return [value for key, value in self.upstream if key.lower() == name]


async def send(address: str, request: Request, host: str = "demo.mixer.dev") -> Seen:
    """What came of a request on a connection of its own."""
    async with HttpConnection(address, 30.0) as connection:
        response = await connection.send(request, host)
    headers = dict(response.headers)
    if b'"body_sha256"' not in response.body:
        return Seen(response.status, headers, response.body.decode(), None)
    seen = json.loads(response.body)["headers"]
    return Seen(response.status, headers, "", [(name, value) for name, value in seen])


@dataclass(frozen=True)
class Stack:
    """What is running.

    Attributes:
        proxies: Addresses, by name.
        service: Is asked.
    """

    proxies: dict[str, str]
    service: ServiceProcess

    async def send(self, kind: Kind, request: Request, host: str = "demo.mixer.dev") -> Seen:
        kind.program()  # or this test is skipped
        return await send(self.proxies[kind.name], request, host)

    async def get(
        self, kind: Kind, target: str = "/", *headers: tuple[str, str], method: str = "GET"
    ) -> Seen:
        return await self.send(kind, Request(method, target, headers))


def http_address(service: ServiceProcess) -> str:
    """Where the service listens for HTTP, as it says itself."""
    found = re.search(r"127\.0\.0\.1:\d+", service.log_text().partition("HTTP on ")[2])
    assert found is not None, service.log_text()
    return found[0]


def listeners(services: Services, name: str = "mixer") -> list[dict[str, object]]:
    return [
        {"name": "grpc", "address": services.address(name)},
        {"name": "web", "address": "127.0.0.1:0", "protocol": "HTTP"},
    ]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(services: Services, guests: Guests) -> AsyncIterator[Stack]:
    documents = [adapter("answers", guests.answers(), annotations=ISOLATED), *RULES]
    async with AsyncExitStack() as entered:
        upstream = await entered.enter_async_context(EchoUpstream())
        service = await entered.enter_async_context(
            services.service("mixer", documents, listeners=listeners(services))
        )
        asked, proxies = http_address(service), {}
        for kind in KINDS:
            if kind.installed():
                running = running_proxy(kind, services.folder / kind.name, asked, upstream.address)
                proxies[kind.name] = await entered.enter_async_context(running)
        yield Stack(proxies, service)


def each(*kinds: Kind) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("kind", kinds or KINDS, ids=lambda kind: kind.name)


@each()
async def test_what_the_service_sees(stack: Stack, kind: Kind) -> None:
    """Method, scheme, host, path with query, client and headers are those of the client."""
    sent = Request("PUT", "/a/b?c=%20d", (("x-case", "seen"), ("x-plain", "p")), b"body")
    seen = await stack.send(kind, sent)
    assert seen.status == 200
    assert seen.lines("x-user") == ["PUT|http|demo.mixer.dev|/a/b?c=%20d|127.0.0.1:0|p"]


@each()
async def test_forged_forwarding_headers(stack: Stack, kind: Kind) -> None:
    """Whatever headers a client sends, the service decides about the request that it made."""
    forged = [
        ("X-Forwarded-Method", "DELETE"), ("X-Forwarded-Uri", "/public"),
        ("X-Forwarded-Host", "evil"), ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "7.7.7.7"),
        ("X-Original-URI", "/public"), ("X-Original-URL", "/public"),
        ("X-Original-Method", "DELETE"), ("X-Real-IP", "6.6.6.6"),
        ("X-Mixer-Client-Address", "6.6.6.6"), ("X-Mixer-Verdict", "allow"),
        ("X-Mixer-Status", "200"), ("X-Rewrite-Url", "/public"),
    ]  # fmt: skip
    seen = await stack.get(kind, "/private", ("x-case", "seen"), ("x-plain", ""), *forged)
    assert seen.lines("x-user") == ["GET|http|demo.mixer.dev|/private|127.0.0.1:0|"]


RESPELLED = [
    "//admin", "/./admin", "/x/../admin", "/x/..", "/x/.", "/x/.%2e/admin", "/x/%2E%2e/admin",
    "/%61dmin", "/%2fadmin", "/x/..%5cadmin", "/x/..\\admin", "/x/..;/admin", "/;/admin",
    "/.;/admin", "http://demo.mixer.dev//admin",
]  # fmt: skip
"""Of which an upstream may make ``/admin``, or another path."""


@each()
@pytest.mark.parametrize("target", RESPELLED)
async def test_a_path_that_is_spelled_in_two_ways(stack: Stack, kind: Kind, target: str) -> None:
    """It is refused, or the service and the upstream are told the plain one."""
    seen = await stack.get(kind, target, ("x-case", "seen"), ("x-plain", ""))
    if kind is HAPROXY and seen.status == 200:
        told = seen.lines("x-user")[0].split("|")[3]
        assert told in ("/admin", "/x/", "/"), told
    else:
        assert (seen.status, seen.upstream) == (400, None)


PLAIN = ["/a;b=c/.d/..e?f=//../%2f;", "/%20%C3%A9/%25", "/a.b/...", "/?"]


@each()
@pytest.mark.parametrize("target", PLAIN)
async def test_a_path_with_one_spelling(stack: Stack, kind: Kind, target: str) -> None:
    """It reaches the upstream as it was sent, and the service was told the same."""
    seen = await stack.get(kind, target, ("x-case", "seen"), ("x-plain", ""))
    assert [line.split("|")[3] for line in seen.lines("x-user")] == [target]


@each()
async def test_a_header_named_in_connection(stack: Stack, kind: Kind) -> None:
    """A client cannot have dropped what an adapter sets."""
    named = ("Connection", "keep-alive, X-User"), ("Connection", "x-user")
    seen = await stack.get(kind, "/", ("x-case", "seen"), ("x-plain", ""), *named)
    assert len(seen.lines("x-user")) == 1


@each()
async def test_the_host_of_the_upstream(stack: Stack, kind: Kind) -> None:
    """It is the one that the service was told, with a comma in it, too."""
    request = Request("GET", "/", (("x-case", "seen"), ("x-plain", "")))
    seen = await stack.send(kind, request, "evil,demo")
    assert [line.split("|")[2] for line in seen.lines("x-user")] == seen.lines("host")


@each()
async def test_a_header_that_is_not_changed(stack: Stack, kind: Kind) -> None:
    """What the client sends and no adapter changes reaches the upstream."""
    seen = await stack.get(kind, "/", ("X-User", "ann"), ("Authorization", "Basic YTpi"))
    assert (seen.lines("x-user"), seen.lines("authorization")) == (["ann"], ["Basic YTpi"])
    assert (await stack.get(kind, "/")).lines("x-user") == []


@each()
async def test_a_removed_header(stack: Stack, kind: Kind) -> None:
    """What a rule removes does not reach the upstream."""
    seen = await stack.get(kind, "/", ("x-case", "removed"), ("x-user", "forged"))
    assert (seen.status, seen.lines("x-user")) == (200, [])


@each(NGINX, CADDY)
async def test_a_change_that_the_proxy_does_not_take_over(stack: Stack, kind: Kind) -> None:
    """A changed header that it does not copy makes the request fail, and is told in the log."""
    seen = await stack.get(kind, "/", ("x-case", "other"))
    assert (seen.status, seen.upstream) == (503, None)


@each()
async def test_a_change_that_no_proxy_can_make(stack: Stack, kind: Kind) -> None:
    """Another path cannot be said: the request fails."""
    seen = await stack.get(kind, "/", ("x-case", "path"))
    assert (seen.status, seen.upstream) == (503, None)


async def test_any_header_can_be_changed_in_haproxy(stack: Stack) -> None:
    """Its script does what it is told, with no list of headers."""
    assert (await stack.get(HAPROXY, "/", ("x-case", "other"))).lines("x-other") == ["1"]


@each()
async def test_a_header_of_the_response(stack: Stack, kind: Kind) -> None:
    """What a rule adds to the response reaches the client, and not the upstream."""
    seen = await stack.get(kind, "/", ("x-case", "response"))
    assert (seen.status, seen.headers["x-served-to"]) == (200, "ann")
    assert seen.lines("x-served-to") == []
    assert "x-served-to" not in (await stack.get(kind, "/")).headers


async def test_replacing_a_header_of_the_response(stack: Stack) -> None:
    """HAProxy can do it; with the others the request fails."""
    seen = await stack.get(HAPROXY, "/", ("x-case", "replaced"))
    assert (seen.status, seen.headers["content-type"]) == (200, "a/b")
    for kind in (NGINX, CADDY):
        assert (await stack.get(kind, "/", ("x-case", "replaced"))).status == 503


@each()
@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 429])
async def test_a_denial(stack: Stack, kind: Kind, status: int) -> None:
    """The client gets the adapter's status."""
    seen = await stack.get(kind, "/", ("x-answer", str(status)))
    assert (seen.status, seen.upstream) == (status, None)
    told = seen.headers
    if status == 302:
        assert told["location"].endswith("/login")
    if status == 401:
        assert told["www-authenticate"] == "Basic"
    if status == 429:
        assert told["retry-after"] == "7"
    if kind is not NGINX:
        assert (seen.body, told["x-more"]) == ("denied", "1")


@each(NGINX, CADDY)
@pytest.mark.parametrize("status", [200, 204])
async def test_a_denial_that_looks_like_an_allow(stack: Stack, kind: Kind, status: int) -> None:
    """It stays one: by 403 in nginx, and as a failure in Caddy."""
    seen = await stack.get(kind, "/", ("x-answer", str(status)))
    assert (seen.status, seen.upstream) == (403 if kind is NGINX else 503, None)


async def test_haproxy_answers_with_any_status(stack: Stack) -> None:
    """An adapter may answer with 200 itself: the upstream is not asked."""
    seen = await stack.get(HAPROXY, "/", ("x-answer", "200"))
    assert (seen.status, seen.body, seen.upstream) == (200, "denied", None)


@each()
async def test_an_adapter_that_fails(stack: Stack, kind: Kind) -> None:
    """It is 503, and no request passes."""
    seen = await stack.get(kind, "/", ("x-answer", "000"))
    assert (seen.status, seen.upstream) == (503, None)


@each()
async def test_a_head_request(stack: Stack, kind: Kind) -> None:
    """It is asked about as such, and refused without a body."""
    seen = await stack.get(kind, "/", ("x-answer", "403"), method="HEAD")
    assert (seen.status, seen.body) == (403, "")


@each()
async def test_a_service_that_is_down(kind: Kind, tmp_path: Path) -> None:
    """Without the service every request gets 503."""
    async with (
        EchoUpstream() as upstream,
        running_proxy(kind, tmp_path, "127.0.0.1:1", upstream.address) as address,
    ):
        assert (await send(address, Request("GET", "/"))).status == 503


@each()
async def test_a_server_that_is_not_the_service(kind: Kind, tmp_path: Path) -> None:
    """HAProxy believes nobody but the service; to the others any 2xx is an allow."""
    async with (
        EchoUpstream() as upstream,
        running_proxy(kind, tmp_path, upstream.address, upstream.address) as address,
    ):
        seen = await send(address, Request("GET", "/"))
        assert seen.status == (503 if kind is HAPROXY else 200)
