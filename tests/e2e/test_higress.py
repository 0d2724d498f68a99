"""Plugins for Higress that others built, behind the real Envoy."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from mixer.demo.comparison import differences
from tests.e2e.guests import Guests
from tests.e2e.stack import Services, Stack, adapter, asks, decided, lines, running, runs
from tests.higress.envoy import known_to_envoy
from tests.higress.host import module_file

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("envoy")]

BY_HEADER = {
    "realIPHeader": "x-real-ip",
    "consumers": {
        "alice": {"deniedCidrs": ["10.0.0.0/8"]},
        "gp-*": {"allowedCidrs": ["192.168.0.0/16"]},
    },
}
BY_PEER = {"consumers": {"alice": {"deniedCidrs": ["127.0.0.0/8"]}}}
ROUTE = {
    "routeNameHeader": "x-route",
    "clusterNameHeader": "x-cluster",
    "enableOnPathSuffix": ["/completions"],
    "enableOnPathPrefix": ["/model/proxy"],
}
EXTENSIONS = {"xds.route_name": "chat", "xds.cluster_name": "outbound|80||llm"}

DENIED = '{"message":"Client IP denied for this API key"}'
NOT_ALLOWED = '{"message":"Client IP not in API key whitelist"}'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(
    envoy: Path, services: Services, higress: Path, guests: Guests
) -> AsyncIterator[Stack]:
    acl = module_file(higress, "gpustack-ip-acl")
    known = guests.file("for-envoy", known_to_envoy(acl.read_bytes()))
    headers = module_file(higress, "gpustack-set-header-pre-route")
    chains = {
        "header": [adapter("ip-acl", acl, BY_HEADER)],
        "peer": [adapter("ip-acl", acl, BY_PEER)],
        "route": [adapter("set-header", headers, ROUTE)],
    }
    listeners = [
        asks("header"),
        asks("peer"),
        asks("route", context_extensions=EXTENSIONS),
        asks("no-extensions", "route"),
        runs("header-in-proxy", known, BY_HEADER),
        runs("peer-in-proxy", known, BY_PEER),
    ]
    async with running(services, chains, listeners) as started:
        yield started


@pytest.mark.parametrize(
    ("consumer", "address", "message"),
    [
        ("alice", "10.1.2.3", DENIED),
        ("alice", "8.8.8.8", None),
        ("gp-x", "192.168.1.1", None),
        ("gp-x", "8.8.8.8", NOT_ALLOWED),
        ("alice", "zzz", '{"message":"Invalid client IP: zzz"}'),
        ("bob", "10.1.2.3", None),
        (None, "10.1.2.3", None),
    ],
)
async def test_ip_acl(
    stack: Stack, consumer: str | None, address: str, message: str | None
) -> None:
    """ip-acl admits and refuses as configured, and exactly as it does inside Envoy."""
    headers = [("x-real-ip", address)]
    if consumer is not None:
        headers.append(("x-mse-consumer", consumer))
    asked = await stack.get("header", "/", *headers)
    if message is None:
        assert (asked.status, asked.verdict) == (200, "allow")
    else:
        assert (asked.status, asked.body, asked.verdict) == (403, message, "deny")
    in_proxy = await stack.get("header-in-proxy", "/", *headers)
    assert differences(asked, in_proxy) == []


async def test_ip_acl_by_the_peer_of_the_connection(stack: Stack) -> None:
    """Without a header, ip-acl takes the address from the property source.address."""
    header = ("x-mse-consumer", "alice")
    asked, in_proxy = [await stack.get(name, "/", header) for name in ("peer", "peer-in-proxy")]
    assert (asked.status, asked.body) == (403, DENIED)
    assert differences(asked, in_proxy) == []
    assert (await stack.get("peer", "/")).status == 200


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/model/proxy/x?y=1"])
async def test_route_and_cluster_come_from_context_extensions(stack: Stack, path: str) -> None:
    """set-header-pre-route hands the upstream what the route's context extensions say."""
    seen = await stack.post("route", path, b"{}", ("content-type", "application/json"))
    assert lines(seen, "x-route") == ["chat"]
    assert lines(seen, "x-cluster") == ["llm"]
    assert decided(seen)["verdict"] == "allow"


async def test_other_paths_are_left_alone(stack: Stack) -> None:
    """set-header-pre-route adds nothing where it is not enabled."""
    seen = await stack.post("route", "/v1/models", b"{}")
    assert (lines(seen, "x-route"), lines(seen, "x-cluster")) == ([], [])


async def test_absent_route_is_an_empty_header(stack: Stack) -> None:
    """Without context extensions there is no route name, and the request still passes."""
    seen = await stack.post("no-extensions", "/v1/chat/completions", b"{}")
    assert seen.status == 200
    assert (lines(seen, "x-route"), lines(seen, "x-cluster")) == ([""], [""])
