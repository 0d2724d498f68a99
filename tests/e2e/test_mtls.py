"""A real Envoy that asks over mTLS, by the configuration that is made for it."""

import asyncio
import datetime
import json
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
import yaml

from mixer.client import AsyncMixerClient, ClientSettings, MixerClient, TlsSettings
from mixer.study import bootstrap as build
from mixer.study.client import HttpConnection, Request, get
from mixer.study.envoy import EnvoyProcess
from mixer.study.process import ChildProcess
from mixer.study.service import ServiceProcess
from mixer.study.upstream import EchoUpstream
from tests.e2e.stack import START_TIMEOUT_S, Services, adapter
from tests.support import adapters as do
from tests.support.authority import Authority, Leaf
from tests.support.compile import wasm
from tests.support.redis_server import free_port

pytestmark = pytest.mark.usefixtures("envoy")

DEPLOY = Path(__file__).parents[2] / "deploy" / "envoy" / "ext_authz_mtls.yaml"
MIXER_CHECK = (sys.executable, "-m", "mixer", "check", "-a", "request.path=/")
HOUR = datetime.timedelta(hours=1)
MIXER = "spiffe://example.org/ns/mixer/sa/mixer"
EDGE = "spiffe://example.org/ns/edge/sa/envoy"
SEES_CALLER = do.adapter(
    do.where_property("mixer\0caller_principal", EDGE, do.add("x-principal", EDGE)),
    do.where_property("mixer\0caller", EDGE, do.add("x-caller", EDGE)),
)


class World(NamedTuple):
    """A service with mTLS that runs, and what is needed to ask it.

    Attributes:
        authority: Of all certificates.
        folder: With the service's files.
        port: Of its listener with TLS.
        metrics: Address of its metrics, with TLS as well.
        upstream: Address of the upstream.
        service: The process.
    """

    authority: Authority
    folder: Path
    port: int
    metrics: str
    upstream: str
    service: ServiceProcess

    def rotate(self) -> Leaf:
        """Give the service another certificate."""
        leaf = self.authority.leaf(MIXER, dns=["localhost"])
        leaf.files(self.folder)
        return leaf

    def client_context(self, leaf: Leaf) -> ssl.SSLContext:
        """For connections of the test itself."""
        context = ssl.create_default_context(cadata=self.authority.pem.decode())
        context.load_cert_chain(*leaf.files(self.folder, "client"))
        context.set_alpn_protocols(["h2"])
        return context

    async def serial_shown(self, context: ssl.SSLContext) -> int:
        """Of the certificate that a new connection is shown."""
        place = ("127.0.0.1", self.port)
        _, writer = await asyncio.open_connection(*place, ssl=context, server_hostname="localhost")
        shown = writer.get_extra_info("ssl_object").getpeercert()
        writer.close()
        return int(shown["serialNumber"], 16)


@pytest.fixture
async def world(services: Services, tmp_path: Path) -> AsyncIterator[World]:
    """A service that lets Envoys at the edge ask, and ends connections after a second."""
    authority, port, metrics = Authority(), free_port(), free_port()
    module = tmp_path / "sees.wasm"
    module.write_bytes(wasm(SEES_CALLER))
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    authority.leaf(MIXER, dns=["localhost"]).files(tmp_path)
    tls = {
        "certFile": str(tmp_path / "tls.crt"),
        "keyFile": str(tmp_path / "tls.key"),
        "clientCaFile": str(tmp_path / "ca.pem"),
    }
    listeners = [
        {"name": "local", "address": services.address("mtls")},
        {
            "name": "proxies",
            "address": f"127.0.0.1:{port}",
            "tls": tls,
            "callers": ["spiffe://example.org/ns/edge/*"],
        },
    ]
    spec: dict[str, Any] = {
        "listeners": listeners,
        "limits": {"connections": {"maxAge": "1s"}},
        "loadShedding": {"mode": "LOG_ONLY", "latency": {"threshold": "1m"}},
        "telemetry": {"metrics": {"address": f"127.0.0.1:{metrics}", "tls": tls}},
    }
    async with (
        EchoUpstream() as upstream,
        services.service("mtls", [adapter("sees", module)], **spec) as service,
    ):
        address = f"localhost:{metrics}"
        yield World(authority, tmp_path, port, address, upstream.address, service)


