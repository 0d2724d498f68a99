"""The auth adapter in Envoy's own Wasm filter, and in this host: what it decides by itself."""

import asyncio
import base64
import json
import ssl
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mixer.attributes import Value
from mixer.config.module import module_path
from mixer.study import bootstrap as build
from mixer.study.client import HttpConnection, Request
from mixer.study.envoy import EnvoyProcess
from mixer.testing import Host, Stream
from tests.adapters.signing import SECRET, signed
from tests.adapters.test_auth_local import KEYS, basic, token, user

NOW = int(time.time())
KEY = {"x-api-key": "k"}
PEER: dict[str, Value] = {"source.address": "127.0.0.1:7"}

in_one_loop = pytest.mark.usefixtures("envoy")


class Sent(NamedTuple):
    """One request."""

    headers: dict[str, str]
    body: bytes | None = None


SIGNERS = [{"id": "billing", "secret": base64.b64encode(SECRET).decode(), "consumer": "invoices"}]
PROVIDER = {"issuer": "i", "audiences": ["*"], "require_exp": False,
            "jwks": {"keys": [{"kty": "oct", "k": "A" * 43}]}}  # fmt: skip
OTHER = {**signed(NOW, "d1"), "x-a": "1", ":path": "/other"}
ASKED: dict[str, tuple[dict[str, Any], list[Sent]]] = {
    "basic": (
        {"basic": {"users": [user("al", "pw")], "max_hashes_per_second": 1000}},
        [Sent(basic(one)) for one in ("al:pw", "al:x", "bo:pw", "al")] + [Sent({})],
    ),
    "signatures": (
        {"signatures": {"keys": SIGNERS, "hold_headers": True, "max_age_seconds": 1800}},
        [
            Sent(signed(NOW, "a")),
            Sent(signed(NOW, "a")),
            Sent(OTHER),
            Sent(signed(NOW - 3600, "b")),
            Sent(signed(NOW, "c", method="POST", body=b"x" * 3000), b"x" * 3000),
            Sent(signed(NOW, "d", method="POST", body=b"x" * 3000), b"y" * 3000),
            Sent(signed(NOW, "d", method="POST", body=b"x" * 3000), b"x" * 3000),
            Sent(signed(NOW, "e", covered=("@method", "@request-target", "@authority"))),
            Sent(signed(NOW, "f", method="POST", body=b"")),
        ],
    ),
    "addresses": (
        {"api_keys": KEYS, "addresses": {"allow": ["127.0.0.0/8"], "deny": ["127.0.0.9"]}},
        [Sent(KEY), Sent({})],
    ),
    "forwarded": (
        {"api_keys": KEYS, "addresses": {"allow": ["10.0.0.0/8"], "trusted_hops": 2}},
        [Sent({**KEY, "x-forwarded-for": one}) for one in (
            "10.1.1.1, 9.9.9.9", "1.1.1.1,10.1.1.1,9.9.9.9", "10.1.1.1,1.1.1.1,9.9.9.9", "10.1.1.1",
        )] + [Sent(KEY)],
    ),
    "rules": (
        {
            "api_keys": KEYS,
            "anonymous_consumer": "guest",
            "rules": [
                {"paths": ["/here"], "addresses": ["127.0.0.1"], "anonymous": "allow"},
                {"paths": ["/there"], "addresses": ["10.0.0.0/8"], "anonymous": "allow"},
                {"match": 'request.headers["x-debug"] == "1"', "deny": True},
                {"paths": ["/n"], "match": 'int(request.headers["x-n"]) > 1', "anonymous": "allow"},
            ],
        },
        [Sent({":path": "/here"}), Sent({":path": "/there"}), Sent({**KEY, "x-debug": "1"}),
         Sent(KEY), Sent({":path": "/n", "x-n": "2"}), Sent({":path": "/n", "x-n": "x"})],
    ),
    "certificate": (
        {"mtls": {"identities": [{"spiffe_id": "spiffe://mesh/*"}],
                  "forwarded_certificate": {"trusted_hops": 1}}},
        [Sent({"x-forwarded-client-cert": "URI=spiffe://mesh/a"}), Sent({})],
    ),
    "conditions": (
        {
            "api_keys": KEYS,
            "jwt": {"providers": [PROVIDER]},
            "rules": [
                {"paths": ["/tier"], "when": 'claims.tier == "gold"'},
                {"paths": ["/roles"], "when": '"admin" in claims.roles && claims.age > 17.0'},
                {"paths": ["/who"], "when": 'consumer == "carol" && claims.org.id == consumer'},
                {"paths": ["/has"], "when": "!has(claims.tier)"},
            ],
        },
        [Sent({**token(claims), ":path": path})
         for path in ("/tier", "/roles", "/who", "/has")
         for claims in ({}, {"tier": "gold", "age": 18, "roles": ["x", "admin"],
                             "org": {"id": "carol"}})]
        + [Sent({**KEY, ":path": path}) for path in ("/tier", "/who", "/has")],
    ),
}  # fmt: skip


