"""The quota adapter in Envoy's own Wasm filter and asked over ext_authz: the same outcome."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from mixer.config.module import BUILTIN_MODULES
from mixer.demo.comparison import Observation
from tests.e2e.conftest import services
from tests.e2e.stack import Listener, Services, Stack, adapter, asks, running, runs

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("envoy")]
__all__ = ["services"]

HOUR = {"max": 2, "window": "1h"}
SOURCE = {"source": "request.headers['x-source']"}
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "plain": {"quotas": [{"name": "requests.quota.istio-system", **HOUR}]},
    "dimensions": {
        "quotas": [
            {
                "name": "requests",
                **HOUR,
                "dimensions": SOURCE,
                "overrides": [
                    {"dimensions": {"source": "often"}, "max": 4},
                    {"dimensions": {"source": ""}, "max": 1},
                ],
            }
        ]
    },
    "kinds": {
        "quotas": [
            {
                "name": "requests",
                **HOUR,
                "dimensions": {
                    "size": "size(request.path) // an int",
                    "get": "request.method == 'GET'",
                },
                "overrides": [{"dimensions": {"size": "1", "get": "true"}, "max": 1}],
            }
        ]
    },
    "several": {
        "quotas": [
            {"name": "all", "max": 4, "window": "1h"},
            {"name": "each", "max": 1, "window": "1h", "dimensions": SOURCE},
            {"name": "posts", "max": 1, "window": "1h", "match": "request.path == '/posts'"},
        ],
        "rateLimitHeaders": True,
    },
    "bucket": {
        "quotas": [
            {
                "name": "requests",
                **HOUR,
                "algorithm": "TOKEN_BUCKET",
                "burst": 3,
                "dimensions": SOURCE,
                "overrides": [
                    {"dimensions": {"source": "once"}, "max": 2, "burst": 1},
                    {"dimensions": {"source": "window"}, "max": 1, "algorithm": "FIXED_WINDOW"},
                ],
            }
        ],
        "rateLimitHeaders": True,
    },
    "costs": {
        "quotas": [
            {"name": "all", "max": 9, "window": "1h", "cost": "request.headers['x-source']"},
            {
                "name": "sliding",
                "max": 6,
                "window": "1h",
                "algorithm": "SLIDING_WINDOW",
                "cost": "double(request.headers['x-source']) / 2.0",
            },
        ],
        "rateLimitHeaders": True,
    },
    "shadow": {
        "quotas": [
            {"name": "trial", "max": 1, "window": "1h", "shadow": True},
            {"name": "real", "max": 2, "window": "1h", "algorithm": "SLIDING_WINDOW"},
        ],
        "rateLimitHeaders": True,
    },
    "long": {
        "quotas": [{"name": "requests", **HOUR, "algorithm": "TOKEN_BUCKET", "dimensions": SOURCE}]
    },
    "short": {"quotas": [{"name": "requests", "max": 1, "window": "500ms"}]},
}
STEPS: dict[str, list[tuple[str, str | None]]] = {
    "plain": [("/", None)] * 4,
    "dimensions": [
        *[("/", "a")] * 3, *[("/", "often")] * 5, *[("/", None)] * 2, *[("/", "a" * 5000)] * 3,
        *[("/", "eight__8")] * 3,
    ],
    "kinds": [("/", None)] * 2,
    "several": [("/", "a"), ("/", "a"), ("/posts", "b"), ("/posts", "c"), ("/", "c"), ("/", "d"),
                ("/", "e")],
    "bucket": [*[("/", "a")] * 4, *[("/", "once")] * 2, *[("/", "window")] * 2, ("/", "b")],
    "costs": [("/", one) for one in ("4", "-4", "many", "7", "99", "2", "3", "0")],
    "shadow": [("/", None)] * 3,
    "long": [*[("/", "a" * 50_000)] * 3, *[("/", "a" * 49_999 + "b")] * 3],
}  # fmt: skip
EXPECTED = {
    "plain": "200 200 429 429",
    "dimensions": "200 200 429 200 200 200 200 429 200 429 200 200 429 200 200 429",
    "kinds": "200 429",
    "several": "200 429 200 429 200 200 429",
    "bucket": "200 200 200 429 200 429 200 429 200",
    "costs": "200 200 200 429 429 200 429 200",
    "shadow": "200 200 429",
    "long": "200 200 429 200 200 429",
}
WAITS = {
    "bucket": {1800, 3600},
    "costs": {3600, None},
    "shadow": {1800},
    "long": {1800},
}
"""Seconds that a refused client is told to wait, but for those that have passed."""


def in_proxy(name: str) -> Listener:
    """A listener with the adapter in Envoy, whose shared data is that of this listener alone."""
    module = BUILTIN_MODULES / "quota.wasm"
    return runs(f"{name}-in-proxy", module, CONFIGURATIONS[name], vm_id=name)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(envoy: Path, services: Services) -> AsyncIterator[Stack]:
    chains = {
        name: [adapter("quota", "builtin://quota", one, annotations={"vm-id": name})]
        for name, one in CONFIGURATIONS.items()
    }
    listeners = [asks(name) for name in chains] + [in_proxy(name) for name in chains]
    async with running(services, chains, listeners) as started:
        yield started


def told(seen: Observation) -> dict[str, Any]:
    """What came of a request, but for the seconds, which pass between two of them."""
    names = ("content-type", "ratelimit-policy")
    headers = dict(seen.headers)
    refused = seen.upstream is None
    return {
        "status": seen.status,
        "body": seen.body,
        "reason": seen.reason,
        "headers": {name: headers.get(name) for name in names if refused or name != names[0]},
        "left": headers.get("ratelimit", "").partition(";t=")[0],
    }


def seconds(seen: Observation) -> int | None:
    after = dict(seen.headers).get("retry-after")
    return None if after is None else int(after)


@pytest.mark.parametrize("name", STEPS)
async def test_the_same_requests_pass(stack: Stack, name: str) -> None:
    """Each request is answered alike, and the upstream sees the same of those that pass."""
    asked, proxied = [], []
    for target, source in STEPS[name]:
        headers = () if source is None else (("x-source", source),)
        asked.append(await stack.get(name, target, *headers))
        proxied.append(await stack.get(f"{name}-in-proxy", target, *headers))
    assert " ".join(str(seen.status) for seen in proxied) == EXPECTED[name]
    assert [told(seen) for seen in asked] == [told(seen) for seen in proxied]
    for seen in asked + proxied:
        if seen.status == 429:
            wait = seconds(seen)
            expected = WAITS.get(name, {3600})
            assert any(
                wait == one or (None not in (wait, one) and one - 100 < wait <= one)
                for one in expected
            )


@pytest.mark.parametrize("listener", ["short", "short-in-proxy"])
async def test_a_window_ends(stack: Stack, listener: str) -> None:
    """A refused client is told to wait a second, rounded up, and passes in the next window."""
    refused = await until(stack, listener, 429)
    assert seconds(refused) == 1
    await until(stack, listener, 200)


async def until(stack: Stack, listener: str, status: int) -> Observation:
    """Send requests until one is answered so."""
    async with asyncio.timeout(30):
        while True:
            seen = await stack.get(listener)
            if seen.status == status:
                return seen
