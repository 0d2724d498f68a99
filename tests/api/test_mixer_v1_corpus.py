"""The same requests, asked as Envoy's ext_authz asks and as a proxy of Istio 1.x does."""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import pytest
import wasmtime
import yaml
from envoy.service.auth.v3 import external_auth_pb2

from mixer.api import ext_authz, mixer_v1
from mixer.attributes import Timestamp, Value
from mixer.config import loads
from mixer.demo.configuration import auth_configuration
from mixer.demo.credentials import new_credentials
from mixer.engine import Decision, Engine, Request
from mixer.wire import mixer_v1_pb2 as pb
from tests.api.mixer_calls import asked_by, check_bytes
from tests.support import adapters as do

CREDENTIALS = new_credentials()
PRINCIPAL = "cluster.local/ns/a/sa/b"
SOURCE, DESTINATION, PORT = "10.0.0.1", "10.0.0.2", 8080


@dataclass(frozen=True)
class Sent:
    """A request, as a client sent it to a proxy."""

    path: str = "/"
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)

    def every_header(self) -> dict[str, str]:
        pseudo = {":method": self.method, ":path": self.path, ":authority": "shop"}
        return {**pseudo, ":scheme": "https", **self.headers}


@dataclass(frozen=True)
class Outcome:
    """What a proxy makes of an answer.

    Attributes:
        allowed: Whether the request goes on.
        upstream: Headers of the request that were changed, None for removed ones.
        downstream: Headers that are added to the response, or those of the local one.
        status: Of a local response.
        body: Likewise.
    """

    allowed: bool
    upstream: dict[str, str | None]
    downstream: list[tuple[str, str]]
    status: int = 0
    body: str = ""


AUTH = {
    "url": "builtin://auth",
    "pluginConfig": auth_configuration(CREDENTIALS),
}


def module(*steps: do.Step, **callbacks: tuple[do.Step, ...]) -> str:
    return do.adapter(*steps, **callbacks)


MODULES = {
    "adds": module(do.add("x-a", "1"), do.add("x-a", "2"), do.add("x-b", "3")),
    "replaces": module(do.replace("x-a", "1"), do.replace("user-agent", "none")),
    "removes": module(do.remove("x-a"), do.remove("cookie"), do.remove("x-absent")),
    "rewrites": module(do.replace(":path", "/new"), do.replace(":authority", "other")),
    "removes-method": module(do.remove(":method")),
    "denies": module(do.deny(403, "no", "denied")),
    "teapot": module(do.deny(418, "teapot")),
    "answers": module(do.deny(200, "maintenance")),
    "moved": module(do.deny(302), response_headers=(do.add_to_response("location", "/login"),)),
    "cookies": module(
        do.deny(401),
        response_headers=(
            do.add_to_response("set-cookie", "a=1"),
            do.add_to_response("set-cookie", "b=2"),
        ),
    ),
    "no-status": module(do.deny(700, "?")),
    "traps": module(do.when("x-a", do.trap)),
    "response": module(do.set_property("mixer.response_header.x-r", "1")),
    "binary": module(do.add("x-a", "1\r\nx-b: 2")),
    "by-path": module(do.where_property("request\0path", "/a?x=1", do.deny(404))),
    "by-url-path": module(do.where_property("request\0url_path", "/a", do.deny(404))),
    "by-host": module(do.where_property("request\0host", "shop", do.deny(404))),
    "by-method": module(do.where_property("request\0method", "POST", do.deny(405))),
    "by-header": module(do.where_property("request\0headers\0x-a", "1", do.deny(404))),
    "by-agent": module(do.where_property("request\0useragent", "curl", do.deny(404))),
    "by-mtls": module(do.where_property("connection\0mtls", b"\1", do.deny(403))),
    "by-server-name": module(
        do.where_property("connection\0requested_server_name", "sni", do.deny(404))
    ),
    "by-port": module(
        do.where_property("destination\0port", PORT.to_bytes(8, "little"), do.deny(404))
    ),
    "by-destination": module(
        do.where_property("destination\0address", f"{DESTINATION}:{PORT}", do.deny(404))
    ),
    "by-label": module(do.where_property("source\0labels\0app", "shop", do.deny(404))),
    "by-principal": module(
        do.where_property("source\0principal", f"spiffe://{PRINCIPAL}", do.deny(404))
    ),
    "by-san": module(
        do.where_property(
            "connection\0uri_san_peer_certificate", f"spiffe://{PRINCIPAL}", do.deny(404)
        )
    ),
    "by-istio-path": module(
        do.where_property("mixer\0attribute\0request.path", "/a?x=1", do.deny(404))
    ),
    "by-istio-ip": module(
        do.where_property(
            "mixer\0attribute\0source.ip", ipaddress.ip_address(SOURCE).packed, do.deny(404)
        )
    ),
    "by-istio-principal": module(
        do.where_property("mixer\0attribute\0source.principal", PRINCIPAL, do.deny(404))
    ),
    "by-istio-query": module(
        do.where_property("mixer\0attribute\0request.query_params\0x", "1", do.deny(404))
    ),
    "by-istio-protocol": module(
        do.where_property("mixer\0attribute\0context.protocol", "grpc", do.deny(404))
    ),
    "waits-for-a-body": module(do.answer(1), request_body=(do.deny(400),)),
}