REFUSED = {
    "filter": {"status_code_filter": {"comparison": {
        "op": "GE", "value": {"default_value": 400, "runtime_key": "refused"}}}},
    "headers_to_add": [{"header": {"key": "x-details", "value": "%RESPONSE_CODE_DETAILS%"}}],
}  # fmt: skip


def listener(name: str, settings: dict[str, Any]) -> build.Config:
    module = module_path("builtin://auth", Path())
    filters = [build.wasm_filter(name, module, json.dumps(settings),
                                 allow_on_headers_stop_iteration=True)]  # fmt: skip
    made = build.listener(name, None, filters, response_headers={"x-seen": "%REQ(x-consumer)%"})
    manager_of(made)["local_reply_config"] = {"mappers": [REFUSED]}
    manager_of(made)["forward_client_cert_details"] = "ALWAYS_FORWARD_ONLY"
    return made


def manager_of(made: build.Config) -> build.Config:
    manager: build.Config = made["filter_chains"][0]["filters"][0]["typed_config"]
    return manager


async def ask(envoy: EnvoyProcess, name: str, sent: Sent) -> str:
    """The reason of a refusal; whom the upstream sees where it passes."""
    own = tuple((k, v) for k, v in sent.headers.items() if not k.startswith(":"))
    request = Request(sent.headers.get(":method", "GET"), sent.headers.get(":path", "/"), own,
                      sent.body or b"")  # fmt: skip
    async with HttpConnection(envoy.address(name)) as connection:
        response = await connection.send(request, sent.headers.get(":authority", "localhost"))
    shown = dict(response.headers)
    return shown["x-seen"] if response.status == 200 else shown["x-details"]


def here(host: Host, settings: dict[str, Any], requests: list[Sent]) -> list[str]:
    plugin = host.load("builtin://auth", settings, allow_on_headers_stop_iteration=True)
    return [outcome(plugin.request(one.headers, one.body, PEER), one.body) for one in requests]


def outcome(stream: Stream, body: bytes | None) -> str:
    if stream.local_response is None and stream.waits and body is not None:
        stream.request_body(body)
    if stream.local_response is not None:
        return stream.local_response.details
    return stream.request.headers.get("x-consumer", "-")


