"""The adapter auth and its callouts, one by one: who waits, who is told, and what is sent."""

import json
from typing import Any

import pytest

from mixer.proxywasm import LogLevel, Outcome
from mixer.testing import Host, Plugin, Stream
from tests.support.identity_provider import FAR, INACTIVE, active, key, key_set, token

K1, K2 = key("k1"), key("k2")
URI = {"uri": "https://id.example.com/keys", "cluster": "id", "timeout_seconds": 2}
UNAVAILABLE = (503, "jwks_unavailable")


def jwks(**more: Any) -> dict[str, Any]:
    """A configuration with one provider whose keys are fetched."""
    remote = {"http_uri": URI, "cache_duration_seconds": 100, "stale_duration_seconds": 50}
    provider = {"issuer": "i", "audiences": ["*"], "remote_jwks": {**remote, **more}}
    return {"jwt": {"providers": [provider]}}


def opaque(**more: Any) -> dict[str, Any]:
    """A configuration that asks about tokens."""
    uri = {**URI, "uri": "https://id.example.com/introspect"}
    credentials = {"client_id": "mixer", "client_secret": "s3cret"}
    return {"introspection": {"http_uri": uri, "audiences": ["shop"], **credentials, **more}}


def ask(plugin: Plugin, bearer: str, **more: str) -> Stream:
    """Begin a request with a token."""
    return plugin.request({"authorization": f"Bearer {bearer}", **more})


def came_of(stream: Stream) -> tuple[int, str]:
    """The consumer of a request that went on, or the reason of its refusal."""
    if stream.local_response is not None:
        return stream.local_response.status, stream.local_response.details
    assert stream.outcome is Outcome.CONTINUE, stream.outcome
    return 200, stream.request.headers.get("x-consumer", "")


def test_requests_wait_for_one_fetch(proxy_wasm: Host) -> None:
    """Those that come without keys share a fetch, and each has its own outcome."""
    plugin = proxy_wasm.load("builtin://auth", jwks())
    streams = [ask(plugin, token(one)) for one in (K1, K2, K1)]
    assert all(stream.waits for stream in streams)
    (call,) = proxy_wasm.http_calls
    assert (call.call.cluster, call.call.timeout) == ("id", 2.0)
    assert call.headers == {
        ":method": "GET", ":scheme": "https", ":authority": "id.example.com", ":path": "/keys",
        "accept": "application/jwk-set+json, application/json",
    }  # fmt: skip
    call.respond(*key_set(K1))
    assert [came_of(streams[n]) for n in (0, 2)] == [(200, "al")] * 2
    assert streams[1].waits, "its key may be newer than the set"
    proxy_wasm.http_calls[1].respond(*key_set(K1))
    assert came_of(streams[1]) == (401, "token_key")
    assert came_of(ask(plugin, token(K1))) == (200, "al")
    assert len(proxy_wasm.http_calls) == 2


def test_the_set_is_fetched_before_anyone_asks_and_before_it_ends(proxy_wasm: Host) -> None:
    """The tick of the root sees to it, so that nobody waits."""
    plugin = proxy_wasm.load("builtin://auth", jwks())
    proxy_wasm.advance(1.5)
    proxy_wasm.http_calls[0].respond(*key_set(K1))
    proxy_wasm.advance(88)
    assert len(proxy_wasm.http_calls) == 1
    proxy_wasm.advance(3)
    assert len(proxy_wasm.http_calls) == 2
    assert came_of(ask(plugin, token(K1))) == (200, "al")
    proxy_wasm.http_calls[1].respond(*key_set(K2))
    assert came_of(ask(plugin, token(K2))) == (200, "al")
    assert ask(plugin, token(K1)).waits