@asynccontextmanager
async def asking(world: World, leaf: Leaf, **ext_authz: Any) -> AsyncIterator[EnvoyProcess]:
    """An Envoy with the deployed configuration and a certificate."""
    cert_file, key_file = leaf.files(world.folder, "envoy")
    text = DEPLOY.read_text()
    for name, file in (("tls.crt", cert_file), ("tls.key", key_file)):
        text = text.replace(f"/etc/envoy/tls/{name}", str(file))
    text = text.replace("/etc/envoy/tls/ca.crt", str(world.folder / "ca.pem"))
    config = yaml.safe_load(text)
    [listener] = config["static_resources"]["listeners"]
    listener["address"] = build.socket_address("127.0.0.1:0")
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    authz = manager["http_filters"][0]["typed_config"]
    authz.update(ext_authz)
    authz["grpc_service"]["timeout"] = "30s"  # not a test of a busy machine
    places = {"mixer": f"127.0.0.1:{world.port}", "upstream": world.upstream}
    for cluster in config["static_resources"]["clusters"]:
        endpoint = {"address": build.socket_address(places[cluster["name"]])}
        cluster["load_assignment"]["endpoints"][0]["lb_endpoints"] = [{"endpoint": endpoint}]
        cluster["connect_timeout"] = "30s"
        for check in cluster.get("health_checks", ()):
            check["timeout"] = "30s"
    async with EnvoyProcess(config, start_timeout_s=START_TIMEOUT_S) as running:
        yield running


async def test_a_module_sees_who_asks(world: World) -> None:
    """Envoy's SPIFFE ID gets to it, as the principal and as the caller."""
    async with asking(world, world.authority.leaf(EDGE)) as envoy:
        answer = await get(envoy.address("ingress"), "/", 60.0)
    assert answer.status == 200
    seen = dict(json.loads(answer.body)["headers"])
    assert (seen["x-principal"], seen["x-caller"]) == (EDGE, EDGE)
    # It asks itself, too, and has no certificate for that.
    assert "latency cannot be measured" not in world.service.log_text()


@pytest.mark.parametrize("failure_mode_allow", [False, True])
async def test_a_caller_that_is_not_on_the_list(world: World, failure_mode_allow: bool) -> None:
    """Its requests are denied, by an Envoy that is configured to fail open too."""
    leaf = world.authority.leaf("spiffe://example.org/ns/other/sa/envoy")
    async with asking(world, leaf, failure_mode_allow=failure_mode_allow) as envoy:
        assert (await get(envoy.address("ingress"), "/", 60.0)).status == 403
    assert "the caller 'spiffe://example.org/ns/other/sa/envoy' is not" in world.service.log_text()
    scraper = world.client_context(world.authority.leaf(name="prometheus"))
    metrics = await scraped(world.metrics, scraper)
    assert 'mixer_listener_refused_callers_total{listener="proxies"} 1\n' in metrics


async def scraped(address: str, context: ssl.SSLContext) -> str:
    """The metrics, over TLS."""
    context.set_alpn_protocols(["http/1.1"])
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
    writer.write(b"GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n")
    async with asyncio.timeout(60):
        text = (await reader.read()).decode()
    writer.close()
    return text


@pytest.mark.parametrize(
    ("name", "code"), [(EDGE, 0), ("spiffe://example.org/ns/other/sa/client", 7)]
)
async def test_the_client(world: World, name: str, code: int) -> None:
    """It shows its certificate; one that is not on the list gets a denial that it keeps no time."""
    cert_file, key_file = world.authority.leaf(name).files(world.folder, "client")
    tls = TlsSettings(ca_file=world.folder / "ca.pem", cert_file=cert_file, key_file=key_file)
    settings = ClientSettings(address=f"localhost:{world.port}", timeout=30.0, tls=tls)
    async with AsyncMixerClient(settings) as client:
        for _ in range(2):
            result = await client.check({"request.path": "/"})
            assert (result.code, result.failure, result.from_cache) == (code, None, False)
    with MixerClient(settings) as blocking:
        check = asyncio.to_thread(blocking.check, {"request.path": "/"})
        assert (await check).code == code


