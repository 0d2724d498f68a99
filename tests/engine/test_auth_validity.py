"""The auth adapter and the decision cache: an answer holds at most as long as its token."""

import time
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwk, jwt

from mixer.engine import Decision, Engine, Verdict
from tests.engine.conftest import Plugins, request

_KEY = jwk.OctKey.import_key("0123456789abcdef0123456789abcdef", {"kid": "k", "alg": "HS256"})
_JWKS = {"keys": [_KEY.as_dict()]}
_SHA256_OF_KEY = "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683"  # of "key"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def _engine(folder: Path, **config: Any) -> Engine:
    plugins = Plugins(folder)
    spec = {
        "url": "builtin://auth",
        "pluginConfig": {
            "api_keys": {"keys": [{"sha256": _SHA256_OF_KEY, "consumer": "alice"}]},
            "jwt": {"providers": [{"issuer": "i", "audiences": ["*"], "jwks": _JWKS,
                                   "leeway_seconds": 0}]},
            **config,
        },
    }  # fmt: skip
    return Engine(plugins.configuration(plugins.document("auth", **spec)))


def _bearer(**claims: Any) -> tuple[str, str]:
    token = jwt.encode({"alg": "HS256", "kid": "k"}, {"iss": "i", "sub": "bob", **claims}, _KEY)
    return "authorization", f"Bearer {token}"


def _decide(engine: Engine, *headers: tuple[str, str]) -> Decision:
    decision = engine.decide(request(*headers))
    assert isinstance(decision, Decision)
    return decision


def test_nothing_is_kept_without_a_validity(folder: Path) -> None:
    """As configured so far, each request is decided anew."""
    with _engine(folder) as engine:
        for _ in range(3):
            assert _decide(engine, ("x-api-key", "key")).verdict is Verdict.ALLOW
        assert (engine.cache.in_use, len(engine.cache)) == (False, 0)


def test_keys_and_denials_are_kept(folder: Path) -> None:
    """A key that is known and one that is not have answers of their own, header included."""
    with _engine(folder, validity={"duration_seconds": 60, "use_count": 5}) as engine:
        for _ in range(3):
            allowed = _decide(engine, ("x-api-key", "key"))
            denied = _decide(engine, ("x-api-key", "other"))
        assert (allowed.verdict, denied.verdict) == (Verdict.ALLOW, Verdict.DENY)
        assert (b"alice",) in [c.values for c in allowed.request_headers]
        assert engine.cache.stats.hits == 3
        spoofed = _decide(engine, ("x-api-key", "key"), ("x-consumer", "root"))
        assert (b"alice",) in [c.values for c in spoofed.request_headers]


def test_an_answer_ends_with_its_token(folder: Path) -> None:
    """The validity is what is left of the token, a second less."""
    with _engine(folder, validity={"duration_seconds": 60}) as engine:
        header = _bearer(exp=int(time.time()) + 20)
        first = _decide(engine, header).validity
        assert first is not None
        assert 15e9 < first.duration <= 19e9
        for _ in range(3):
            assert _decide(engine, header).verdict is Verdict.ALLOW
        assert engine.cache.stats.hits == 2
        long = _decide(engine, _bearer(exp=int(time.time()) + 3600)).validity
        assert long is not None
        assert long.duration == 60e9


def test_a_token_in_its_last_second_is_not_kept(folder: Path) -> None:
    """An answer that may be another one at once is used once."""
    with _engine(folder, validity={"duration_seconds": 60}) as engine:
        engine.cache.in_use = True
        soon = _bearer(exp=int(time.time()) + 30, nbf=int(time.time()) + 1)
        assert _decide(engine, soon).verdict is Verdict.DENY
        assert len(engine.cache) == 0
