"""TLS with clusters: who is trusted, which certificate is shown, and what is spoken."""

import asyncio
import datetime
import ipaddress
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mixer.callouts.addresses import Addresses
from mixer.callouts.clusters import (
    Cluster,
    ClusterTls,
    DynamicUpstream,
    Endpoint,
    HttpProtocol,
)
from mixer.callouts.grpc_calls import GrpcCalls
from mixer.callouts.http_failures import Reset, reset_reply
from mixer.callouts.naming import Clusters
from mixer.callouts.ports import GrpcMethod, RedisTarget
from mixer.callouts.redis_calls import RedisCalls
from mixer.callouts.tls import TlsFilesError
from tests.callouts.clients import OK, callouts, reply_to, static, text
from tests.support.callout_upstream import Http2, Upstream

HELLO2 = Http2(
    (
        lambda c, s: c.send_headers(s, [(b":status", b"200")]),
        lambda c, s: c.send_data(s, b"two", end_stream=True),
    )
)


class Authority:
    """Signs certificates, and keeps everything in a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.file = folder / f"{name}.pem"
        authority = x509.BasicConstraints(ca=True, path_length=0)
        self._certificate = self._sign(name, self._key, authority, [])
        self.file.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, *addresses: str) -> Path:
        """A file with a certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [x509.DNSName(name)]
        names += [x509.IPAddress(ipaddress.ip_address(one)) for one in addresses]
        leaf = x509.BasicConstraints(ca=False, path_length=None)
        certificate = self._sign(name, key, leaf, names)
        file = self._folder / f"{self._name}-{name}.pem"
        file.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return file

    def _sign(
        self,
        name: str,
        key: ec.EllipticCurvePrivateKey,
        constraints: x509.BasicConstraints,
        names: list[x509.GeneralName],
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self._name)])
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(constraints, critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256())


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Whom the tests trust."""
    return Authority(tmp_path_factory.mktemp("tls"), "authority")


def _server(certificate: Path, *alpn: str, clients: Path | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    context.set_alpn_protocols(list(alpn))
    if clients is not None:
        context.load_verify_locations(clients)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@pytest.mark.parametrize(
    ("protocol", "offered", "body"),
    [
        (HttpProtocol.HTTP1, ("http/1.1",), "hi"),
        (HttpProtocol.AUTO, ("http/1.1",), "hi"),
        (HttpProtocol.AUTO, (), "hi"),
        (HttpProtocol.AUTO, ("h2", "http/1.1"), "two"),
        (HttpProtocol.HTTP2, ("h2",), "two"),
    ],
)
async def test_alpn_chooses_the_protocol(authority, protocol, offered, body):
    """``AUTO`` speaks HTTP/2 where the upstream does, and HTTP/1.1 where not."""
    context = _server(authority.issue("up.test", "127.0.0.1"), *offered)
    tls = ClusterTls(ca_file=authority.file)
    async with Upstream(HELLO2 if body == "two" else OK, context) as server:
        async with callouts(static(server.port, protocol=protocol, tls=tls)) as client:
            for _ in range(2):
                assert text(await reply_to(client)) == ("200", body)
        assert server.connections == 1


@pytest.mark.parametrize(
    ("trusted", "tls", "works"),
    [
        (True, {"sni": "up.test"}, True),
        (True, {}, True),
        (True, {"sni": "other.test"}, False),
        (False, {"sni": "up.test"}, False),
        (False, {"sni": "other.test", "verify": False}, True),
    ],
)
async def test_the_certificate_is_checked(authority, trusted, tls, works):
    """A certificate must be for the name and of a trusted authority, unless told otherwise."""
    context = _server(authority.issue("up.test", "127.0.0.1"))
    settings = ClusterTls(ca_file=authority.file if trusted else None, **tls)
    async with (
        Upstream(OK, context) as server,
        callouts(static(server.port, tls=settings)) as client,
    ):
        reply = await reply_to(client)
    if works:
        assert text(reply) == ("200", "hi")
    else:
        assert reply == reset_reply(Reset.CONNECTION_FAILURE)
        assert not server.requests


async def test_the_name_of_an_endpoint_is_checked(authority):
    """Without ``sni`` the certificate must be for the host of the endpoint."""

    async def lookup(_host: str) -> list[str]:
        return ["127.0.0.1"]

    context = _server(authority.issue("up.test"))
    tls = ClusterTls(ca_file=authority.file)
    async with Upstream(OK, context) as server:
        for host, works in (("up.test", True), ("no.test", False)):
            cluster = Cluster("up", (Endpoint(host, server.port),), tls=tls)
            async with callouts(cluster, addresses=Addresses(lookup)) as client:
                reply = await reply_to(client)
                assert (text(reply) == ("200", "hi")) is works


async def test_the_client_shows_its_certificate(authority, tmp_path):
    """An upstream that asks for a certificate gets that of the cluster."""
    context = _server(authority.issue("up.test", "127.0.0.1"), clients=authority.file)
    async with Upstream(OK, context) as server:
        for certificate in (authority.issue("client"), Authority(tmp_path, "x").issue("client")):
            tls = ClusterTls(ca_file=authority.file, cert_file=certificate)
            async with callouts(static(server.port, tls=tls)) as client:
                reply = await reply_to(client)
                assert (text(reply) == ("200", "hi")) is (
                    certificate.parent == authority.file.parent
                )


@pytest.mark.parametrize("content", [None, b"", b"no PEM"])
@pytest.mark.parametrize("field", ["ca_file", "cert_file"])
async def test_a_file_that_cannot_be_used_is_named(tmp_path, field, content):
    """A missing or malformed file is found before the first callout."""
    file = tmp_path / "file.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(TlsFilesError, match=r"cluster up: tls: .*file\.pem: "):
        async with callouts(static(1, tls=ClusterTls(**{field: file}))):
            pass


async def test_a_file_of_dynamic_upstreams_is_read_at_the_start(tmp_path):
    """It does not take a module's first call to find out that one cannot be used."""
    rule = DynamicUpstream(("*",), (443,), tls=ClusterTls(ca_file=tmp_path / "file.pem"))
    with pytest.raises(TlsFilesError, match=r"dynamic upstream \*: tls: .*file\.pem: "):
        async with callouts(dynamic=(rule,)):
            pass


