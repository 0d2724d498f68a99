"""TCP through the real Envoy: the deployed configurations, and one adapter in three places."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

import mixer
from mixer.study import bootstrap as build
from mixer.study.envoy import EnvoyProcess, validate
from tests.differential.tcp import tcp_listener, wasm_filter
from tests.e2e.stack import START_TIMEOUT_S, Services, adapter
from tests.support.self_signed import self_signed

pytestmark = pytest.mark.usefixtures("envoy")

DEPLOY = Path(__file__).parents[2] / "deploy" / "envoy"
DEPLOYED = ("network_ext_authz", "network_ext_proc")
_LONG_S = 30.0


def policy(*rules: dict[str, Any]) -> dict[str, Any]:
    """The configuration of the adapter policy for connections."""
    return {"protocol": "TCP", "rules": [*rules]}


FRIENDS = policy(
    {
        "name": "friends",
        "list": {"value": "source.address", "type": "IP_ADDRESSES", "entries": ["127.0.0.2"]},
    }
)
"""Lets in who comes from 127.0.0.2."""
KNOWN = policy(
    {"name": "certificate", "match": "!connection.mtls", "deny": {}},
    {
        "name": "server_name",
        "list": {"value": "connection.requested_server_name", "entries": ["db.example.com"]},
    },
)
"""Lets in who has a certificate, and asks for this name."""

_LISTENER = "type.googleapis.com/envoy.extensions.filters.listener"
TLS_INSPECTOR = {
    "name": "envoy.filters.listener.tls_inspector",
    "typed_config": {"@type": f"{_LISTENER}.tls_inspector.v3.TlsInspector"},
}
"""Reads the server name, for all but network_ext_authz."""


@dataclass
class Upstream:
    """Echoes, and keeps what it got."""

    got: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                self.got.append(data)
                writer.write(data)
                await writer.drain()
        writer.close()


@dataclass
class Proxies:
    """Envoys before one upstream."""

    upstream: Upstream
    envoys: dict[str, EnvoyProcess]

    async def ask(self, name: str, data: bytes, source: str, tls: Any = None) -> bytes:
        """What comes back of data, of a client at an address; empty if it is closed."""
        host, _, port = self.envoys[name].address("tcp").rpartition(":")
        options = {} if tls is None else {"ssl": tls, "server_hostname": "db.example.com"}
        writer = None
        try:
            async with asyncio.timeout(_LONG_S):
                reader, writer = await asyncio.open_connection(
                    host, int(port), local_addr=(source, 0), **options
                )
                writer.write(data)
                return await reader.readexactly(len(data))
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        finally:
            if writer is not None:
                writer.close()

    async def logged(self, name: str, text: str) -> str:
        """The line of the access log that begins like this, once it is written."""
        async with asyncio.timeout(_LONG_S):
            while True:
                for line in self.envoys[name].log.read_text(errors="replace").splitlines():
                    if line.startswith(text):
                        return line
                await asyncio.sleep(0.05)


def deployed(name: str, service: str, upstream: int) -> build.Config:
    """A configuration for users, with the addresses of a test, and time for a busy machine."""
    text = (DEPLOY / f"{name}.yaml").read_text()
    patient = text.replace("timeout: 0.2s", "timeout: 20s").replace("_timeout: 1s", "_timeout: 20s")
    config: build.Config = yaml.safe_load(patient)
    resources = config["static_resources"]
    resources["listeners"][0]["address"] = build.socket_address("127.0.0.1:0")
    places = {"mixer": service, "upstream": f"127.0.0.1:{upstream}"}
    for cluster in resources["clusters"]:
        endpoint = {"endpoint": {"address": build.socket_address(places[cluster["name"]])}}
        cluster["load_assignment"]["endpoints"][0]["lb_endpoints"] = [endpoint]
    return config


def in_envoy(configuration: dict[str, Any], upstream: int) -> build.Config:
    """The same adapter in Envoy's own network filter."""
    module = Path(mixer.__file__).parent / "modules" / "policy.wasm"
    filters = [wasm_filter("policy", module, json.dumps(configuration))]
    listener = tcp_listener("tcp", filters)
    return build.bootstrap([listener], [build.cluster("tcp", f"127.0.0.1:{upstream}")])


def with_tls(config: build.Config, folder: Path) -> build.Config:
    """The same behind TLS; a client's certificate is looked at if it shows one."""
    (own, own_key), (client, _) = self_signed(folder, "server"), self_signed(folder, "client")
    files = {"certificate_chain": {"filename": str(own)}, "private_key": {"filename": str(own_key)}}
    context = {
        "tls_certificates": [files],
        "validation_context": {
            "trusted_ca": {"filename": str(client)},
            "trust_chain_verification": "ACCEPT_UNTRUSTED",
        },
    }
    kind = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
    socket = {"@type": kind, "common_tls_context": context}
    listener = config["static_resources"]["listeners"][0]
    listener["listener_filters"] = [TLS_INSPECTOR]
    [chain] = listener["filter_chains"]
    chain["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": socket}
    return config