async def test_the_client_without_a_certificate(world: World) -> None:
    """It gets no answer, and fails close; likewise one that expects another name."""
    ca_file = world.folder / "ca.pem"
    cert_file, key_file = world.authority.leaf(EDGE).files(world.folder, "client")
    for tls in (
        TlsSettings(ca_file=ca_file),
        TlsSettings(
            ca_file=ca_file, cert_file=cert_file, key_file=key_file, server_name="other.example"
        ),
    ):
        settings = ClientSettings(address=f"localhost:{world.port}", timeout=30.0, tls=tls)
        async with AsyncMixerClient(settings) as client:
            result = await client.check({"request.path": "/"})
        assert result.failure is not None
        assert result.code == grpc.StatusCode.UNAVAILABLE.value[0]


@pytest.mark.parametrize(
    ("name", "status"), [(EDGE, 0), ("spiffe://example.org/ns/other", 1), (None, 3)]
)
async def test_the_commands(world: World, name: str | None, status: int) -> None:
    """`mixer check` shows a certificate, and says how it went by its status."""
    command = [*MIXER_CHECK, "-m", f"127.0.0.1:{world.port}", "--ca-file"]
    command += [str(world.folder / "ca.pem"), "--server-name", "localhost"]
    if name is not None:
        cert_file, key_file = world.authority.leaf(name).files(world.folder, "client")
        command += ["--cert-file", str(cert_file), "--key-file", str(key_file)]
    process = await ChildProcess.start("mixer check", command, world.folder / "check.log")
    try:
        assert await process.wait(60) == status
    finally:
        await process.stop()


@pytest.mark.parametrize("other", ["authority", "expired"])
async def test_a_certificate_that_is_not_valid(world: World, other: str) -> None:
    """It gets no connection, and its requests 503, whatever name it has."""
    leaf = Authority().leaf(EDGE)
    if other == "expired":
        leaf = world.authority.leaf(EDGE, ends=-HOUR)
    async with asking(world, leaf) as envoy:
        assert (await get(envoy.address("ingress"), "/", 60.0)).status == 503
    assert "andshake" not in world.service.log_text()  # whoever connects could fill the log


async def test_a_service_of_another_name(world: World) -> None:
    """Envoy asks only the one with the right name, and nobody else of the same authority."""
    evil = world.authority.leaf("spiffe://example.org/ns/evil", dns=["localhost"])
    evil.files(world.folder)
    await until_shown(world, evil)
    async with asking(world, world.authority.leaf(EDGE)) as envoy:
        assert (await get(envoy.address("ingress"), "/", 60.0)).status == 503


async def until_shown(world: World, leaf: Leaf) -> None:
    """Wait until new connections get a certificate."""
    context = world.client_context(world.authority.leaf(EDGE))
    async with asyncio.timeout(60):
        while await world.serial_shown(context) != leaf.serial:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def connections(envoy: EnvoyProcess) -> int:
    """How many Envoy has made to the service."""
    return (await envoy.stats("cluster.mixer."))["cluster.mixer.upstream_cx_total"]


async def test_files_change_while_envoy_asks(world: World) -> None:
    """New connections get the new certificate, and no request is lost."""
    ended = asyncio.Event()
    statuses: list[int] = []

    async def ask(address: str) -> None:
        async with HttpConnection(address, 60.0) as connection:
            while not ended.is_set():
                statuses.append((await connection.send(Request("GET", "/"))).status)

    async with asking(world, world.authority.leaf(EDGE)) as envoy, asyncio.timeout(120):
        askers = [asyncio.create_task(ask(envoy.address("ingress"))) for _ in range(4)]
        before = await connections(envoy)
        for _ in range(3):
            await until_shown(world, world.rotate())
        while await connections(envoy) < before + 2:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        ended.set()
        await asyncio.gather(*askers)
        stats = await envoy.stats("cluster.mixer.")
    assert set(statuses) == {200}
    assert stats["cluster.mixer.ssl.connection_error"] == 0
