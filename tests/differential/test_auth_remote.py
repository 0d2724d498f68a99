"""The adapter auth asks an identity provider, in Envoy's own Wasm filter and in this engine."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mixer.config.module import module_path
from mixer.demo.configuration import DETAILS_HEADER
from mixer.demo.measurement import observe
from mixer.engine import Decision, Verdict
from mixer.study import bootstrap as build
from mixer.study.client import HttpConnection, Request
from mixer.study.envoy import EnvoyProcess
from mixer.study.upstream import EchoUpstream
from tests.adapters.auth_world import World, until_true, world
from tests.support.identity_provider import IdentityProvider, active, key, key_set, token

pytestmark = pytest.mark.usefixtures("envoy")

K1, K2, FORGED = key("k1"), key("k2"), key("k1")
URI = {"cluster": "id", "timeout_seconds": 2}
CONFIG: dict[str, Any] = {
    "jwt": {
        "providers": [
            {
                "issuer": "i",
                "audiences": ["*"],
                "remote_jwks": {
                    "http_uri": {**URI, "uri": "http://id/keys"},
                    "cache_duration_seconds": 2,
                    "unknown_kid_refetch_duration_seconds": 1,
                },
            }
        ]
    },
    "introspection": {
        "http_uri": {**URI, "uri": "http://id/introspect"},
        "audiences": ["shop"],
        "consumer_prefix": "o:",
        "claim_headers": [{"claim": "scope", "header": "x-scope"}],
        "cache_duration_seconds": 0,
        "negative_cache_duration_seconds": 0,
    },
    "rules": [
        {"paths": ["/open"], "anonymous": "allow"},
        {"paths": ["/write"], "claims": [{"claim": "scope", "any_of": ["write"]}]},
    ],
}

Seen = tuple[int, str, str, tuple[str, ...]]


def part(text: str) -> str:
    """A part of a JWT."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


NONE = f"{part(json.dumps({'alg': 'none'}))}.{part(json.dumps({'iss': 'i', 'sub': 'al'}))}."
ES256 = part(json.dumps({"alg": "ES256"}))
TWICE = ".".join((ES256, part('{"iss": "i", "iss": "i"}'), "AAAA"))
HUGE = ".".join((ES256, part('{"iss": "i", "exp": 1e999}'), "AAAA"))
TOKENS = {
    "good": (token(K1), "/"),
    "forged": (token(FORGED), "/"),
    "other-key": (token(K2), "/"),
    "expired": (token(K1, exp=1), "/"),
    "none": (NONE, "/"),
    "twice": (TWICE, "/"),
    "huge-number": (HUGE, "/"),
    "large": ("x" * 20_000, "/"),
    "opaque": ("o-good", "/"),
    "opaque-unknown": ("o-none", "/"),
    "opaque-other": ("o-other", "/"),
    "opaque-write": ("o-write", "/write"),
    "opaque-read": ("o-good", "/write"),
    "opaque-rubbish": ("o-rubbish", "/"),
    "other-issuer": (token(K1, iss="x"), "/"),
    "open": (token(K1), "/open"),
    "open-forged": (token(FORGED), "/open"),
    "open-unknown": ("o-none", "/open"),
}
KNOWN = {
    "o-good": active(scope="read"),
    "o-write": active(scope="read write"),
    "o-other": active(aud="other"),
    "o-rubbish": (200, b"rubbish"),
}


@dataclass
class Both:
    """The real Envoy and this engine, which ask the same identity provider."""

    envoy: EnvoyProcess
    here: World

    @property
    def provider(self) -> IdentityProvider:
        """Whom both ask."""
        return self.here.provider

    async def there(self, bearer: str, path: str = "/", body: bytes | None = None) -> Seen:
        """What comes of a request in Envoy; with a body in the listener that begins with it."""
        headers = (("authorization", f"Bearer {bearer}"), ("x-consumer", "forged"))
        name, method = ("auth", "GET") if body is None else ("stop", "POST")
        async with HttpConnection(self.envoy.address(name), 30.0) as connection:
            sent = Request(method, path, headers, body or b"")
            seen = observe(await connection.send(sent), 0.0)
        upstream = dict(seen.upstream.headers) if seen.upstream else {}
        told = tuple(upstream.get(name, "") for name in ("x-consumer", "x-scope"))
        return seen.status, "" if seen.upstream else seen.details, seen.body, told

    async def ask(self, bearer: str, path: str = "/") -> Seen:
        """What comes of a request in the engine."""
        headers = (("authorization", f"Bearer {bearer}"), ("x-consumer", "forged"))
        return _seen(await self.here.decide(*headers, path=path))

    async def same(self, bearer: str, path: str = "/") -> Seen:
        """What comes of it in both."""
        seen = await self.ask(bearer, path)
        assert await self.there(bearer, path) == seen
        return seen

    async def until(self, bearer: str, status: int) -> None:
        """Until both answer with this status."""

        async def statuses() -> tuple[int, int]:
            return (await self.there(bearer))[0], (await self.ask(bearer))[0]

        await until_true(statuses, (status, status))