def client_tls(folder: Path, *, shows: bool) -> ssl.SSLContext:
    """What a client needs; with its certificate, or without."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if shows:
        context.load_cert_chain(folder / "client.pem", folder / "client.key")
    return context


@asynccontextmanager
async def running(
    services: Services, configuration: dict[str, Any], folder: Path | None = None
) -> AsyncIterator[Proxies]:
    """Starts an upstream, a service, and an Envoy for each place where the adapter may be."""
    upstream = Upstream()
    async with AsyncExitStack() as stack:
        server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
        await stack.enter_async_context(server)
        port = server.sockets[0].getsockname()[1]
        network = adapter("policy", "builtin://policy", configuration, type="NETWORK")
        service = services.service("tls" if folder else "tcp", [network])
        await stack.enter_async_context(service)
        configs = {name: deployed(name, service.address, port) for name in DEPLOYED}
        configs["envoy"] = in_envoy(configuration, port)
        envoys = {}
        for name, config in configs.items():
            envoy = EnvoyProcess(
                with_tls(config, folder) if folder else config, start_timeout_s=START_TIMEOUT_S
            )
            envoys[name] = await stack.enter_async_context(envoy)
        yield Proxies(upstream, envoys)


@pytest.mark.parametrize("name", DEPLOYED)
async def test_the_deployed_configurations(name: str) -> None:
    """They pass Envoy's own check as they are."""
    await validate(DEPLOY / f"{name}.yaml")


async def test_an_allow_list(services: Services) -> None:
    """In each place, a client on the list is carried; of another, nothing reaches the upstream."""
    async with running(services, FRIENDS) as proxies:
        for name in proxies.envoys:
            data = f"hello {name}".encode()
            assert await proxies.ask(name, data, "127.0.0.2") == data
            assert await proxies.ask(name, b"stranger", "127.0.0.1") == b""
        assert b"stranger" not in b"".join(proxies.upstream.got)
        for name in DEPLOYED:
            allowed = await proxies.logged(name, "127.0.0.2:")
            assert allowed.partition(" ")[2] == "verdict=allow adapter=policy reason="
            denied = await proxies.logged(name, "127.0.0.1:")
            assert (
                denied.partition(" ")[2] == "verdict=deny adapter=policy reason=denied_by_friends"
            )


async def test_certificates_and_server_names(services: Services, tmp_path: Path) -> None:
    """What TLS tells is known when the service is asked: with the first data.

    To Envoy's own filter a connection begins before the handshake, so that nobody has a
    certificate there.
    """
    async with running(services, KNOWN, tmp_path) as proxies:
        for name in DEPLOYED:
            data = f"hello {name}".encode()
            known = client_tls(tmp_path, shows=True)
            assert await proxies.ask(name, data, "127.0.0.1", known) == data
        for name in proxies.envoys:
            unknown = client_tls(tmp_path, shows=False)
            assert await proxies.ask(name, b"stranger", "127.0.0.1", unknown) == b""
        known = client_tls(tmp_path, shows=True)
        assert await proxies.ask("envoy", b"stranger", "127.0.0.1", known) == b""
        assert b"stranger" not in b"".join(proxies.upstream.got)


@pytest.mark.parametrize("name", DEPLOYED)
async def test_without_the_service(name: str) -> None:
    """No decision, no connection."""
    upstream = Upstream()
    async with await asyncio.start_server(upstream.serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        config = deployed(name, "unix:/nonexistent/mixer.sock", port)
        async with EnvoyProcess(config) as envoy:
            assert await Proxies(upstream, {name: envoy}).ask(name, b"hello", "127.0.0.1") == b""
    assert upstream.got == []


async def test_who_speaks_first(services: Services) -> None:
    """Where the upstream greets, network_ext_authz asks only once the client answers."""
    async with AsyncExitStack() as stack:

        async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"hello")
            with suppress(ConnectionError):
                said.append(await reader.read())
            writer.close()

        said: list[bytes] = []
        server = await stack.enter_async_context(await asyncio.start_server(greet, "127.0.0.1", 0))
        port = server.sockets[0].getsockname()[1]
        network = adapter("policy", "builtin://policy", FRIENDS, type="NETWORK")
        service = services.service("greeted", [network])
        await stack.enter_async_context(service)
        for name, greeting in (("network_ext_authz", b"hello"), ("network_ext_proc", b"")):
            config = deployed(name, service.address, port)
            envoy = await stack.enter_async_context(EnvoyProcess(config))
            host, _, listening = envoy.address("tcp").rpartition(":")
            reader, writer = await asyncio.open_connection(host, int(listening))
            try:
                async with asyncio.timeout(_LONG_S):
                    got = await reader.read(5)
                    writer.write(b"answer")
                    got += await reader.read()
            except ConnectionError:
                pass
            finally:
                writer.close()
            assert got == greeting
    assert b"answer" not in b"".join(said)
