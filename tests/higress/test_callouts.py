"""Plugins that ask others while a request waits: over HTTP, and Redis."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from mixer.testing.callouts import FakeHttpCall
from tests.higress.balancing import ASKED, CANDIDATES, KEYS, RANKS, published
from tests.higress.cases import Expected, Request, Response, refused
from tests.higress.host import Answers, Host, logging_to, through
from tests.higress.messages import (
    SPENT,
    answer,
    asked,
    chat,
    delta,
    events,
    said,
)  # fmt: skip
from tests.higress.redis_server import Redis, running

ROUTE = {
    "xds.route_name": "ns/ai-route-route-1.internal",
    "xds.cluster_name": "outbound|80||model-3-2.static",
    "upstream.address": "10.0.0.1:80",
    "source.address": "10.0.0.2:1000",
}
ACCESS_KEY, SECRET = "3192253c1f4a9b7e", "0123456789abcdef0123456789abcdef"
EXT_AUTH = {
    "route_match_regexes": ["^ns/ai-route-route-"],
    "local_auth": {
        "enabled": True,
        "keys": {
            ACCESS_KEY: {
                "digest": f"sha256$salt${hashlib.sha256(f'salt{SECRET}'.encode()).hexdigest()}",
                "user_id": 7,
            }
        },
    },
    "authz": {
        "endpoint": {
            "path": "/token-auth",
            "request_method": "GET",
            "service_name": "gpustack.static",
            "service_port": 80,
        },
        "timeout": 3000,
        "authorization_request": {
            "allowed_headers": [{"exact": "X-Real-IP"}],
            "headers_to_add": {"X-Gateway": "token"},
        },
    },
    "upstream_request": {"headers_to_remove": ["x-debug"]},
}


def authorize(call: FakeHttpCall) -> None:
    """What GPUStack's server says."""
    match call.headers.get("authorization"):
        case "Bearer good":
            call.respond(headers=[("X-Mse-Consumer", "alice.gpustack-7"), ("x-other", "o")])
        case "Bearer bad":
            call.respond(401, '{"error":"no"}', [("www-authenticate", "Bearer")])
        case None:  # the plugin has found out by itself who it is
            call.respond()
        case _:
            call.respond(503, "upstream connect error")


def bearing(token: str, **properties: str) -> Request:
    headers = (
        ("authorization", f"Bearer {token}"),
        ("x-real-ip", "1.2.3.4"),
        ("x-debug", "c"),
        ("x-mse-consumer", "forged"),
    )
    return Request("/v1/models", headers, properties={**ROUTE, **properties})


@pytest.mark.parametrize(
    ("token", "expected", "calls"),
    [
        ("good", Expected(sent={"x-mse-consumer": "alice.gpustack-7", "x-debug": None}), 1),
        ("bad", refused(401, {"error": "no"}, {"www-authenticate": "Bearer"}), 1),
        ("down", refused(403, b"upstream connect error"), 1),
        (f"gpustack_{ACCESS_KEY}_{SECRET}", Expected(sent={"x-debug": None}), 1),
        (f"gpustack_{ACCESS_KEY}_{'f' * 32}", refused(401), 0),
    ],
    ids=["allowed", "refused", "server fails", "known here", "known here and wrong"],
)
def test_ext_auth(host: Host, token: str, expected: Expected, calls: int) -> None:
    """ext-auth asks GPUStack's server about each request, and does what it says."""
    callouts = Answers(authorize)
    with host.started("gpustack-ext-auth", EXT_AUTH, logging_to([], callouts)) as root:
        expected.check(through([root], bearing(token), Response()))
    assert len(callouts.http_calls) == calls
    for made in callouts.http_calls:
        assert made.call.cluster == "outbound|80||gpustack.static"
        assert made.call.timeout == 3.0
        assert made.headers[":path"] == "/token-auth"
        assert made.headers["x-original-uri"] == "/v1/models"
        assert made.headers["x-real-ip"] == "1.2.3.4"
        assert made.headers["x-gateway"] == "token"


def test_ext_auth_tells_whom_it_knows(host: Host) -> None:
    """A key that ext-auth can verify goes to the server as its name, without the secret."""
    callouts = Answers(authorize)
    token = f"gpustack_{ACCESS_KEY}_{SECRET}"
    with host.started("gpustack-ext-auth", EXT_AUTH, logging_to([], callouts)) as root:
        through([root], bearing(token), Response())
    (made,) = callouts.http_calls
    assert made.headers["x-gpustack-access-key"] == ACCESS_KEY
    assert SECRET not in repr(made.call.headers)


def test_ext_auth_leaves_other_routes_alone(host: Host) -> None:
    """A route that no pattern claims is not asked about."""
    callouts = Answers(authorize)
    request = bearing("bad", **{"xds.route_name": "ns/other"})
    with host.started("gpustack-ext-auth", EXT_AUTH, logging_to([], callouts)) as root:
        Expected(sent={"x-debug": "c"}).check(through([root], request, Response()))
    assert callouts.http_calls == []