def _seen(decision: Decision) -> Seen:
    if decision.verdict is Verdict.DENY:
        assert decision.response is not None
        body = decision.response.body.decode()
        return decision.response.status, decision.reason or "", body, ("", "")
    set_ = {change.name: b",".join(change.values).decode() for change in decision.request_headers}
    return 200, "", "", tuple(set_.get(name, "") for name in (b"x-consumer", b"x-scope"))


@asynccontextmanager
async def both(folder: Path) -> AsyncIterator[Both]:
    """Both of them, before the identity provider has started."""
    module = module_path("builtin://auth", Path())
    async with world(folder, CONFIG) as here, EchoUpstream() as upstream:
        await here.provider.kill()
        listeners = [
            build.listener(
                name, "upstream",
                [build.wasm_filter(name, module, json.dumps(CONFIG),
                                   allow_on_headers_stop_iteration=name == "stop")],
                response_headers={DETAILS_HEADER: "%RESPONSE_CODE_DETAILS%"},
            )
            for name in ("auth", "stop")
        ]  # fmt: skip
        clusters = [
            build.cluster("upstream", upstream.address),
            build.cluster("id", f"127.0.0.1:{here.provider.port}"),
        ]
        bootstrap = build.bootstrap(listeners, clusters)
        async with EnvoyProcess(bootstrap, start_timeout_s=120.0) as envoy:
            yield Both(envoy, here)


async def test_what_comes_of_tokens(tmp_path: Path) -> None:
    """From a provider that is down to one that is up, rotates its keys, and is down again."""
    async with both(tmp_path) as one:
        assert (await one.same(token(K1)))[:2] == (503, "jwks_unavailable")
        assert (await one.same("o-good"))[:2] == (503, "introspection_unavailable")
        assert (await one.same("o-good", "/open"))[0] == 200
        one.provider.keys, one.provider.known = key_set(K1), KNOWN
        await one.provider.start()
        await one.until(token(K1), 200)
        seen = {name: await one.same(*asked) for name, asked in TOKENS.items()}
        assert {name: (s, d) for name, (s, d, _, _) in seen.items()} == EXPECTED
        assert seen["opaque-write"][3] == ("o:al", "read write")
        assert seen["open-forged"][3] == seen["open-unknown"][3] == ("", "")
        one.provider.keys = key_set(K2)
        await one.until(token(K2), 200)
        await one.until(token(K1), 401)
        await one.provider.kill()
        await one.until("o-good", 503)
        assert (await one.same(token(K2)))[0] == 200, "the keys are used on"


EXPECTED = {
    "good": (200, ""),
    "forged": (401, "token_signature"),
    "other-key": (401, "token_key"),
    "expired": (401, "token_expired"),
    "none": (401, "token_algorithm"),
    "twice": (401, "token_inactive"),
    "huge-number": (401, "token_inactive"),
    "large": (401, "token_too_large"),
    "opaque": (200, ""),
    "opaque-unknown": (401, "token_inactive"),
    "opaque-other": (401, "token_audience"),
    "opaque-write": (200, ""),
    "opaque-read": (403, "claim_forbidden:rules[1]"),
    "opaque-rubbish": (503, "introspection_unavailable"),
    "other-issuer": (401, "token_inactive"),
    "open": (200, ""),
    "open-forged": (200, ""),
    "open-unknown": (200, ""),
}


async def test_a_body_in_envoy(tmp_path: Path) -> None:
    """Where the body goes on while headers wait, it is held too, and goes on whole."""
    async with both(tmp_path) as one:
        one.provider.known = KNOWN
        await one.provider.start()
        passed = (200, "", "", ("o:al", "read"))
        await until_true(lambda: one.there("o-good", "/", b"body"), passed)
        assert (await one.there("o-none", "/", b"body"))[:2] == (401, "token_inactive")
        one.provider.silent = True
        refused = await one.there("o-good", "/", b"body")
        assert refused[:2] == (503, "introspection_unavailable")