@in_one_loop
async def test_what_auth_decides(proxy_wasm: Host) -> None:
    """Each request has the same consumer, or is refused for the same reason."""
    listeners = [listener(name, settings) for name, (settings, _) in ASKED.items()]
    async with EnvoyProcess(build.bootstrap(listeners, []), start_timeout_s=120.0) as envoy:
        there = {name: [await ask(envoy, name, one) for one in requests]
                 for name, (_, requests) in ASKED.items()}  # fmt: skip
    with Host(now=time.time()) as host:
        expected = {name: here(host, *asked) for name, asked in ASKED.items()}
    assert there == expected
    assert expected["signatures"] == [
        "invoices", "signature_replayed", "signature_wrong", "signature_expired", "invoices",
        "signature_content_digest", "signature_replayed", "invoices", "invoices",
    ]  # fmt: skip
    assert [one.partition(":")[0] for one in expected["conditions"]] == [
        "condition_not_evaluated", "carol", "condition_not_evaluated", "carol",
        "condition_not_evaluated", "carol", "carol", "condition_forbidden",
        "condition_not_evaluated", "condition_forbidden", "key",
    ]  # fmt: skip


def certificate(folder: Path, name: str, uri: str | None) -> tuple[Path, Path]:
    """A certificate that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names: list[x509.GeneralName] = [x509.DNSName("localhost")]
    if uri is not None:
        names.insert(0, x509.UniformResourceIdentifier(uri))
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
    return paths


async def over_tls(address: str, trusted: Path, own: tuple[Path, Path] | None) -> bytes:
    context = ssl.create_default_context(cafile=str(trusted))
    context.check_hostname = False
    if own is not None:
        context.load_cert_chain(*own)
    host, _, port = address.rpartition(":")
    async with asyncio.timeout(30.0):
        reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
        writer.write(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n"
                     b"x-forwarded-client-cert: URI=spiffe://mesh/forged\r\n\r\n")  # fmt: skip
        answer = await reader.read()
        writer.close()
    return answer


@in_one_loop
async def test_the_certificate_of_a_connection(tmp_path: Path) -> None:
    """Envoy tells the SPIFFE ID of the peer's certificate, and the consumer is the ID."""
    server = certificate(tmp_path, "server", None)
    uris = ["spiffe://mesh/a", "spiffe://other/a", None]
    peers = {uri: certificate(tmp_path, f"peer{at}", uri) for at, uri in enumerate(uris)}
    authorities = tmp_path / "ca.pem"
    authorities.write_bytes(b"".join(paths[0].read_bytes() for paths in peers.values()))
    config = listener("tls", {"mtls": {"identities": [{"spiffe_id": "spiffe://mesh/*"}]}})
    kind = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
    chain, key = ({"filename": str(path)} for path in server)
    common = {
        "tls_certificates": [{"certificate_chain": chain, "private_key": key}],
        "validation_context": {"trusted_ca": {"filename": str(authorities)}},
    }
    socket = {"name": "tls", "typed_config": {"@type": kind, "common_tls_context": common}}
    config["filter_chains"][0]["transport_socket"] = socket
    async with EnvoyProcess(build.bootstrap([config], []), start_timeout_s=120.0) as envoy:
        seen = [await over_tls(envoy.address("tls"), server[0], peers.get(uri))
                for uri in ("spiffe://mesh/a", "spiffe://other/a", None, "nobody")]  # fmt: skip
    for answer, expected in zip(
        seen,
        [b"x-seen: spiffe://mesh/a", b"x-details: certificate_unknown",
         b"x-details: certificate_missing", b"x-details: certificate_missing"],
        strict=True,
    ):  # fmt: skip
        assert expected in answer


@in_one_loop
async def test_whom_envoy_takes_the_address_of() -> None:
    """Without `use_remote_address`, Envoy itself believes the header, as the page says."""
    configs = []
    for name, use in (("trusting", False), ("edge", True)):
        config = listener(name, {"api_keys": KEYS, "addresses": {"allow": ["10.0.0.0/8"]}})
        manager_of(config)["use_remote_address"] = use
        configs.append(config)
    forged = Sent({**KEY, "x-forwarded-for": "10.1.1.1"})
    async with EnvoyProcess(build.bootstrap(configs, []), start_timeout_s=120.0) as envoy:
        seen = [await ask(envoy, name, forged) for name in ("trusting", "edge")]
    assert seen == ["key", "address_not_allowed"]