@pytest.mark.parametrize("ending", ["abort", "503", "unknown", "overloaded"])
def test_nobody_gets_in_without_keys(ending: str) -> None:
    """Whatever becomes of the fetch, the answer is 503 with its reason, and none follows soon."""
    with Host(clusters=["other"] if ending == "unknown" else None) as host:
        plugin = host.load("builtin://auth", jwks())
        host.fakes.overloaded = ending == "overloaded"
        stream = ask(plugin, token(K1))
        if ending in ("abort", "503"):
            assert stream.waits
            (call,) = host.http_calls
            call.abort() if ending == "abort" else call.respond(503, "upstream connect error")
        assert came_of(stream) == UNAVAILABLE
        assert came_of(ask(plugin, token(K1))) == UNAVAILABLE
        assert len(host.http_calls) == (1 if ending in ("abort", "503") else 0)
        assert stream.local_response is not None
        assert json.loads(stream.local_response.body)["error"] == "temporarily_unavailable"
        (told,) = [one for one in plugin.messages(LogLevel.WARN) if one.startswith("auth: ")]
        assert told.startswith("auth: /keys of the cluster id: ")


def test_who_is_gone_is_not_waited_for(proxy_wasm: Host) -> None:
    """The fetch that a request began is for the others, too, where that request is gone."""
    plugin = proxy_wasm.load("builtin://auth", jwks())
    first, second = ask(plugin, token(K1)), ask(plugin, token(K1))
    first.delete()
    proxy_wasm.http_calls[0].respond(*key_set(K1))
    assert came_of(second) == (200, "al")
    assert plugin.failure is None


def test_more_wait_than_one_callback_decides(proxy_wasm: Host) -> None:
    """The others have their turn in the ticks that follow, which then slow down again."""
    plugin = proxy_wasm.load("builtin://auth", jwks())
    streams = [ask(plugin, token(K1)) for _ in range(100)]
    proxy_wasm.http_calls[0].respond(*key_set(K1))
    assert {stream.waits for stream in streams} == {True, False}
    streams[99].delete()
    proxy_wasm.advance(0.1)
    assert [came_of(stream) for stream in streams[:99]] == [(200, "al")] * 99
    assert len(proxy_wasm.http_calls) == 1


@pytest.mark.parametrize("config", [jwks(), opaque()], ids=["jwks", "introspection"])
def test_a_body_does_not_take_waiting_headers_along(
    proxy_wasm: Host, config: dict[str, Any]
) -> None:
    """With Envoy's ``allow_on_headers_stop_iteration`` the body is held as well."""
    plugin = proxy_wasm.load("builtin://auth", config, allow_on_headers_stop_iteration=True)
    stream = plugin.stream()
    headers = {":method": "POST", "authorization": f"Bearer {token(K1)}"}
    assert stream.request_headers(headers, end_of_stream=False) is not Outcome.CONTINUE
    assert stream.request_body("one", end_of_stream=False) is not Outcome.CONTINUE
    assert stream.request_body("two", end_of_stream=True) is not Outcome.CONTINUE
    assert stream.passed_request_body == b""
    proxy_wasm.http_calls[0].respond(503)
    assert stream.local_response is not None
    assert stream.outcome is Outcome.RESPOND


def test_an_anonymous_rule_waits_for_who_it_is(proxy_wasm: Host) -> None:
    """Where anyone may pass, a token that cannot be checked counts as none, but is not trusted."""
    config = {**jwks(), "default": "allow"}
    plugin = proxy_wasm.load("builtin://auth", config)
    stream = ask(plugin, token(K1), **{"x-consumer": "forged"})
    assert stream.waits
    proxy_wasm.http_calls[0].respond(500)
    assert came_of(stream) == (200, "")
    proxy_wasm.advance(3)
    proxy_wasm.http_calls[1].respond(*key_set(K1))
    assert came_of(ask(plugin, token(K1))) == (200, "al")