def test_token_usage_reports(host: Host) -> None:
    """token-usage posts what a response cost once it is over, and nobody waits for that."""
    callouts = Answers()
    configuration = {
        "endpoint": {
            "service_name": "server.ns.svc.cluster.local", "service_port": 80, "path": "/usage",
        },
        "header_add": {"x-token": "shared"},
    }  # fmt: skip
    request = replace(
        chat("hi", ("x-mse-consumer", "mykey.gpustack-42"), stream=True),
        properties={**ROUTE, "xds.route_name": "ai-route-route-1.internal"},
    )
    with host.started("gpustack-token-usage", configuration, logging_to([], callouts)) as root:
        through([root], request, events(delta("he"), delta("llo"), SPENT))
    (made,) = callouts.http_calls
    assert made.call.cluster == "outbound|80||server.ns.svc.cluster.local"
    assert (made.headers[":path"], made.headers["x-token"]) == ("/usage", "shared")
    report = json.loads(made.call.body)
    assert report.items() >= {
        "model": "m", "input_token": 50, "output_token": 100, "total_token": 150,
        "completed": True, "output_chunk_count": 2, "user_id": 42, "access_key": "mykey",
        "model_id": 3, "model_route_id": 1,
    }.items()  # fmt: skip


def test_ai_proxy_adds_a_context(host: Host) -> None:
    """ai-proxy fetches a text and puts it before the conversation."""
    provider = {
        "type": "openai",
        "apiTokens": ["sk-1"],
        "context": {
            "fileUrl": "http://files.test/context.txt",
            "serviceName": "files.static",
            "servicePort": 80,
        },
    }
    callouts = Answers(lambda call: call.respond(body="You know all."))
    with host.started(
        "gpustack-ai-proxy", {"provider": provider}, logging_to([], callouts)
    ) as root:
        seen = through([root], chat("hi"), answer(said("hello")))
    messages = [{"role": "system", "content": "You know all."}, *asked("hi")["messages"]]
    Expected(sent_body={"model": "m", "messages": messages}).check(seen)
    (made,) = callouts.http_calls
    assert made.call.cluster == "outbound|80||files.static"


DECISION = {
    "provider": {
        "endpoint": "http://jev.test:8010", "apiToken": "t", "cluster": "outbound|8010||jev.static",
    },
    "modelSelection": {"criteria": {"strong": "reasons well", "fast": "is cheap"}},
}  # fmt: skip


def decide(call: FakeHttpCall) -> None:
    """What a decision service says."""
    verdict = {
        "choice": "fast", "confidence": 0.9, "probabilities": {"fast": 0.8, "strong": 0.2},
    }  # fmt: skip
    call.respond(body=json.dumps({"answers": {"model_selection": verdict}}))


@pytest.mark.parametrize(
    ("service", "ranks"),
    [
        (decide, {"weight": 9, "scores": {KEYS[0]: 0.2, KEYS[1]: 0.8}}),
        (lambda call: call.respond(504, "upstream request timeout"), None),
    ],
    ids=["decides", "fails"],
)
def test_decision_service(host: Host, service: Any, ranks: Any) -> None:
    """The decision service's word becomes an opinion; without one the request goes on too."""
    callouts = Answers(service)
    request = replace(chat("a hard task", ASKED), stored={CANDIDATES: published()})
    plugin = "gpustack-lb-decision-service"
    with host.started(plugin, DECISION, logging_to([], callouts)) as root:
        seen = through([root], request, Response())
    wanted = {} if ranks is None else {RANKS: [{"name": plugin, **ranks}]}
    Expected(sent_body=asked("a hard task"), properties=wanted).check(seen)
    assert (RANKS in seen.properties) == (ranks is not None)
    (made,) = callouts.http_calls
    assert made.headers["authorization"] == "Bearer t"
    question = json.loads(made.call.body)["questions"]["model_selection"]
    assert question["criteria"] == DECISION["modelSelection"]["criteria"]


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    """A real server."""
    with running() as server:
        yield server


LIMIT = {
    "rule_name": "r",
    "enable_on_path_suffix": ["*"],
    "redis": {"service_name": "redis.static", "username": "u", "password": "secret"},
    "limit_combinations": [
        {
            "name": "c",
            "match": [{"source": "header", "name": "x-user", "value": "*"}],
            "query_limits": {"per_minute": 2},
        }
    ],
}


def test_rate_limit_is_one_for_all_gateways(host: Host, redis: Redis) -> None:
    """With Redis two VMs that share nothing else count the same requests."""
    seen = []
    logs: list[str] = []
    request = Request("/", (("x-user", "a"),))
    for _ in range(3):
        callouts = Answers(redis=redis.answer)
        with host.started("gpustack-rate-limit", LIMIT, logging_to(logs, callouts)) as root:
            seen.append(through([root], request, Response()).status)
        assert callouts.redis_calls[0].target.service.startswith("outbound|80||redis.static")
    assert seen == [200, 200, 429]
    assert not any("secret" in line for line in logs)


def test_rate_limit_lets_pass_without_redis(host: Host) -> None:
    """A Redis that does not answer refuses nobody."""
    callouts = Answers(redis=lambda call: call.fail())
    with host.started("gpustack-rate-limit", LIMIT, logging_to([], callouts)) as root:
        for _ in range(3):
            request = Request("/", (("x-user", "b"),))
            Expected().check(through([root], request, Response()))
