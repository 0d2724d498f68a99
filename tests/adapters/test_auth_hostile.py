"""The auth adapter against those who want to get in, or to keep others out."""

import subprocess
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from mixer.api.admin import OPERATION
from mixer.attributes import Timestamp
from mixer.engine import Decision, Engine
from mixer.proxywasm import LogLevel
from mixer.testing import Host
from tests.adapters.auth_world import compiled
from tests.adapters.signing import signed
from tests.adapters.test_auth_engine import SIGNERS, plugins
from tests.adapters.test_auth_local import MTLS, basic, details, told, user
from tests.adapters.test_auth_waiting import URI, ask, came_of, jwks, opaque
from tests.api.ext_proc.proxy import Proxy
from tests.api.ext_proc.proxy import headers as of_request
from tests.engine.conftest import MakeEngine, Plugins, make_engine, request
from tests.support.identity_provider import FAR, INACTIVE, active, key, token

__all__ = ["compiled", "make_engine", "plugins"]

_ROOT = Path(__file__).parents[2]
UNAVAILABLE = (503, "introspection_unavailable")
SIGNATURES = {"signatures": {"keys": SIGNERS}}
WITHHELD = ("deny", "signature_content_digest")


def test_who_leaves_before_its_turn_leaves_no_answer_behind(proxy_wasm: Host) -> None:
    """What those who waited are told is for nobody after them: the token may end."""
    plugin = proxy_wasm.load("builtin://auth", opaque(cache_duration_seconds=0))
    streams = [ask(plugin, "t") for _ in range(17)]
    proxy_wasm.http_calls[0].respond(*active(exp=FAR))
    (last,) = [stream for stream in streams if stream.waits]
    last.delete()
    again = ask(plugin, "t")
    assert again.waits
    proxy_wasm.http_calls[1].respond(*INACTIVE)
    assert came_of(again) == (401, "token_inactive")


def test_a_callout_that_could_not_be_sent_is_tried_again(proxy_wasm: Host) -> None:
    """Also for the same token, and however many there were."""
    plugin = proxy_wasm.load("builtin://auth", opaque())
    proxy_wasm.fakes.overloaded = True
    assert {came_of(ask(plugin, f"t{n}")) for n in range(300)} == {UNAVAILABLE}
    proxy_wasm.fakes.overloaded = False
    stream = ask(plugin, "t0")
    assert stream.waits
    proxy_wasm.http_calls[-1].respond(*active())
    assert came_of(stream) == (200, "al")


def test_those_who_waited_have_their_passwords_hashed_one_by_one(proxy_wasm: Host) -> None:
    """A callback that hashed them all would take longer than a host allows."""
    users = {"users": [user("al", "pw")], "max_hashes_per_second": 1000}
    plugin = proxy_wasm.load("builtin://auth", opaque(sources=[{"cookie": "t"}]) | {"basic": users})
    streams = [plugin.request({**basic("al:x"), "cookie": "t=1"}) for _ in range(10)]
    proxy_wasm.http_calls[0].respond(*INACTIVE)
    assert sum(not stream.waits for stream in streams) == 1
    proxy_wasm.advance(0.1)
    assert {came_of(stream) for stream in streams} == {(401, "token_inactive")}


def test_a_token_of_another_issuer_is_asked_about_whatever_signs_it(proxy_wasm: Host) -> None:
    """A provider that cannot check it is not the one to refuse it; and only that."""
    plugin = proxy_wasm.load("builtin://auth", jwks() | opaque())
    one = key("k")
    foreign, unsound = (token(one, iss="x"), token(one))
    parts = foreign.split(".")
    parts[0] = "eyJhbGciOiJQUzUxMiJ9"  # {"alg":"PS512"}
    assert ask(plugin, ".".join(parts)).waits
    asked = ["/keys", "/introspect"]
    assert [c.headers[":path"] for c in proxy_wasm.http_calls] == asked
    assert came_of(ask(plugin, f"{unsound}=")) == (401, "token_malformed")
    assert len(proxy_wasm.http_calls) == len(asked)


def test_the_query_of_an_address_is_in_no_log(proxy_wasm: Host) -> None:
    """It may hold a secret."""
    plugin = proxy_wasm.load("builtin://auth", jwks(http_uri=URI | {"uri": "http://id/k?s=s3cret"}))
    ask(plugin, token(key("k")))
    proxy_wasm.http_calls[0].respond(500)
    (line,) = [one for one in plugin.messages(LogLevel.WARN) if one.startswith("auth: ")]
    assert line == "auth: /k of the cluster id: status 500"


def test_a_quote_that_a_client_leaves_open(proxy_wasm: Host) -> None:
    """It turns no text that a proxy quotes, as the subject of a certificate, into an element."""
    config = {"mtls": MTLS | {"forwarded_certificate": {"trusted_hops": 1}}}
    plugin = proxy_wasm.load("builtin://auth", config)
    own = r'Hash=1;Subject="CN=x,URI=spiffe://mesh/ns/shop/sa/a,DNS=\"c";URI=spiffe://mesh/b;DNS=""'
    headers = [("x-forwarded-client-cert", one) for one in ('X="', own)]
    assert details(plugin.request(headers)) == "certificate_identity"
    assert told(plugin, dict([headers[1]])) == "certificate_unknown"


