"""TLS of the listeners: which files are taken, and how they are replaced."""

import asyncio
import datetime
import logging
import ssl
import tempfile
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import grpc.aio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from mixer.config import ListenerTls, loads
from mixer.transport.access import METRICS, Access
from mixer.transport.identity import Identity, identity_at, identity_in
from mixer.transport.listening import ListenError
from mixer.transport.tls import ServerTls
from mixer.transport.tls_files import MAX_FILE_BYTES
from tests.support.authority import Authority, Leaf, replace

AUTHORITY = Authority()
CALLER = AUTHORITY.leaf("spiffe://example.org/caller")
_DAY = datetime.timedelta(days=1)
_OPTIONS = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0))


def localhost(authority: Authority = AUTHORITY, **options: Any) -> Leaf:
    return authority.leaf(dns=["localhost"], **options)


@pytest.fixture
def tls(tmp_path: Path) -> ListenerTls:
    """Files that can be used."""
    cert_file, key_file = localhost().files(tmp_path)
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(AUTHORITY.pem)
    return ListenerTls(cert_file=cert_file, key_file=key_file, client_ca_file=ca_file)


def _with_password(leaf: Leaf) -> bytes:
    key: Any = load_pem_private_key(leaf.key, None)
    encryption = BestAvailableEncryption(b"secret")
    return bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))


def _expired() -> Leaf:
    return localhost(begins=-3 * _DAY, ends=-2 * _DAY)


def _of_kind(key: Any) -> Callable[[ListenerTls], None]:
    def write(tls: ListenerTls) -> None:
        localhost(key=key).files(tls.cert_file.parent)

    return write


def _write(name: str, content: Callable[[], bytes]) -> Callable[[ListenerTls], None]:
    return lambda tls: (tls.cert_file.parent / name).write_bytes(content()) and None


