"""The adapter auth in the engine; its identity provider is killed, slowed and restarted."""

import asyncio
import json
from pathlib import Path
from typing import Any

from mixer.engine import Verdict
from tests.adapters.auth_world import LONG_S, World, compiled, until_true, world
from tests.support.identity_provider import INACTIVE, Answer, active, key, key_set, token

__all__ = ["compiled"]

ALLOW, DENY = Verdict.ALLOW, Verdict.DENY
K1, K2, FORGED = key("k1"), key("k2"), key("k1")
NO_KEYS = (DENY, "jwks_unavailable")
NO_SERVER = (DENY, "introspection_unavailable")
VALIDITY = {"validity": {"duration_seconds": 60}}


def jwks(timeout: float = LONG_S, **more: Any) -> dict[str, Any]:
    """A provider whose keys are fetched; times as short as they may be."""
    uri = {"uri": "http://id/keys", "cluster": "id", "timeout_seconds": timeout}
    remote = {
        "http_uri": uri,
        "cache_duration_seconds": 2,
        "unknown_kid_refetch_duration_seconds": 1,
        **more,
    }
    return {
        "jwt": {"providers": [{"issuer": "i", "audiences": ["*"], "remote_jwks": remote}]},
        **VALIDITY,
    }


def opaque(timeout: float = LONG_S, **more: Any) -> dict[str, Any]:
    """Tokens that are asked about."""
    uri = {"uri": "http://id/introspect", "cluster": "id", "timeout_seconds": timeout}
    return {"introspection": {"http_uri": uri, "audiences": ["shop"], **more}, **VALIDITY}


async def test_keys_that_are_fetched(compiled: Path) -> None:
    """Requests wait for the first fetch; a forged token of a known `kid` is refused."""
    async with world(compiled, jwks(cache_duration_seconds=600), key_set(K1)) as one:
        seen = await one.all(*[token(K1)] * 40, *[token(FORGED)] * 20)
        assert seen == [(ALLOW, "")] * 40 + [(DENY, "token_signature")] * 20
        assert one.provider.fetched == 1
        assert one.provider.headers["host"] == "id"


async def test_keys_are_rotated(compiled: Path) -> None:
    """A new key is known as soon as a token names it, and the old one ends with the old set."""
    async with world(compiled, jwks(), key_set(K1)) as one:
        assert await one.ask(token(K1)) == (ALLOW, "")
        one.provider.keys = key_set(K1, K2)
        await one.until(token(K2), (ALLOW, ""))
        assert await one.ask(token(K1)) == (ALLOW, "")
        one.provider.keys = key_set(K2)
        await one.until(token(K1), (DENY, "token_key"))
        assert await one.ask(token(K2)) == (ALLOW, "")


RUBBISH = {
    "html": (200, b"<html>login</html>"),
    "error": (500, b""),
    "empty": (200, b""),
    "huge": (200, b'{"keys": [' + b" " * (1 << 20)),
    "many": (200, json.dumps({"keys": [K1.as_dict(private=False)] * 65}).encode()),
    "none": (200, b'{"keys": []}'),
    "huge-key": (
        200,
        json.dumps({"keys": [{"kty": "RSA", "n": "A" * (1 << 20), "e": "AQAB"}]}).encode(),
    ),
    "secret": (200, json.dumps({"keys": [{"kty": "oct", "k": "A" * 64}]}).encode()),
    "deep": (200, b'{"keys": ' + b"[" * 100_000),
    "redirect": (302, b""),
}


async def test_rubbish_in_place_of_keys(compiled: Path) -> None:
    """Nobody gets in by it, keys that were good stay good, and the VM lives."""
    await asyncio.gather(*(served_rubbish(compiled, RUBBISH[name]) for name in RUBBISH))


async def served_rubbish(folder: Path, rubbish: Answer) -> None:
    """First in place of the first keys, then in place of other ones."""
    async with world(folder, jwks(), rubbish) as one:
        assert await one.all(token(K1), token(FORGED)) == [NO_KEYS] * 2
        one.provider.keys = key_set(K1)
        await one.until(token(K1), (ALLOW, ""))
        one.provider.keys, before = rubbish, one.provider.fetched
        await until_true(lambda: fetched_since(one, before), True)
        assert await one.all(token(K1), token(FORGED)) == [(ALLOW, ""), (DENY, "token_signature")]


async def fetched_since(one: World, before: int) -> bool:
    """Whether the set was fetched twice since: the first answer has been read by then."""
    await one.ask(token(K1))
    return one.provider.fetched >= before + 2


