"""Foreign functions: the same statuses and results in Envoy's Wasm filter and here."""

import asyncio
import zlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from mixer.proxywasm.foreign.messages import (
    DeclarePropertyArguments,
    SetEnvoyFilterStateArguments,
    SignArguments,
    VerifySignatureArguments,
)
from tests.differential.exchange import Message, Scenario, Seen, through_envoy, through_the_runner
from tests.differential.scripted_exchange import (
    Step,
    evaluated,
    foreign,
    foreign_at,
    module_text,
    put,
    raw,
)

BAD = 0x7FFF_0000
HELLO = b"hello" * 10
SMALL = zlib.compress(HELLO)
EMPTY = zlib.compress(b"")


def token(number: int) -> bytes:
    return number.to_bytes(4, "little")


COMPRESSION = [
    *(foreign("compress", text) for text in (b"", b"a" * 50, HELLO)),
    *(
        foreign("uncompress", data)
        for data in (
            SMALL, EMPTY, SMALL + b"more", SMALL[:-1], SMALL[:5], b"junk", b"", b"\x78",
            SMALL[:-4] + b"0000", zlib.compress(b"one") + zlib.compress(b"two"),
            zlib.compress(b"x" * 20_000)[:-2],
        )
    ),
    foreign("uncompress", zlib.compress(b"x" * 20_000), told=False),
    *(foreign("clear_route_cache", data) for data in (b"", b"x")),
    *(foreign(name) for name in ("nonesuch", "", "compress\0", "resolve_lua", "x" * 300)),
]  # fmt: skip
POINTERS = [
    foreign_at(name, argument, data, size)
    for name, argument in (
        ("compress", b"a"), ("uncompress", b"a"), ("uncompress", EMPTY), ("nonesuch", b""),
        ("clear_route_cache", b""),
    )
    for data in (0, 8, BAD)
    for size in (0, 12, BAD)
]  # fmt: skip
EXPRESSIONS = {
    "request_headers": [
        foreign("expr_create", b"request.path"),
        foreign("expr_create", b"response.code"),
        *(foreign("expr_evaluate", t) for t in (token(0), token(1), token(2), b"", b"12345")),
        *(foreign("expr_delete", t) for t in (b"", token(9), token(0), token(0))),
        foreign("expr_evaluate", token(0)),
        *(foreign("expr_create", text) for text in (b"1", b"(", b"nonesuch(1)", b"\xff", b"2")),
    ],
    "request_body": [foreign("expr_create", b"request.path"), foreign("expr_evaluate", token(4))],
    "response_headers": [foreign("expr_evaluate", token(n)) for n in (0, 1, 2, 3, 4)],
    "log": [foreign("expr_evaluate", token(n)) for n in (1, 4)],
    "delete": [foreign("expr_evaluate", token(n)) for n in (1, 4)],
}


def state(path: str, value: str = "", span: int = 0) -> Step:
    arguments = SetEnvoyFilterStateArguments(path=path, value=value, span=span)
    return foreign("set_envoy_filter_state", arguments.SerializeToString(), f"{path}={value}")


OBJECTS = {
    "envoy.string": ("text", ""),
    "envoy.network.upstream_server_name": ("a.example", ""),
    "envoy.network.upstream_subject_alt_names": ("a,b", ""),
    "envoy.network.application_protocols": ("h2,http/1.1", ""),
    "envoy.network.ip": ("1.2.3.4", "::1", "junk", ""),
    "envoy.ratelimit.hits_addend": ("7", "4294967295", "seven", "-1", ""),
    "envoy.tcp_proxy.cluster": ("cluster", ""),
    "envoy.upstream.dynamic_host": ("a.example", ""),
    "envoy.upstream.dynamic_port": ("80", "port", "70000"),
    "nonesuch": ("x",),
    "wasm.x": ("x",),
}
FILTER_STATE = {
    "request_headers": [
        foreign("set_envoy_filter_state"),
        foreign("set_envoy_filter_state", b"\xff\xff"),
        foreign("set_envoy_filter_state", b"\x0a\x01\xff"),
        *(
            step
            for path, values in OBJECTS.items()
            for value in values
            for step in (state(path, value), raw("filter_state", path))
        ),
        state("envoy.string", "last", span=2),
        evaluated("filter_state['envoy.string'] == b'last'"),
        evaluated("has(filter_state.nonesuch)"),
    ],
    "log": [raw("filter_state", "envoy.string"), state("envoy.string", "at the log")],
    "delete": [raw("filter_state", "envoy.string"), state("envoy.string", "at the end")],
}