BAD: dict[str, tuple[Callable[[ListenerTls], Any], str]] = {
    "missing": (lambda tls: tls.cert_file.unlink(), "tls.crt: cannot be read: No such file"),
    "folder": (
        lambda tls: (tls.cert_file.unlink(), tls.cert_file.mkdir()),
        "tls.crt: cannot be read: Is a directory",
    ),
    "large": (
        _write("tls.crt", lambda: b"x" * (MAX_FILE_BYTES + 1)),
        f"tls.crt: has over {MAX_FILE_BYTES} bytes",
    ),
    "no certificate": (_write("tls.crt", lambda: b"x"), "tls.crt: has no certificates in PEM"),
    "empty": (_write("tls.crt", bytes), "tls.crt: has no certificates in PEM"),
    "expired": (lambda tls: _expired().files(tls.cert_file.parent), "certificate has expired on"),
    "not yet": (
        lambda tls: localhost(begins=_DAY, ends=2 * _DAY).files(tls.cert_file.parent),
        "the certificate is not valid before",
    ),
    "no key": (_write("tls.key", lambda: b"x"), "tls.key: has no private key in PEM"),
    "password": (
        lambda tls: tls.key_file.write_bytes(_with_password(localhost())),
        "tls.key: the key has a password",
    ),
    "mismatch": (
        _write("tls.key", lambda: localhost().key),
        "tls.key: the key is not that of the certificate in",
    ),
    "small": (_of_kind(rsa.generate_private_key(65537, 1024)), "RSA of 2048 bits or more"),
    "curve": (_of_kind(ec.generate_private_key(ec.SECP521R1())), "P-256 or P-384"),
    "ed25519": (_of_kind(ed25519.Ed25519PrivateKey.generate()), "P-256 or P-384"),
    "no authority": (_write("ca.pem", lambda: b"x"), "ca.pem: has no certificates in PEM"),
    "old authority": (
        _write("ca.pem", lambda: _expired().certificate),
        "ca.pem: the certificate has expired on",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files(name: str, tls: ListenerTls) -> None:
    """The service does not start; it names the listener, the file and the reason."""
    spoil, message = BAD[name]
    spoil(tls)
    with pytest.raises(ListenError) as caught:
        ServerTls("grpc", tls)
    assert str(caught.value).startswith(f"listener grpc: tls: {tls.cert_file.parent}/")
    assert message in str(caught.value)
    assert "PRIVATE" not in str(caught.value)


@pytest.mark.parametrize("name", BAD)
def test_files_that_become_bad(
    name: str, tls: ListenerTls, caplog: pytest.LogCaptureFixture
) -> None:
    """What was there before is used further, which is logged once and told by the metrics."""
    server = ServerTls("grpc", tls)
    before = server.material
    spoil, message = BAD[name]
    spoil(tls)
    for _ in range(5):
        server.refresh()
        assert server.is_stale
    assert server.material is before
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert message in caplog.text
    cert_file, _ = localhost().files(tls.cert_file.parent) if name != "folder" else (None, None)
    if cert_file is not None:
        tls.client_ca_file.write_bytes(AUTHORITY.pem)  # type: ignore[union-attr]
        server.refresh()
        assert not server.is_stale
        assert server.material.chain == cert_file.read_bytes()


def test_a_certificate_whose_key_comes_later(
    tls: ListenerTls, caplog: pytest.LogCaptureFixture
) -> None:
    """Files that are written one after the other are no error."""
    server, new = ServerTls("grpc", tls), localhost()
    replace(tls.cert_file, new.certificate)
    server.refresh()
    assert server.is_stale
    assert tls.key_file is not None
    replace(tls.key_file, new.key)
    server.refresh()
    assert server.material.chain == new.certificate
    assert not server.is_stale
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]


def test_a_secret_of_kubernetes(tls: ListenerTls, tmp_path: Path) -> None:
    """A link to a folder that is swapped for another is a change of the files in it."""
    for name in ("1", "2"):
        (tmp_path / name).mkdir()
        localhost().files(tmp_path / name)
    data = tmp_path / "..data"
    data.symlink_to("1")
    cert_file, key_file = tmp_path / "..data" / "tls.crt", tmp_path / "..data" / "tls.key"
    server = ServerTls("grpc", ListenerTls(cert_file=cert_file, key_file=key_file))
    new = tmp_path / "..data_tmp"
    new.symlink_to("2")
    new.rename(data)
    server.refresh()
    assert server.material.chain == (tmp_path / "2" / "tls.crt").read_bytes()


def test_one_file_for_both(tls: ListenerTls, tmp_path: Path) -> None:
    """Without keyFile the key is in certFile."""
    leaf, both = localhost(), tmp_path / "both.pem"
    both.write_bytes(leaf.key + leaf.certificate + AUTHORITY.pem)
    server = ServerTls("grpc", ListenerTls(cert_file=both))
    assert server.expires == int(
        x509.load_pem_x509_certificate(leaf.certificate).not_valid_after_utc.timestamp()
    )


def test_authorities_of_which_some_are_old(tls: ListenerTls) -> None:
    """An expired one in the bundle does no harm."""
    assert tls.client_ca_file is not None
    tls.client_ca_file.write_bytes(_expired().certificate + AUTHORITY.pem)
    ServerTls("grpc", tls)


async def test_files_are_looked_at_while_the_service_runs(tls: ListenerTls) -> None:
    """Each listener's, and those of the metrics, without a signal and without a handshake."""
    folder = tls.cert_file.parent
    files = f"{{certFile: {tls.cert_file}, keyFile: {tls.key_file}}}"
    spec = loads(
        "apiVersion: mixer.dev/v1alpha1\nkind: Mixer\nmetadata: {name: m}\nspec:\n"
        f"  listeners: [{{name: a, address: 'localhost:0', tls: {files}}},"
        " {name: b, address: 'localhost:0'}]\n"
        f"  telemetry: {{metrics: {{address: 'localhost:0', tls: {files}}}}}\n"
    ).mixer
    new = localhost()
    async with Access(spec, poll_s=0.01) as access:
        listener, metrics = access.to("a").tls, access.to(METRICS).tls
        assert listener is not None
        assert metrics is not None
        assert access.to("b").tls is None
        new.files(folder)
        async with asyncio.timeout(30):
            while {listener.material.chain, metrics.material.chain} != {new.certificate}:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


class Place(NamedTuple):
    """A server on localhost.

    Attributes:
        port: Where it is.
        connect: Makes a new connection, and tells whom the server takes the client for.
    """

    port: int
    connect: Callable[[Authority, Leaf | None], Awaitable[str]]


@asynccontextmanager
async def over_grpc(tls: ServerTls) -> AsyncIterator[Place]:
    """A gRPC server."""

    async def call(_data: bytes, context: Any) -> bytes:
        return repr(identity_in(context)).encode()

    server = grpc.aio.server()
    method = {"Call": grpc.unary_unary_rpc_method_handler(call)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("a.S", method),))
    port = server.add_secure_port("localhost:0", tls.credentials())
    await server.start()

    async def connect(authority: Authority, leaf: Leaf | None) -> str:
        credentials = authority.credentials(leaf)
        async with grpc.aio.secure_channel(f"localhost:{port}", credentials, _OPTIONS) as channel:
            try:
                return (await channel.unary_unary("/a.S/Call")(b"", timeout=30)).decode()
            except grpc.aio.AioRpcError as error:
                return str(error.code())

    try:
        yield Place(port, connect)
    finally:
        await server.stop(0)