async def test_the_server_is_killed_and_restarted_under_load(compiled: Path) -> None:
    """Keys are used on for the time that is allowed; then nobody gets in until it is back."""
    async with world(compiled, jwks(stale_duration_seconds=1), key_set(K1)) as one:
        assert await one.ask(token(K1)) == (ALLOW, "")
        await one.provider.kill()
        good: set[tuple[Verdict, str]] = set()
        async with asyncio.timeout(LONG_S):
            while NO_KEYS not in good:
                *seen, forged = await one.all(*[token(K1)] * 20, token(FORGED))
                good |= set(seen)
                assert forged[0] is DENY
        assert good == {(ALLOW, ""), NO_KEYS}
        await one.provider.start()
        await one.until(token(K1), (ALLOW, ""))
        assert await one.ask(token(FORGED)) == (DENY, "token_signature")


async def test_a_silent_server(compiled: Path) -> None:
    """Who waits is answered at the timeout of the callout, all from one fetch."""
    config = jwks(timeout=0.3, failed_refetch_duration_seconds=600)
    async with world(compiled, config, key_set(K1)) as one:
        one.provider.silent = True
        assert await one.all(*[token(K1)] * 50) == [NO_KEYS] * 50
        assert one.provider.fetched == 1


async def test_tokens_that_are_asked_about(compiled: Path) -> None:
    """Each token is asked about once, and the decisions about it are kept as long as it is."""
    config = opaque(cache_duration_seconds=600, negative_cache_duration_seconds=600)
    async with world(compiled, config) as one:
        one.provider.known = {"good": active()}
        seen = await one.all(*["good"] * 30, *["bad"] * 30)
        assert seen == [(ALLOW, "")] * 30 + [(DENY, "token_inactive")] * 30
        assert sorted(one.provider.asked) == ["bad", "good"]
        for _ in range(2):
            assert await one.all("good", "bad") == [(ALLOW, ""), (DENY, "token_inactive")]
        assert one.engine.cache.stats.hits >= 1
        assert len(one.provider.asked) == 2


async def test_a_decision_that_waited_is_not_kept(compiled: Path) -> None:
    """Where nothing is cached here, the decision cache keeps nothing either."""
    config = opaque(cache_duration_seconds=0, negative_cache_duration_seconds=0)
    async with world(compiled, config) as one:
        one.provider.known = {"t": active()}
        assert await one.ask("t") == (ALLOW, "")
        one.provider.known = {}
        assert await one.ask("t") == (DENY, "token_inactive")
        assert one.provider.asked == ["t", "t"]


async def test_the_decision_cache_forgets_with_the_answer(compiled: Path) -> None:
    """A token that is revoked is refused when its cached answer ends, whatever `validity` says."""
    async with world(compiled, opaque(cache_duration_seconds=2)) as one:
        one.provider.known = {"t": active()}
        assert await one.all("t", "t") == [(ALLOW, "")] * 2
        one.provider.known = {}
        await one.until("t", (DENY, "token_inactive"))


SAID = {
    "html": (200, b"<html>"),
    "error": (500, b'{"active": true, "sub": "al", "aud": "shop"}'),
    "unauthorized": (401, b""),
    "huge": (200, b'{"active": true, "sub": "al", "aud": "shop"' + b" " * (1 << 20)),
    "text": (200, b'{"active": "true", "sub": "al", "aud": "shop"}'),
    "twice": (200, b'{"active": false, "active": true, "sub": "al", "aud": "shop"}'),
}


async def test_rubbish_about_a_token(compiled: Path) -> None:
    """Nobody gets in by it, and it is forgotten."""
    async with world(compiled, opaque()) as one:
        for name, rubbish in SAID.items():
            one.provider.known = {name: rubbish}
            assert await one.all(name, name) == [NO_SERVER] * 2, name
            one.provider.known = {name: active()}
            assert await one.ask(name) == (ALLOW, ""), name


async def test_the_introspection_server_under_load(compiled: Path) -> None:
    """Killed, silent, restarted: good tokens pass or get 503, bad ones never pass."""
    async with world(compiled, opaque(timeout=1.0, cache_duration_seconds=0)) as one:
        provider = one.provider
        provider.known = lambda asked: active() if asked.startswith("good") else INACTIVE
        tokens = [f"{kind}{n}" for n in range(50) for kind in ("good", "bad")]

        async def kill() -> None:
            await provider.kill()

        async def slow() -> None:
            await provider.start()
            provider.silent = True

        async def recover() -> None:
            provider.silent = False

        for change in (kill, slow, recover):
            _, seen = await asyncio.gather(change(), one.all(*tokens))
            assert set(seen[::2]) <= {(ALLOW, ""), NO_SERVER}
            assert set(seen[1::2]) <= {(DENY, "token_inactive"), NO_SERVER}
        right = [(ALLOW, ""), (DENY, "token_inactive")] * 50
        await until_true(lambda: one.all(*tokens), right)


async def test_a_token_of_a_megabyte(compiled: Path) -> None:
    """It is refused unread."""
    async with world(compiled, {**jwks(), **opaque()}, key_set(K1)) as one:
        assert await one.ask("x" * (1 << 20)) == (DENY, "token_too_large")
        assert not one.provider.asked
