"""Several listeners of one service: each has its own TLS and its own callers."""

import asyncio
import ssl
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from envoy.service.auth.v3 import external_auth_pb2
from envoy.service.rate_limit_quota.v3 import rlqs_pb2

from mixer.api import ext_authz, rlqs
from mixer.config import MixerSpec, loads
from mixer.transport.access import Access
from mixer.transport.health import Health
from mixer.transport.servers import Addresses, Servers
from tests.engine.conftest import MakeEngine, Plugins, make_engine, plugins
from tests.support import adapters as do
from tests.support.authority import Authority, Leaf

__all__ = ["make_engine", "plugins"]

AUTHORITY, OTHER_AUTHORITY = Authority(), Authority("other")
EDGE = AUTHORITY.leaf("spiffe://example.org/ns/edge/sa/envoy")
SHOP = AUTHORITY.leaf("spiffe://example.org/ns/shop/sa/envoy")
STRANGER = OTHER_AUTHORITY.leaf("spiffe://example.org/ns/edge/sa/envoy")
CHECK = f"/{ext_authz.SERVICE}/{ext_authz.METHOD}"
STREAM = f"/{rlqs.SERVICE}/{rlqs.METHOD}"
LIMIT = {"unit": "hour", "requests_per_unit": 100}
LIMITS = {"domains": [{"domain": "edge", "descriptors": [{"key": "name", "rate_limit": LIMIT}]}]}
_OPTIONS = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0))
_PATIENCE_S = 30.0
ASKS = (
    b"GET /forward_auth HTTP/1.1\r\nhost: mixer\r\nx-forwarded-host: a\r\n"
    b"x-forwarded-proto: http\r\nx-forwarded-for: 10.1.2.3\r\nx-forwarded-method: GET\r\n"
    b"x-forwarded-uri: /\r\nconnection: close\r\n\r\n"
)


def spec_of(folder: Path) -> MixerSpec:
    """Listeners with different lists, different authorities, no list, and nothing at all."""
    AUTHORITY.leaf(dns=["localhost"]).files(folder)
    (folder / "ca.pem").write_bytes(AUTHORITY.pem)
    (folder / "other.pem").write_bytes(OTHER_AUTHORITY.pem)
    pair = f"certFile: {folder}/tls.crt, keyFile: {folder}/tls.key"
    tls = f"tls: {{{pair}, clientCaFile: {folder}/ca.pem}}"
    other = f"tls: {{{pair}, clientCaFile: {folder}/other.pem}}"
    edge = "callers: ['spiffe://example.org/ns/edge/*']"
    shop = "callers: ['spiffe://example.org/ns/shop/*']"
    return loads(
        "apiVersion: mixer.dev/v1alpha1\nkind: Mixer\nmetadata: {name: m}\nspec:\n  listeners:\n"
        f"  - {{name: edge, address: 'localhost:0', {tls}, {edge}}}\n"
        f"  - {{name: shop, address: 'localhost:0', {tls}, {shop}}}\n"
        f"  - {{name: all, address: 'localhost:0', {tls}}}\n"
        f"  - {{name: other, address: 'localhost:0', {other}}}\n"
        "  - {name: plain, address: 'localhost:0'}\n"
        f"  - {{name: web-edge, protocol: HTTP, address: 'localhost:0', {tls}, {edge}}}\n"
        f"  - {{name: web-shop, protocol: HTTP, address: 'localhost:0', {tls}, {shop}}}\n"
        "  - {name: web-plain, protocol: HTTP, address: 'localhost:0'}\n"
    ).mixer


@pytest.fixture
async def service(
    make_engine: MakeEngine, plugins: Plugins, tmp_path: Path
) -> AsyncIterator[tuple[Addresses, Access]]:
    spec = spec_of(tmp_path)
    limits = plugins.document("limits", {"quotas": "edge"}, pluginConfig=LIMITS)
    limits["spec"]["url"] = "builtin://quota"
    engine = make_engine(plugins.plugin("one", do.adapter()), limits)
    async with (
        Access(spec) as access,
        Servers(engine, spec, Health(), None, access) as servers,
    ):
        yield servers.addresses, access


def channel(address: str, leaf: Leaf | None) -> grpc.aio.Channel:
    if leaf is None:
        return grpc.aio.insecure_channel(address, _OPTIONS)
    return grpc.aio.secure_channel(address, AUTHORITY.credentials(leaf), _OPTIONS)