def engine_of(make_engine: MakeEngine, plugins: Plugins) -> Engine:
    return make_engine(plugins.document("auth", url="builtin://auth", pluginConfig=SIGNATURES))


def decided(engine: Engine, headers: dict[str, str], **more: Any) -> tuple[str, str | None]:
    fields = {name: value for name, value in headers.items() if name != ":path"}  # it is there
    decision = engine.decide(request(*fields.items(), **more))
    assert isinstance(decision, Decision)
    return decision.verdict.value, decision.reason


def test_a_body_that_is_not_shown(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Over ext_authz without bodies a request with one does not pass, whatever is signed."""
    engine = engine_of(make_engine, plugins)
    now = int(time.time())
    for body in (b"", b"changed"):
        headers = signed(now, f"n{body.hex()}", target="/", method="POST", body=body)
        headers["content-length"] = "7"
        assert decided(engine, headers, has_body=True) == WITHHELD
    chunked = signed(now, "chunked", target="/", method="POST", body=b"")
    assert decided(engine, {**chunked, "transfer-encoding": "chunked"}) == WITHHELD
    shown = signed(now, "shown", target="/", method="POST", body=b"changed")
    assert decided(engine, {**shown, "content-length": "7"}, body=b"changed") == ("allow", "")


@pytest.mark.parametrize(
    ("mode", "override"), [("NONE", False), ("NONE", True), ("STREAMED", False)]
)
def test_a_body_that_ext_proc_does_not_send(
    make_engine: MakeEngine, plugins: Plugins, mode: str, *, override: bool
) -> None:
    """Where the filter sends none, the headers do not go on; where it does, they do."""
    proxy = Proxy(engine_of(make_engine, plugins), mode, may_override=override)
    fields = signed(int(time.time()), target="/", method="POST", body=b"changed")
    content = of_request((*fields.items(), (":scheme", "http")), end=False)
    (answer,) = proxy.send(proxy.message(request_headers=content))
    refused = answer.immediate_response.details
    assert refused == ("signature_content_digest" if (mode, override) == ("NONE", False) else "")


def test_to_explain_a_request_does_not_use_it_up(make_engine: MakeEngine, plugins: Plugins) -> None:
    """It can still be sent, once."""
    engine = engine_of(make_engine, plugins)
    headers = signed(int(time.time()), target="/")
    fields = [(n, v) for n, v in headers.items() if n != ":path"]

    def explained() -> tuple[str, str | None]:
        attributes = {"mixer.operation": OPERATION}
        decision = engine.explain(request(*fields, attributes=attributes))
        assert isinstance(decision, Decision)
        return decision.verdict.value, decision.reason

    assert [explained(), explained(), decided(engine, headers)] == [("allow", "")] * 3
    replayed = ("deny", "signature_replayed")
    assert [explained(), decided(engine, headers)] == [replayed] * 2


def test_a_condition_on_the_time_of_a_request(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A decision by it is not kept."""
    rules = [{"when": 'request.time < timestamp("2030-01-01T00:00:00Z")'}]
    config = {"basic": {"users": [user("al", "pw")]}, "rules": rules}
    config["validity"] = {"duration_seconds": 60}
    engine = make_engine(plugins.document("auth", url="builtin://auth", pluginConfig=config))
    for year, expected in [(2027, "allow"), (2031, "deny")]:
        at = {"request.time": Timestamp(int(datetime(year, 1, 1, tzinfo=UTC).timestamp() * 10**9))}
        decision = engine.decide(request(*basic("al:pw").items(), attributes=at))
        assert isinstance(decision, Decision)
        assert decision.verdict.value == expected, decision.reason


def test_nonces_hold_for_all_processes(tmp_path: Path, compiled: Path) -> None:
    """Of the same request sent to two services over one LMDB, one passes, each time."""
    plugin = {
        "apiVersion": "extensions.istio.io/v1alpha1",
        "kind": "WasmPlugin",
        "metadata": {"name": "auth"},
        "spec": {"url": "builtin://auth", "pluginConfig": SIGNATURES},
    }
    service = {
        "apiVersion": "mixer.dev/v1alpha1",
        "kind": "Mixer",
        "metadata": {"name": "m"},
        "spec": {
            "compileCache": {"directory": str(compiled / "cache")},
            "state": {"store": {"lmdb": {"path": "./state"}}},
        },
    }
    path = tmp_path / "m.yaml"
    path.write_text(yaml.safe_dump_all([service, plugin]))
    now = str(int(time.time()))
    command = [sys.executable, "-m", "tests.adapters.hammer_signed", str(path), now]
    with ExitStack() as stack:
        others = [stack.enter_context(subprocess.Popen(
            [*command, "100"], cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )) for _ in range(2)]  # fmt: skip
        for other in others:
            assert other.stdout
            assert other.stdout.readline() == "ready\n"
        for other in others:
            assert other.stdin
            other.stdin.write("go\n")
            other.stdin.flush()
        answers = [other.communicate(timeout=60)[0].split() for other in others]
    pairs = [{one, two} for one, two in zip(*answers, strict=True)]
    assert pairs == [{"allow", "signature_replayed"}] * 100
