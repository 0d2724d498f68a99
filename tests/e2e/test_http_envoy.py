"""Envoy with both configurations of deploy/: asking by gRPC and by HTTP comes to the same."""

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
import yaml

from mixer.study.bootstrap import socket_address
from mixer.study.client import HttpConnection, Request, Response
from mixer.study.envoy import EnvoyProcess
from mixer.study.upstream import EchoUpstream
from tests.e2e.guests import Guests
from tests.e2e.stack import START_TIMEOUT_S, Services, adapter, operation, rule
from tests.e2e.test_http_proxies import ISOLATED, case, http_address, listeners
from tests.support.proxies import DEPLOY

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("envoy")]

SEEN = " + '|' + ".join(
    (
        "request.method",
        "request.scheme",
        "request.host",
        "request.path",
        "source.address",
        "request.headers['x-plain']",
        "request.headers['x-forwarded-for']",
        "request.headers['cookie']",
        "request.headers['content-type']",
    )
)
BODY_BYTES = 64
DOCUMENTS = (
    rule("seen", "'x-plain' in request.headers", request=[operation("REPLACE", "x-user", SEEN)]),
    rule("removed", case("removed"), request=[operation("REMOVE", "x-user")]),
    rule("cookie", case("cookie"), request=[operation("REPLACE", "authorization", "'Basic YTpi'")]),
    rule("path", case("path"), request=[operation("REPLACE", ":path", "'/other'")]),
    rule("response", case("response"), response=[operation("APPEND", "x-served-to", "'ann'")]),
)


def get(*headers: tuple[str, str], target: str = "/", method: str = "GET") -> Request:
    return Request(method, target, headers)


def seen(**options: Any) -> Request:
    told = (("x-plain", "p"), ("cookie", "a=b"), ("content-type", "text/plain"))
    return get(*told, **options)