@asynccontextmanager
async def over_asyncio(tls: ServerTls) -> AsyncIterator[Place]:
    """A server on Python's own TLS, as HTTP uses it."""

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(repr(identity_at(writer.transport)).encode())
        writer.close()

    server = await asyncio.start_server(answer, "localhost", 0, ssl=tls.context(("http/1.1",)))
    port = server.sockets[0].getsockname()[1]

    async def connect(authority: Authority, leaf: Leaf | None) -> str:
        context = ssl.create_default_context(cadata=authority.pem.decode())
        if leaf is not None:
            with tempfile.TemporaryDirectory() as folder:
                context.load_cert_chain(*leaf.files(Path(folder)))
        try:
            reader, writer = await asyncio.open_connection("localhost", port, ssl=context)
            try:
                return (await reader.read()).decode() or "StatusCode.UNAVAILABLE"
            finally:
                writer.close()
        except (ssl.SSLError, ConnectionError):
            return "StatusCode.UNAVAILABLE"

    try:
        yield Place(port, connect)
    finally:
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize("serving", [over_grpc, over_asyncio])
async def test_who_calls(serving: Any, tls: ListenerTls) -> None:
    """A caller needs a certificate of the authority, and is known by it."""
    async with serving(ServerTls("grpc", tls)) as place:
        expected = Identity("spiffe://example.org/caller", ("spiffe://example.org/caller",))
        assert await place.connect(AUTHORITY, CALLER) == repr(expected)
        for other in (None, Authority().leaf("spiffe://example.org/caller"), _expired()):
            assert await place.connect(AUTHORITY, other) == "StatusCode.UNAVAILABLE"


@pytest.mark.parametrize("serving", [over_grpc, over_asyncio])
async def test_without_an_authority(serving: Any, tls: ListenerTls) -> None:
    """Nobody is asked for a certificate, and one that nobody verified is none."""
    tls = tls.model_copy(update={"client_ca_file": None})
    async with serving(ServerTls("grpc", tls)) as place:
        for leaf in (None, CALLER, Authority().leaf("spiffe://example.org/caller")):
            assert await place.connect(AUTHORITY, leaf) == "None"


@pytest.mark.parametrize("serving", [over_grpc, over_asyncio])
async def test_new_files_are_for_new_connections(serving: Any, tls: ListenerTls) -> None:
    """Another authority, for the listener and for its callers, replaces the first one."""
    server, other = ServerTls("grpc", tls), Authority("other")
    async with serving(server) as place:
        assert "caller" in await place.connect(AUTHORITY, CALLER)
        localhost(other).files(tls.cert_file.parent)
        assert tls.client_ca_file is not None
        replace(tls.client_ca_file, other.pem)
        server.refresh()
        assert "another" in await place.connect(other, other.leaf("spiffe://example.org/another"))
        assert await place.connect(other, CALLER) == "StatusCode.UNAVAILABLE"
        assert await place.connect(AUTHORITY, CALLER) == "StatusCode.UNAVAILABLE"


@pytest.mark.parametrize("serving", [over_grpc, over_asyncio])
async def test_bad_files_leave_connections_possible(serving: Any, tls: ListenerTls) -> None:
    """New connections get what was there before."""
    server = ServerTls("grpc", tls)
    async with serving(server) as place:
        tls.cert_file.unlink()
        server.refresh()
        assert "caller" in await place.connect(AUTHORITY, CALLER)


@pytest.mark.parametrize("serving", [over_grpc, over_asyncio])
async def test_old_versions_of_tls(serving: Any, tls: ListenerTls) -> None:
    """Nothing below TLS 1.2 is spoken, and 1.3 is."""
    async with serving(ServerTls("grpc", tls)) as place:
        versions = {}
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            versions[version] = await _handshake(place.port, tls, version)
        assert versions == {
            ssl.TLSVersion.TLSv1_2: "TLSv1.2",
            ssl.TLSVersion.TLSv1_3: "TLSv1.3",
        }
        assert await _handshake(place.port, tls, ssl.TLSVersion.TLSv1_1) is None


async def _handshake(port: int, tls: ListenerTls, version: ssl.TLSVersion) -> str | None:
    context = ssl.create_default_context(cadata=AUTHORITY.pem.decode())
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # or the client offers nothing old
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.load_cert_chain(*CALLER.files(tls.cert_file.parent, "client"))
    with warnings.catch_warnings(action="ignore"):
        context.minimum_version = context.maximum_version = version
    try:
        _, writer = await asyncio.open_connection("localhost", port, ssl=context)
    except (ssl.SSLError, ConnectionError):
        return None
    secured = writer.get_extra_info("ssl_object")
    writer.close()
    return str(secured.version())
