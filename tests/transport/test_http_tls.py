"""An HTTP listener with TLS, and with a list of callers."""

import asyncio
import ssl
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mixer.config import Listener, ListenerTls, MixerSpec, Protocol
from mixer.transport.access import Security
from mixer.transport.allow_list import AllowList
from mixer.transport.http_server import HttpServer
from mixer.transport.tls import ServerTls
from tests.engine.conftest import MakeEngine, Plugins, make_engine, plugins
from tests.support import adapters as do
from tests.support.authority import Authority, Leaf

__all__ = ["make_engine", "plugins"]

AUTHORITY = Authority()
PROXY = "spiffe://example.org/ns/edge/sa/nginx"
ASKS = (
    b"GET /forward_auth HTTP/1.1\r\nhost: mixer\r\nx-forwarded-host: a\r\n"
    b"x-forwarded-proto: http\r\nx-forwarded-for: 10.1.2.3\r\nx-forwarded-method: GET\r\n"
    b"x-forwarded-uri: /\r\nconnection: close\r\n\r\n"
)
HEALTH = b"GET /healthz HTTP/1.1\r\nhost: mixer\r\nconnection: close\r\n\r\n"


@pytest.fixture
async def server(
    make_engine: MakeEngine, plugins: Plugins, tmp_path: Path
) -> AsyncIterator[HttpServer]:
    """Only the proxy may ask, and only about its requests are there no denials."""
    module = do.adapter(
        do.where_property("mixer\0caller_principal", PROXY, do.answer(0)), do.deny(418)
    )
    cert_file, key_file = AUTHORITY.leaf(dns=["localhost"]).files(tmp_path)
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(AUTHORITY.pem)
    tls = ListenerTls(cert_file=cert_file, key_file=key_file, client_ca_file=ca_file)
    security = Security(ServerTls("web", tls), AllowList("web", (PROXY,)))
    listener = Listener(name="web", address="localhost:0", protocol=Protocol.HTTP)
    engine = make_engine(plugins.plugin("one", module))
    async with HttpServer(engine, listener, MixerSpec(), None, security) as running:
        yield running


async def status_of(server: HttpServer, leaf: Leaf | None, data: bytes) -> int | None:
    """What a call is answered; None without an answer."""
    context = ssl.create_default_context(cadata=AUTHORITY.pem.decode())
    if leaf is not None:
        with tempfile.TemporaryDirectory() as folder:
            context.load_cert_chain(*leaf.files(Path(folder)))
    host, _, port = server.address.rpartition(":")
    try:
        reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
        try:
            writer.write(data)
            async with asyncio.timeout(30):
                answer = await reader.read()
        finally:
            writer.close()
    except (ssl.SSLError, ConnectionError):
        return None
    return int(answer.split()[1]) if answer else None


async def test_a_caller_on_the_list(server: HttpServer) -> None:
    """It is answered, and modules see who it is."""
    assert await status_of(server, AUTHORITY.leaf(PROXY), ASKS) == 200


async def test_a_caller_that_is_not_on_the_list(server: HttpServer) -> None:
    """It gets 403, which every proxy takes for a denial; the health it is told."""
    other = AUTHORITY.leaf("spiffe://example.org/ns/other")
    assert await status_of(server, other, ASKS) == 403
    assert await status_of(server, other, HEALTH) == 200


async def test_a_caller_without_a_certificate(server: HttpServer) -> None:
    """It gets no connection, as one with a certificate of somebody else."""
    for leaf in (None, Authority().leaf(PROXY)):
        assert await status_of(server, leaf, ASKS) is None