async def asked(address: str, leaf: Leaf | None) -> str:
    """What becomes of a check."""
    request = external_auth_pb2.CheckRequest()
    request.attributes.request.http.method = "GET"
    async with channel(address, leaf) as opened:
        try:
            data = await opened.unary_unary(CHECK)(request.SerializeToString(), timeout=_PATIENCE_S)
        except grpc.aio.AioRpcError as error:
            return error.code().name
    answer = external_auth_pb2.CheckResponse.FromString(data)
    return str(answer.denied_response.status.code or "allowed")


async def asked_by_http(address: str, leaf: Leaf | None) -> str:
    """The status of a call; UNAVAILABLE where there is no connection."""
    secured = None
    if leaf is not None:
        secured = ssl.create_default_context(cadata=AUTHORITY.pem.decode())
        with tempfile.TemporaryDirectory() as folder:
            secured.load_cert_chain(*leaf.files(Path(folder)))
    host, _, port = address.rpartition(":")
    try:
        reader, writer = await asyncio.open_connection(host, int(port), ssl=secured)
        try:
            writer.write(ASKS)
            async with asyncio.timeout(_PATIENCE_S):
                answer = await reader.read()
        finally:
            writer.close()
    except (ssl.SSLError, ConnectionError):
        return "UNAVAILABLE"
    return answer.split()[1].decode() if answer else "UNAVAILABLE"


async def test_each_has_its_own_callers(service: tuple[Addresses, Access]) -> None:
    """Who is on one list is on no other one, and a listener without a list has none."""
    addresses, access = service
    gone, denied = "UNAVAILABLE", "403"
    expected = {
        "edge": ("allowed", denied, gone, gone),
        "shop": (denied, "allowed", gone, gone),
        "all": ("allowed", "allowed", gone, gone),
        "other": (gone, gone, "allowed", gone),
        "plain": (gone, gone, gone, "allowed"),
    }
    for address, answers in zip(addresses.grpc, expected.values(), strict=True):
        found = [await asked(address, leaf) for leaf in (EDGE, SHOP, STRANGER, None)]
        assert tuple(found) == answers
    by_http = {
        "web-edge": ("200", denied, gone, gone),
        "web-shop": (denied, "200", gone, gone),
        "web-plain": (gone, gone, gone, "200"),
    }
    for address, answers in zip(addresses.http, by_http.values(), strict=True):
        found = [await asked_by_http(address, leaf) for leaf in (EDGE, SHOP, STRANGER, None)]
        assert tuple(found) == answers
    assert {one.listener: one.refused for one in access.allow_lists} == {
        "edge": 1, "shop": 1, "web-edge": 1, "web-shop": 1,
    }  # fmt: skip


async def shares(stream: Any) -> int:
    """What a stream is told next that it may let pass."""
    message = rlqs_pb2.RateLimitQuotaResponse.FromString(await stream.read())
    [action] = message.bucket_action
    tokens: int = action.quota_assignment_action.rate_limit_strategy.token_bucket.max_tokens
    return tokens


async def test_a_bucket_is_shared_by_all_listeners(service: tuple[Addresses, Access]) -> None:
    """A proxy that asks on another listener gets a part of it, and not all of it once more."""
    edge, shop, *_ = service[0].grpc
    usage = rlqs_pb2.RateLimitQuotaUsageReports(domain="edge")
    usage.bucket_quota_usages.add(num_requests_allowed=1).bucket_id.bucket["name"] = "a"
    report = usage.SerializeToString()
    async with (
        asyncio.timeout(_PATIENCE_S),
        channel(edge, EDGE) as opened,
        channel(shop, SHOP) as other,
    ):
        one, two = opened.stream_stream(STREAM)(), other.stream_stream(STREAM)()
        await one.write(report)
        alone = await shares(one)
        await two.write(report)
        together = await shares(two), await shares(one)
        assert alone > 90
        assert sum(together) <= alone
        assert min(together) > 0


async def test_a_bucket_is_not_for_callers_that_may_not_ask(
    service: tuple[Addresses, Access],
) -> None:
    """A stream of another ends before it takes a share."""
    async with channel(service[0].grpc[0], SHOP) as opened:
        stream = opened.stream_stream(STREAM)(timeout=_PATIENCE_S)
        assert await stream.code() is grpc.StatusCode.PERMISSION_DENIED