CORPUS = {
    "plain": get(),
    "seen": seen(target="/a/b?c=%20d&e"),
    "post": Request("POST", "/post", (("x-plain", "p"), ("content-type", "a/b")), b"body"),
    "body": Request("POST", "/", (("x-case", "body"),), b"the body"),
    "cut": Request("POST", "/", (("x-case", "body"),), b"b" * (BODY_BYTES + 1)),
    "put": Request("PUT", "/", (("x-plain", ""),), b"\x00\xff"),
    "encoded": seen(target="/a%0Ab%00c%ff?d=%zz"),
    "long": seen(target="/" + "a" * 4000),
    "colons": seen(target="/http://example.org/a:b@c;d"),
    "slashes": seen(target="//a//b/./c/../d"),
    "escaped-slash": seen(target="/a%2Fb"),
    "absolute": seen(target="http://elsewhere/a"),
    "head": seen(method="HEAD"),
    "options": seen(method="OPTIONS"),
    "own-method": seen(method="M-SEARCH"),
    "duplicates": get(("x-plain", "1"), ("x-plain", "2"), ("x-user", "a"), ("x-user", "b")),
    "not-utf-8": get(("x-plain", "caf\xe9"), ("x-raw", "\xff")),
    "empty": get(("x-plain", ""), ("x-user", "")),
    "forged": get(
        ("x-plain", "p"),
        ("x-mixer-client-address", "6.6.6.6"),
        ("x-forwarded-for", "6.6.6.6"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-uri", "/public"),
        ("x-forwarded-method", "PUT"),
        ("x-original-url", "/public"),
        ("x-envoy-auth-headers-to-remove", "x-user"),
        ("x-envoy-auth-partial-body", "true"),
        ("x-envoy-internal", "true"),
        ("x-user", "ann"),
    ),
    "removed": get(("x-case", "removed"), ("x-user", "forged"), ("x-user", "twice")),
    "authorization": get(("x-case", "cookie"), ("authorization", "Bearer a")),
    "fails": get(("x-answer", "000")),
    **{f"answer-{n}": get(("x-answer", str(n))) for n in (302, 400, 401, 403, 404, 429)},
}

DIFFERENT = {
    "200": (get(("x-answer", "200")), 200, 503),
    "500": (get(("x-answer", "500")), 500, 403),
    "599": (get(("x-answer", "599")), 599, 403),
    "path": (get(("x-case", "path")), 200, 503),
    "response": (get(("x-case", "response")), 200, 503),
}
"""What only gRPC can say, with both statuses; docs/http.md tells it."""


@dataclass(frozen=True)
class Both:
    """Addresses of the two Envoys."""

    grpc: str
    http: str


def bootstrap(file: str, upstream: str, mixer: str) -> Mapping[str, Any]:
    """A configuration of deploy/ with other addresses, and bodies sent along."""
    config: dict[str, Any] = yaml.safe_load((DEPLOY / "envoy" / file).read_text())
    (listener,) = config["static_resources"]["listeners"]
    listener["address"] = socket_address("127.0.0.1:0")
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    authz = manager["http_filters"][0]["typed_config"]
    authz["with_request_body"] = {"max_request_bytes": BODY_BYTES, "allow_partial_message": True}
    if "grpc_service" in authz:
        authz["with_request_body"]["pack_as_bytes"] = True
    service = authz.get("grpc_service") or authz["http_service"]["server_uri"]
    service["timeout"] = "10s"
    for cluster in config["static_resources"]["clusters"]:
        cluster.pop("health_checks", None)
        at = {"mixer": mixer, "upstream": upstream}[cluster["name"]]
        endpoint = {"endpoint": {"address": socket_address(at)}}
        cluster["load_assignment"]["endpoints"][0]["lb_endpoints"] = [endpoint]
    return config


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def both(services: Services, guests: Guests) -> AsyncIterator[Both]:
    adapters = [adapter("answers", guests.answers(), annotations=ISOLATED), *DOCUMENTS]
    async with AsyncExitStack() as entered:
        upstream = await entered.enter_async_context(EchoUpstream())
        service = await entered.enter_async_context(
            services.service("mixer", adapters, listeners=listeners(services))
        )
        started = []
        for file, mixer in (
            ("ext_authz.yaml", service.address),
            ("ext_authz_http.yaml", http_address(service)),
        ):
            config = bootstrap(file, upstream.address, mixer)
            envoy = EnvoyProcess(config, start_timeout_s=START_TIMEOUT_S)
            started.append((await entered.enter_async_context(envoy)).address("ingress"))
        yield Both(*started)


async def send(address: str, request: Request) -> Response:
    async with HttpConnection(address, 30.0) as connection:
        return await connection.send(request)


def compared(response: Response) -> tuple[int, Any, Any]:
    """Without what no two responses have in common."""
    own = {"date", "x-envoy-upstream-service-time", "content-length"}
    headers = sorted(pair for pair in response.headers if pair[0] not in own)
    try:
        told = json.loads(response.body)
    except ValueError:
        return response.status, headers, response.body
    told["headers"] = [
        (name, re.sub(r"\|127\.0\.0\.1:[1-9]\d*\|", "|127.0.0.1:*|", value))
        for name, value in told["headers"]
        if name not in {"x-request-id", "x-envoy-upstream-service-time"}
    ]
    return response.status, headers, told


@pytest.mark.parametrize("name", CORPUS)
async def test_both_ways_to_ask_come_to_the_same(both: Both, name: str) -> None:
    """Status, headers and body of the response, and all that the upstream sees, are equal."""
    by_grpc = compared(await send(both.grpc, CORPUS[name]))
    assert compared(await send(both.http, CORPUS[name])) == by_grpc


async def test_the_corpus_shows_something(both: Both) -> None:
    """The service sees the client's request, and decides about it."""
    response = await send(both.http, CORPUS["seen"])
    (told,) = [v for n, v in json.loads(response.body)["headers"] if n == "x-user"]
    assert re.fullmatch(
        r"GET\|http\|demo\.mixer\.dev\|/a/b\?c=%20d&e\|127\.0\.0\.1:[1-9]\d*\|p\|.+\|a=b\|text/plain",
        told,
    )
    assert (await send(both.http, CORPUS["answer-429"])).status == 429


@pytest.mark.parametrize(("method", "answer"), [("HEAD", 403), ("GET", 204)])
async def test_a_denial_without_body(both: Both, method: str, answer: int) -> None:
    """It is one, and only the headers that tell of a body differ: there is none."""
    request = get(("x-answer", str(answer)), method=method)
    status, headers, body = compared(await send(both.http, request))
    of_body = {"content-type", "transfer-encoding"}
    by_grpc = compared(await send(both.grpc, request))
    assert (status, body) == (answer, b"") == (by_grpc[0], by_grpc[2])
    assert [h for h in headers if h[0] not in of_body] == [
        h for h in by_grpc[1] if h[0] not in of_body
    ]


@pytest.mark.parametrize("name", DIFFERENT)
async def test_what_only_grpc_can_say(both: Both, name: str) -> None:
    """It is refused in HTTP, and never becomes an allow."""
    request, by_grpc, by_http = DIFFERENT[name]
    assert (await send(both.grpc, request)).status == by_grpc
    response = await send(both.http, request)
    assert (response.status, b"body_sha256" in response.body) == (by_http, False)