def declare(
    name: str, kind: int = 0, *, schema: str = "", once: bool = False, span: int = 0
) -> Step:
    arguments = DeclarePropertyArguments(
        name=name, type=kind, schema=schema.encode(), readonly=once, span=span
    )
    return foreign("declare_property", arguments.SerializeToString(), name)


TYPE = "type.googleapis.com/"
STRUCT = b"\x0a\x08\x0a\x01k\x12\x03\x1a\x01v"
DECLARED = {
    "configure": [
        declare("once", 1, once=True),
        declare("string", 1),
        declare("bytes"),
        declare("value", 3, schema=f"{TYPE}google.protobuf.StringValue"),
        declare("struct", 3, schema=f"{TYPE}google.protobuf.Struct"),
        declare("mask", 3, schema=f"{TYPE}google.protobuf.FieldMask"),
        declare("nonesuch", 3, schema=f"{TYPE}no.such.Type"),
        declare("flat", 2, schema="junk"),
        declare("odd", 9),
        declare("conn", 1, span=2),
        declare("a\0b", once=True),
        declare("plugin_name", 1, once=True),
    ],
    "request_headers": [
        foreign("declare_property"), foreign("declare_property"),
        foreign("declare_property", b"\xff\xff\xff"),
        declare("in the stream", once=True), declare("in the stream"),
        put(b"1", "in the stream"), put(b"2", "in the stream"),
        declare("once"), put(b"1", "once"), raw("once"), put(b"2", "once"), raw("once"),
        raw("filter_state", "wasm.once"), evaluated("once + '2'"),
        put(b"abc", "string"), raw("string"), raw("string", "x"), evaluated("string + 'x'"),
        evaluated("filter_state['wasm.string']"), put(b"def", "string"), raw("string"),
        put(b"abc", "bytes"), raw("bytes"), evaluated("bytes == b'abc'"), evaluated("bytes"),
        raw("value"), put(b"\x0a\x02hi", "value"), raw("value"), raw("value", "value"),
        raw("filter_state", "wasm.value"), evaluated("value + 'x'"),
        put(b"\xff\xff", "value"), raw("value"), raw("value", "value"), evaluated("value"),
        put(STRUCT, "struct"), raw("struct"), raw("struct", "k"), raw("struct", "fields"),
        raw("filter_state", "wasm.struct", "k"), evaluated("struct.k"), evaluated("struct"),
        put(b"\x0a\x01a\x0a\x01b", "mask"), raw("mask"), raw("mask", "paths"),
        *(raw("mask", "paths", at) for at in ("0", "1", "2", "-1", "+1", " 1", "x", "")),
        raw("mask", "nonesuch"), evaluated("mask.paths[1]"), evaluated("mask"),
        evaluated("has(mask.paths)"), evaluated("mask.nonesuch"), evaluated("has(mask.nonesuch)"),
        put(b"xx", "nonesuch"), raw("nonesuch"), raw("nonesuch", "a"), evaluated("nonesuch"),
        put(b"xx", "odd"), raw("odd"), put(b"c", "conn"), raw("conn"),
        put(b"1", "a\0b"), put(b"2", "a\0b"), raw("a", "b"), raw("filter_state", "wasm.a\0b"),
        put(b"1", "plugin_name"), put(b"2", "plugin_name"), raw("plugin_name"),
        put(b"q", "request"), raw("request"), raw("filter_state", "wasm.request"),
        put(b"", "nothing"), raw("nothing"), put(b"e", ""), raw(""), raw("", "x"),
        raw("filter_state", "wasm."), put(b"d", "p.q"), raw("p.q"), raw("p", "q"),
        put(b"r", "route_name"), raw("route_name"),
        *(put(b"1", key) for key in (
            "clear_route_cache", "set_decoder_buffer_limit", "set_encoder_buffer_limit",
            "wasm_need_rebuild", "custom_log", "ai_log", "trace_span_tag.k",
        )),
        raw("wasm_need_rebuild"), raw("trace_span_tag.k"),
    ],
    "response_headers": [raw("once"), put(b"3", "once"), raw("custom_log")],
    "log": [put(b"3", "string"), raw("string"), raw("ai_log")],
    "delete": [put(b"4", "string"), raw("string"), put(b"3", "once")],
}  # fmt: skip

RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
TEXT = b"text"
SIGNED = RSA.sign(TEXT, padding.PKCS1v15(), hashes.SHA256())
EC_SIGNED = EC.sign(TEXT, ec.ECDSA(hashes.SHA256()))
PSS = RSA.sign(TEXT, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def public(
    key: PrivateKey, form: PublicFormat = PublicFormat.SubjectPublicKeyInfo, *, pem: bool = False
) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM if pem else Encoding.DER, form)


