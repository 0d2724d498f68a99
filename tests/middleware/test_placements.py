"""The same requests through both placements have the same outcome."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from mixer.config import Configuration, loads
from mixer.demo.configuration import auth_configuration
from mixer.demo.credentials import new_credentials
from mixer.demo.scenarios import scenarios
from mixer.middleware.asgi import MixerMiddleware
from tests.engine.conftest import Plugins
from tests.middleware.asgi import Echo, Headers, Reply, call, lifespan
from tests.middleware.placements import PLACEMENTS, placed
from tests.support import adapters as do
from tests.support.adapters import adapter

CREDENTIALS = new_credentials()


@dataclass(frozen=True)
class Sent:
    """One request."""

    path: str = "/"
    method: str = "GET"
    query: bytes = b""
    headers: Headers = ()
    chunks: Sequence[bytes] = ()
    more: dict[str, Any] = field(default_factory=dict)


REQUESTS = {
    "plain": Sent(),
    "with a query": Sent("/a/b", query=b"x=1&y=%2F"),
    "escaped": Sent("/caf\u00e9/a b/\u20ac%"),
    "headers": Sent(headers=[(b"x-a", b"0"), (b"cookie", b"a=1"), (b"user-agent", b"curl")]),
    "several values": Sent(
        headers=[(b"x-c", b"1"), (b"x-c", b"2"), (b"accept", b"a"), (b"accept", b"b")]
    ),
    "body": Sent(method="POST", chunks=(b"one", b"two")),
    "head": Sent(method="HEAD"),
    "UTF-8 in a header": Sent(headers=[(b"x-name", "caf\u00e9".encode())]),
    "denied header": Sent(headers=[(b"x-deny", b"1")]),
    "root path": Sent("/app/x", more={"root_path": "/app"}),
}

MODULES = {
    "adds": adapter(do.add("x-a", "1"), do.add("x-a", "2"), do.add("x-b", "3")),
    "replaces": adapter(do.replace("x-a", "1"), do.replace("user-agent", "none")),
    "removes": adapter(do.remove("x-a"), do.remove("cookie"), do.remove("x-absent")),
    "rewrites": adapter(do.replace(":path", "/new/%61?z=1"), do.replace(":authority", "other")),
    "renames the method": adapter(do.replace(":method", "PUT")),
    "removes the method": adapter(do.remove(":method")),
    "no header": adapter(do.add("x-a", "1\r\nx-b: 2")),
    "denies": adapter(do.deny(403, "no", "denied")),
    "denies some": adapter(do.when("x-deny", do.deny(401, "who are you"))),
    "teapot": adapter(do.deny(418, "teapot")),
    "busy": adapter(do.deny(429, "later")),
    "maintenance": adapter(do.deny(200, "maintenance")),
    "no content": adapter(do.deny(204)),
    "moved": adapter(do.deny(302), response_headers=(do.add_to_response("location", "/login"),)),
    "out of range": adapter(do.deny(999, "what")),
    "traps": adapter(do.trap),
    "tells the response beforehand": adapter(
        do.set_property("mixer.response_header.x-said", "1"),
        do.set_property("mixer.response_header.x-app", "2"),
    ),
    "by path": adapter(do.where_property("request.path", "/a/b?x=1&y=%2F", do.deny(404, "gone"))),
    "by escaped path": adapter(
        do.where_header(":path", "/caf%C3%A9/a%20b/%E2%82%AC%25", do.deny(404, "gone"))
    ),
    "by host": adapter(do.where_property("request.host", "shop", do.add("x-host", "1"))),
    "by source": adapter(
        do.where_true("source.address.startsWith('10.0.0.9:')", do.add("x-s", "1"))
    ),
    "by port": adapter(do.where_true("destination.port == 8000", do.add("x-port", "1"))),
    "by service": adapter(do.where_property("destination.service", "orders", do.add("x-o", "1"))),
    "by label": adapter(do.where_true("destination.labels['app'] == 'o'", do.add("x-l", "1"))),
    "by Istio's names": adapter(
        do.where_true(
            "mixer.attribute['request.query_params']['x'] == '1'"
            " && mixer.attribute['context.protocol'] == 'http'"
            " && mixer.attribute['destination.service.host'] == 'orders'",
            do.add("x-i", "1"),
        )
    ),
    "by operation": adapter(do.where_property("mixer.operation", "check", do.add("x-op", "1"))),
    "by direction": adapter(do.where_true("xds.listener_direction == 1", do.add("x-d", "1"))),
}


def outcome(reply: Reply, echo: Echo) -> Any:
    """What client and application saw; values of one name together, whatever their order."""
    joined: dict[bytes, list[bytes]] = {}
    for name, value in reply.headers:
        joined.setdefault(name, []).append(value)
    if echo.scopes:
        seen = echo.scopes.pop()
        passed: dict[bytes, bytes] = {}
        for name, value in seen["headers"]:
            passed[name] = passed[name] + b"," + value if name in passed else value
        keys = ("method", "path", "raw_path", "query_string", "scheme", "root_path")
        return reply.status, joined, passed, {key: seen[key] for key in keys}
    return reply.status, joined, reply.body


async def outcomes(placement: str, configuration: Configuration, sent: dict[str, Sent]) -> Any:
    """What came of each request, and of each once more."""
    echo = Echo()
    found = {}
    async with placed(placement, configuration) as decider:
        app = MixerMiddleware(echo, decider, service="orders", labels={"app": "o"})
        async with lifespan(app):
            for name, one in [*sent.items(), *sent.items()]:
                reply = await call(
                    app, one.path, method=one.method, query=one.query, headers=one.headers,
                    chunks=one.chunks, **one.more,
                )  # fmt: skip
                found.setdefault(name, []).append(outcome(reply, echo))
    return found


@pytest.mark.parametrize("module", MODULES)
async def test_both_placements_agree(module: str, plugins: Plugins) -> None:
    """About every request of a corpus, also when it comes a second time."""
    validity = {"valid-duration": "1h", "valid-use-count": "100"}
    document = plugins.plugin("one", MODULES[module], validity)
    asked, embedded = [
        await outcomes(one, plugins.configuration(document), REQUESTS) for one in PLACEMENTS
    ]
    assert asked == embedded


async def test_the_auth_adapter(tmp_path: Path) -> None:
    """Every request of the demo is answered as it must be, by both placements."""
    spec = {"url": "builtin://auth", "pluginConfig": auth_configuration(CREDENTIALS)}
    plugin = {
        "apiVersion": "extensions.istio.io/v1alpha1",
        "kind": "WasmPlugin",
        "metadata": {"name": "auth"},
        "spec": spec,
    }
    configuration = loads(yaml.safe_dump(plugin), base=tmp_path, environ={})
    sent, expected = {}, {}
    for one in scenarios(CREDENTIALS):
        path, _, query = one.request.target.partition("?")
        headers = [(n.lower().encode(), v.encode()) for n, v in one.request.headers]
        if len(dict(headers)) < len(headers):
            continue  # see `test_several_values_of_a_header`
        body = (one.request.body,) if one.request.body else ()
        sent[one.sent] = Sent(path, one.request.method, query.encode(), headers, body)
        expected[one.sent] = one.expected
    asked, embedded = [await outcomes(one, configuration, sent) for one in PLACEMENTS]
    assert asked == embedded
    for name, (first, second) in embedded.items():
        assert first[0] == second[0] == expected[name].status, name
        for header, value in expected[name].upstream_headers.items():
            told = first[2].get(header.encode())
            assert told == (None if value is None else value.encode()), (name, header)


async def test_several_values_of_a_header(plugins: Plugins) -> None:
    """The difference: a service is told them joined, an adapter here reads the first one."""
    text = adapter(
        do.where_header("x-c", "1,2", do.add("x-read", "joined")),
        do.where_header("x-c", "1", do.add("x-read", "first")),
    )
    configuration = plugins.configuration(plugins.plugin("one", text))
    sent = {"several": Sent(headers=[(b"x-c", b"1"), (b"x-c", b"2")])}
    for placement, read in zip(PLACEMENTS, (b"joined", b"first"), strict=True):
        found = await outcomes(placement, configuration, sent)
        assert found["several"][0][2][b"x-read"] == read