async def test_the_authorities_are_read_once(authority, monkeypatch):
    """Neither a new connection nor a new upstream waits for files, which takes tens of ms."""
    read = []
    real = ssl.create_default_context
    monkeypatch.setattr(
        "mixer.callouts.tls.ssl.create_default_context",
        lambda **options: (read.append(options), real(**options))[1],
    )
    networks = (ipaddress.ip_network("127.0.0.0/8"),)
    rule = DynamicUpstream(("*",), (1,), networks, tls=ClusterTls(ca_file=authority.file))
    clusters, addresses = Clusters(dynamic=[rule]), Addresses()
    grpc, redis = GrpcCalls(clusters, addresses), RedisCalls(clusters, addresses)
    loop = asyncio.get_running_loop()
    for number in range(3):
        host = f"127.0.0.{number + 1}:1"
        called: asyncio.Future[object] = loop.create_future()
        grpc.grpc_call(GrpcMethod(host.encode(), "a", "b", (), 20), b"", called.set_result)
        assert await called
        asked: asyncio.Future[object] = loop.create_future()
        client = redis.redis(RedisTarget(host, timeout=20))
        client.call(b"*1\r\n$4\r\nPING\r\n", asked.set_result)
        assert await asked
        client.close()
    await grpc.close()
    assert len(read) <= 2


async def test_an_upstream_without_tls_is_a_failed_connection(authority):
    """Plaintext where TLS was expected looks like a connection that failed."""
    tls = ClusterTls(ca_file=authority.file)
    async with Upstream(OK) as server, callouts(static(server.port, tls=tls)) as client:
        assert await reply_to(client) == reset_reply(Reset.CONNECTION_FAILURE)