REQUESTS = [
    Sent(),
    Sent("/a?x=1"),
    Sent("/a?x=1", "POST", {"content-length": "5", "x-a": "1"}),
    Sent("/a", headers={"x-a": "1", "cookie": "c=1", "user-agent": "curl"}),
    Sent("/b", headers={"content-type": "application/grpc"}),
]

CREDENTIALED = [
    Sent(path, method, headers)
    for (path, method), headers in product(
        [("/orders", "GET"), ("/health", "GET"), ("/internal/x", "GET"), ("/accounts/1", "POST"),
         ("/a;b", "GET")],
        [
            {},
            {"x-api-key": CREDENTIALS.api_key},
            {"x-api-key": CREDENTIALS.wrong_api_key},
            {"authorization": f"Bearer {CREDENTIALS.token}", "x-email": "forged@example.org"},
            {"authorization": f"Bearer {CREDENTIALS.expired_token}"},
            {"authorization": f"Bearer {CREDENTIALS.forged_token}", "x-consumer": "admin"},
        ],
    )
]  # fmt: skip
CREDENTIALED += [Sent(f"/orders?key={CREDENTIALS.api_key}&x=1")]


def as_ext_authz(sent: Sent) -> bytes:
    message = external_auth_pb2.CheckRequest()
    context = message.attributes
    http = context.request.http
    http.method, http.path, http.host, http.scheme = sent.method, sent.path, "shop", "https"
    http.headers.update(sent.every_header())
    context.source.address.socket_address.address = SOURCE
    context.destination.address.socket_address.address = DESTINATION
    context.destination.address.socket_address.port_value = PORT
    context.source.principal = f"spiffe://{PRINCIPAL}"
    context.source.labels["app"] = "shop"
    context.tls_session.sni = "sni"
    context.request.time.seconds = 12
    return bytes(message.SerializeToString())


def as_check(sent: Sent) -> bytes:
    """As Istio's proxy extracts it: see its attributes builder."""
    path, _, query = sent.path.partition("?")
    attributes: dict[str, Value] = {
        "request.headers": sent.every_header(),
        "request.host": "shop",
        "request.method": sent.method,
        "request.path": sent.path,
        "request.scheme": "https",
        "request.url_path": path,
        "request.time": Timestamp(12_000_000_000),
        "origin.ip": ipaddress.ip_address(f"::ffff:{SOURCE}").packed,
        "source.ip": ipaddress.ip_address(SOURCE).packed,
        "destination.ip": ipaddress.ip_address(DESTINATION).packed,
        "destination.port": PORT,
        "source.principal": PRINCIPAL,
        "source.labels": {"app": "shop"},
        "connection.mtls": True,
        "connection.requested_server_name": "sni",
        "context.protocol": "grpc" if "content-type" in sent.headers else "http",
    }
    if query:
        attributes["request.query_params"] = dict(
            part.partition("=")[::2] for part in query.split("&")
        )
    if "user-agent" in sent.headers:
        attributes["request.useragent"] = sent.headers["user-agent"]
    return check_bytes(attributes)


