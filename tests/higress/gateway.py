"""Plugins that admit and count: ip-acl, set-header-pre-route, rate-limit, statistics, usage."""

from tests.higress.cases import Case, Expected, Request, Step, refused
from tests.higress.messages import SPENT, USAGE, answer, asked, chat, delta, events, post, said

_NOT_IN_ENVOY = "a stock Envoy has this property only under its newer name with xds."
_ROUTE = {
    "xds.route_name": "ai-route-route-1.internal",
    "xds.cluster_name": "outbound|80||model-1-2.static",
}


def _acl(consumer: str, address: str, message: str | None = None) -> Step:
    request = Request("/", (("x-mse-consumer", consumer), ("x-real-ip", address)))
    return Step(request, Expected() if message is None else refused(403, {"message": message}))


IP_ACL = {
    "ip-acl": Case(
        "gpustack-ip-acl",
        {
            "realIPHeader": "x-real-ip",
            "consumers": {
                "alice": {"deniedCidrs": ["10.0.0.0/8"]},
                "gp-*": {"allowedCidrs": ["192.168.0.0/16"]},
            },
        },
        (
            _acl("alice", "10.1.2.3", "Client IP denied for this API key"),
            _acl("alice", "8.8.8.8"),
            _acl("gp-x", "8.8.8.8", "Client IP not in API key whitelist"),
            _acl("gp-x", "192.168.1.1"),
            _acl("alice", "zzz", "Invalid client IP: zzz"),
            Step(Request("/", (("x-real-ip", "10.1.2.3"),)), Expected()),
        ),
        differs="compared in tests/e2e/test_higress.py",
    )
}

SET_HEADER = {
    "set-header": Case(
        "gpustack-set-header-pre-route",
        {"routeNameHeader": "x-route", "clusterNameHeader": "x-cluster"},
        (
            Step(
                post("/v1/chat/completions", {}, properties=_ROUTE),
                Expected(
                    sent={"x-route": "ai-route-route-1.internal", "x-cluster": "model-1-2.static"}
                ),
            ),
            Step(Request("/v1/models", properties=_ROUTE), Expected(sent={"x-route": None})),
        ),
        differs=_NOT_IN_ENVOY,
    )
}

_LIMITED = {"error": {"message": "slow down", "type": "rate_limit_exceeded", "code": 430}}


def _by(user: str, expected: Expected, path: str = "/v1/embeddings") -> Step:
    return Step(Request(path, (("x-user", user),)), expected)


RATE_LIMIT = {
    "rate-limit": Case(
        "gpustack-rate-limit",
        {
            "rule_name": "r",
            "rejected_code": 430,
            "rejected_msg": "slow down",
            "show_limit_quota_header": True,
            "limit_combinations": [
                {
                    "name": "c",
                    "match": [{"source": "header", "name": "x-user", "value": "regexp:^[a-y]"}],
                    "query_limits": {"per_minute": 2, "per_hour": 3},
                }
            ],
        },
        (
            _by("a", Expected()),
            _by("a", Expected()),
            _by(
                "a",
                refused(430, _LIMITED, {"x-ratelimit-limited-key": "r|c|header:x-user=a|q:60s"}),
            ),
            _by("b", Expected()),
            *(_by("z", Expected()) for _ in range(3)),
            _by("a", Expected(), "/healthz"),
        ),
        differs="it imports the Redis calls of Higress, which a stock Envoy lacks",
    )
}

_INCLUDED = {"stream_options": {"include_usage": True}}
_TIMED = {"time_to_first_token_ms": 0, "time_per_output_token_ms": 0, "tokens_per_second": 0}


TOKEN_USAGE = {
    "token-usage": Case(
        "gpustack-token-usage",
        {"realIPHeader": "x-gpustack-real-ip", "header_add": {"x-token": "shared"}},
        (
            Step(
                chat("hi", stream=True),
                Expected(
                    sent={"x-token": None, "x-gpustack-real-ip": None},
                    sent_body=asked("hi", stream=True, **_INCLUDED),
                    body=(delta("he"), delta("llo"), {**SPENT, "usage": {**USAGE, **_TIMED}}),
                ),
                events(delta("he"), delta("llo"), SPENT),
            ),
            Step(
                chat("hi"),
                Expected(
                    sent_body=asked("hi"),
                    body=said("hello"),
                ),
                answer(said("hello")),
            ),
        ),
    ),
    "token-usage trusted": Case(
        "gpustack-token-usage",
        {"realIPHeader": "x-gpustack-real-ip", "header_add": {"x-token": "shared"}},
        (
            Step(
                Request(
                    "/",
                    (("x-token", "forged"),),
                    properties={**_ROUTE, "source.address": "9.8.7.6:5"},
                ),
                Expected(sent={"x-token": "shared", "x-gpustack-real-ip": "9.8.7.6"}),
            ),
        ),
        differs=_NOT_IN_ENVOY,
    ),
}

CASES = {**IP_ACL, **SET_HEADER, **RATE_LIMIT, **TOKEN_USAGE}