def test_tokens_are_asked_about_once(proxy_wasm: Host) -> None:
    """Requests with one token share a callout, and later ones the answer."""
    config = opaque(claim_headers=[{"claim": "scope", "header": "x-scope"}])
    rules = [{"paths": ["/w"], "claims": [{"claim": "scope", "any_of": ["write"]}]}]
    plugin = proxy_wasm.load("builtin://auth", {**config, "rules": rules})
    streams = [ask(plugin, one) for one in ("t", "t", "u")]
    assert all(stream.waits for stream in streams)
    assert [c.call.body for c in proxy_wasm.http_calls] == [b"token=t", b"token=u"]
    headers = proxy_wasm.http_calls[0].headers
    assert headers.pop("authorization") == "Basic bWl4ZXI6czNjcmV0"
    assert headers == {
        ":method": "POST", ":scheme": "https", ":authority": "id.example.com",
        ":path": "/introspect", "accept": "application/json", "content-length": "7",
        "content-type": "application/x-www-form-urlencoded",
    }  # fmt: skip
    proxy_wasm.http_calls[0].respond(*active(scope="read"))
    proxy_wasm.http_calls[1].respond(*INACTIVE)
    assert [came_of(one) for one in streams] == [(200, "al")] * 2 + [(401, "token_inactive")]
    assert streams[0].request.headers.get("x-scope") == "read"
    assert came_of(ask(plugin, "t", **{":path": "/w"})) == (403, "claim_forbidden:rules[0]")
    assert came_of(ask(plugin, "u")) == (401, "token_inactive")
    assert len(proxy_wasm.http_calls) == 2
    proxy_wasm.advance(61)
    assert ask(plugin, "t").waits


def test_an_answer_that_came_too_late_for_its_request_is_kept(proxy_wasm: Host) -> None:
    """The client went away; the next one with the same token does not wait."""
    plugin = proxy_wasm.load("builtin://auth", opaque())
    ask(plugin, "t").delete()
    proxy_wasm.http_calls[0].respond(*active(exp=FAR))
    assert came_of(ask(plugin, "t")) == (200, "al")


def test_so_many_tokens_at_one_time(proxy_wasm: Host) -> None:
    """A flood of tokens is refused at once beyond a bound, and leaves nothing behind."""
    plugin = proxy_wasm.load("builtin://auth", opaque())
    streams = [ask(plugin, f"t{number}") for number in range(300)]
    assert {came_of(one) for one in streams[256:]} == {(503, "introspection_overloaded")}
    for call in proxy_wasm.http_calls:
        call.abort()
    proxy_wasm.advance(1)
    assert {came_of(one) for one in streams[:256]} == {(503, "introspection_unavailable")}
    assert ask(plugin, "t0").waits


def test_the_clients_secret_and_tokens_are_in_no_log(proxy_wasm: Host) -> None:
    """Not where the server refuses, nor where it answers rubbish that quotes them."""
    plugin = proxy_wasm.load("builtin://auth", opaque())
    for status, body in ((401, b""), (200, b'{"t0ken": "s3cret'), (200, b"s3cret t0ken")):
        stream = ask(plugin, "t0ken")
        proxy_wasm.http_calls[-1].respond(status, body)
        assert came_of(stream) == (503, "introspection_unavailable")
    log = "".join(plugin.messages())
    assert log.count("/introspect of the cluster id: ") == 3
    assert not any(secret in log for secret in ("s3cret", "t0ken", "czNjcmV0"))


def test_both_kinds_of_tokens(proxy_wasm: Host) -> None:
    """A JWT of a known issuer is checked here, and everything else is asked about."""
    plugin = proxy_wasm.load("builtin://auth", jwks() | opaque())
    local, other, far = (ask(plugin, t) for t in (token(K1), token(K1, iss="x"), "opaque"))
    keys, *asked = proxy_wasm.http_calls
    assert [one.headers[":path"] for one in asked] == ["/introspect"] * 2
    asked[0].respond(*active(sub="bo"))
    keys.respond(*key_set(K1))
    asked[1].respond(*active(sub="cy"))
    assert [came_of(one) for one in (local, other, far)] == [
        (200, "al"), (200, "bo"), (200, "cy"),
    ]  # fmt: skip


def test_a_refused_token_is_not_asked_about(proxy_wasm: Host) -> None:
    """No other server is asked about a JWT of a known issuer that is not right."""
    plugin = proxy_wasm.load("builtin://auth", jwks() | opaque())
    forged = token(K1).rpartition(".")[0] + "." + token(K1, sub="bo").rpartition(".")[2]
    stream = ask(plugin, forged)
    proxy_wasm.http_calls[0].respond(*key_set(K1))
    assert came_of(stream) == (401, "token_signature")
    assert came_of(ask(plugin, "x" * (1 << 20))) == (401, "token_too_large")
    assert len(proxy_wasm.http_calls) == 1