def ask_ext_authz(engine: Engine, sent: Sent) -> Outcome:
    request = ext_authz.decode(as_ext_authz(sent))
    assert isinstance(request, Request)
    decision = engine.decide(request)
    assert isinstance(decision, Decision)
    answer = external_auth_pb2.CheckResponse.FromString(ext_authz.encode(decision))
    if answer.HasField("denied_response"):
        denied = answer.denied_response
        headers = [(one.header.key, one.header.value) for one in denied.headers]
        return Outcome(False, {}, headers, denied.status.code, denied.body)
    ok = answer.ok_response
    changed: dict[str, str | None] = {o.header.key: o.header.value for o in ok.headers}
    changed |= dict.fromkeys(ok.headers_to_remove)
    added = [(one.header.key, one.header.value) for one in ok.response_headers_to_add]
    return Outcome(answer.status.code == 0, changed, added)


def ask_mixer(engine: Engine, sent: Sent) -> Outcome:
    check = mixer_v1.decode_check(as_check(sent), engine.admission, asked_by)
    question = check.question()
    decision = engine.decide(question.request)
    assert isinstance(decision, Decision)
    data = mixer_v1.encode_check(check, question, decision)
    answer = pb.CheckResponse.FromString(data).precondition
    directive = answer.route_directive
    added = [(one.name, one.value) for one in directive.response_header_operations]
    status, body = directive.direct_response_code, directive.direct_response_body
    allowed = answer.status.code == 0
    assert allowed == (status == 0)
    return Outcome(allowed, dict(changes(directive)), added, status, body)


def changes(directive: pb.RouteDirective) -> Iterator[tuple[str, str | None]]:
    """What the operations make of each header, as Istio's proxy makes them."""
    values: dict[str, list[str]] = {}
    for one in directive.request_header_operations:
        if one.operation != pb.HeaderOperation.APPEND:
            values[one.name] = []
        if one.operation != pb.HeaderOperation.REMOVE:
            values[one.name].append(one.value)
    for name, all_values in values.items():
        separator = "; " if name == "cookie" else ","
        yield name, separator.join(all_values) if all_values else None


def engine_of(folder: Path, spec: dict[str, object]) -> Engine:
    documents = [
        {
            "apiVersion": "mixer.dev/v1alpha1",
            "kind": "Mixer",
            "metadata": {"name": "corpus"},
            "spec": {"compileCache": {"directory": str(folder / "cache")}},
        },
        {
            "apiVersion": "extensions.istio.io/v1alpha1",
            "kind": "WasmPlugin",
            "metadata": {"name": "adapter"},
            "spec": spec,
        },
    ]
    return Engine(loads(yaml.safe_dump_all(documents), base=folder))


def assert_same(engine: Engine, requests: list[Sent]) -> list[Outcome]:
    outcomes = []
    with engine:
        assert not engine.broken
        for sent in requests:
            outcomes.append(ask_mixer(engine, sent))
            assert outcomes[-1] == ask_ext_authz(engine, sent), sent
    return outcomes


def test_auth(tmp_path: Path) -> None:
    """Keys and tokens of all kinds, rules, and forged headers: the same answers in both."""
    outcomes = assert_same(engine_of(tmp_path, AUTH), CREDENTIALED)
    assert {one.status for one in outcomes} == {0, 400, 401, 403}
    assert any(one.upstream.get("x-email") for one in outcomes)


@pytest.mark.parametrize("name", MODULES)
def test_modules(name: str, tmp_path: Path) -> None:
    """What a module reads and changes is the same in both."""
    (tmp_path / "module.wasm").write_bytes(wasmtime.wat2wasm(MODULES[name]))
    outcomes = assert_same(engine_of(tmp_path, {"url": "./module.wasm"}), REQUESTS)
    said = [one for one in outcomes if one != Outcome(True, {}, [])]
    assert said, "the module has done nothing"