def private(
    key: PrivateKey, form: PrivateFormat = PrivateFormat.PKCS8, *, pem: bool = False
) -> bytes:
    return key.private_bytes(Encoding.PEM if pem else Encoding.DER, form, NoEncryption())


def verify(
    key: bytes = b"", signature: bytes = SIGNED, text: bytes = TEXT, *,
    digest: str = "sha256", pem: bytes = b"",
) -> Step:  # fmt: skip
    arguments = VerifySignatureArguments(
        hash_function=digest, public_key=key, signature=signature, text=text,
        public_key_pem=pem.decode(),
    )  # fmt: skip
    return foreign("verify_signature", arguments.SerializeToString(), digest)


def sign(key: bytes = b"", *, digest: str = "sha256", pem: bytes = b"", told: bool = True) -> Step:
    arguments = SignArguments(
        hash_function=digest, private_key=key, text=TEXT, private_key_pem=pem.decode()
    )
    return foreign("sign", arguments.SerializeToString(), digest, told=told)


VERIFICATION = [
    foreign("verify_signature"),
    foreign("verify_signature", b"\xff"),
    verify(public(RSA)),
    verify(public(RSA) + b"more"),
    verify(pem=public(RSA, pem=True)),
    verify(public(RSA), pem=public(RSA, pem=True)),
    verify(public(RSA), SIGNED[:-1]),
    verify(public(RSA), b""),
    verify(public(RSA), PSS),
    verify(public(RSA), text=b"another"),
    verify(public(RSA), digest="SHA256"),
    verify(public(RSA), digest="sha1"),
    verify(public(RSA), digest="md5"),
    verify(public(RSA), digest=""),
    *(
        verify(public(RSA), RSA.sign(TEXT, padding.PKCS1v15(), algorithm), digest=algorithm.name)
        for algorithm in (hashes.SHA1(), hashes.SHA224(), hashes.SHA384(), hashes.SHA512())
    ),
    verify(b"junk"),
    verify(b"junk", digest="md5"),
    verify(pem=b"junk"),
    verify(public(RSA, PublicFormat.PKCS1)),
    verify(pem=public(RSA, PublicFormat.PKCS1, pem=True)),
    verify(private(RSA)),
    verify(pem=private(RSA, pem=True)),
    verify(public(EC), EC_SIGNED),
    verify(public(EC), b"junk"),
    verify(public(EC), SIGNED),
    verify(
        public(ED, PublicFormat.SubjectPublicKeyInfo), ED.sign(TEXT)
    ),
]  # fmt: skip
SIGNING = [
    foreign("sign"),
    foreign("sign", b"\xff\xff"),
    *(sign(private(RSA), digest=d) for d in ("sha1", "sha224", "sha256", "sha384", "sha512")),
    sign(private(RSA), digest="md5"),
    sign(private(RSA) + b"more"),
    sign(private(RSA, PrivateFormat.TraditionalOpenSSL)),
    sign(pem=private(RSA, pem=True)),
    sign(pem=private(RSA, PrivateFormat.TraditionalOpenSSL, pem=True)),
    sign(private(RSA), pem=private(RSA, pem=True)),
    sign(private(EC), told=False),
    sign(private(EC, PrivateFormat.TraditionalOpenSSL)),
    sign(private(ED)),
    sign(b"junk"),
    sign(b"junk", digest="md5"),
    sign(pem=b"junk"),
    sign(public(RSA)),
]

SCENARIOS = {
    "compression": Scenario({"request_headers": COMPRESSION}),
    "pointers": Scenario({"request_headers": POINTERS}),
    "expressions": Scenario(EXPRESSIONS, request=Message((b"body",))),
    "filter-state": Scenario(FILTER_STATE),
    "declared": Scenario(DECLARED),
    "verification": Scenario({"request_headers": VERIFICATION}),
    "signing": Scenario({"request_headers": SIGNING}),
}


@pytest.fixture(scope="module")
def in_envoy(envoy: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    """Every scenario in Envoy's own filter."""
    return asyncio.run(through_envoy(SCENARIOS, tmp_path_factory.mktemp("foreign")))


@pytest.mark.parametrize("name", SCENARIOS)
def test_foreign_functions(name: str, in_envoy: dict[str, Seen]) -> None:
    """The module logs the same statuses, results and properties; this host adds why."""
    lines = through_the_runner(SCENARIOS[name], name).lines
    its_own = [line for line in lines if not line.startswith("expr_create answers BAD_ARGUMENT: ")]
    assert its_own == in_envoy[name].lines


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_texts_of_a_scenario_fit(name: str) -> None:
    """What the module says does not reach into the memory that it allocates."""
    from tests.support.compile import wasm

    assert len(wasm(module_text(SCENARIOS[name].script))) < 64 * 1024
