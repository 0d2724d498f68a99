"""The auth adapter in the engine: what its cache of decisions may keep, and what not."""

import base64
import time
from pathlib import Path

import pytest

from mixer.engine import Decision, Engine
from tests.adapters.auth_world import compiled
from tests.adapters.signing import SECRET, signed
from tests.adapters.test_auth_local import KEYS
from tests.engine.conftest import MakeEngine, Plugins, make_engine, request

__all__ = ["compiled", "make_engine"]

SIGNERS = [{"id": "billing", "secret": base64.b64encode(SECRET).decode(), "consumer": "invoices"}]
CONFIG = {
    "api_keys": KEYS,
    "signatures": {"keys": SIGNERS},
    "addresses": {"deny": ["10.6.0.0/16"]},
    "rules": [{"when": 'consumer != "key" || request.headers["x-ok"] == "1"'}],
    "validity": {"duration_seconds": 60},
}


@pytest.fixture
def plugins(compiled: Path) -> Plugins:
    """Documents in a folder whose compiled modules the tests share."""
    return Plugins(compiled)


def reason(engine: Engine, address: str = "10.0.0.1:7", **headers: str) -> str | None:
    """Why a request is refused; None for one that passes."""
    pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    decision = engine.decide(request(*pairs, attributes={"source.address": address}))
    assert isinstance(decision, Decision)
    return None if decision.verdict.value == "allow" else decision.reason


def test_a_decision_is_not_kept_for_a_replay(make_engine: MakeEngine, plugins: Plugins) -> None:
    """The very same request again is another one."""
    engine = make_engine(plugins.document("auth", url="builtin://auth", pluginConfig=CONFIG))
    headers = signed(int(time.time()), target="/")
    del headers[":path"]  # it is there
    assert [reason(engine, **headers) for _ in range(3)] == [
        None,
        "signature_replayed",
        "signature_replayed",
    ]


def test_decisions_that_are_kept(make_engine: MakeEngine, plugins: Plugins) -> None:
    """They are for the same key, address and whatever a condition reads."""
    engine = make_engine(plugins.document("auth", url="builtin://auth", pluginConfig=CONFIG))
    for _ in range(3):
        assert reason(engine, x_api_key="k", x_ok="1") is None
        assert reason(engine, x_api_key="k", x_ok="2") == "condition_forbidden:rules[0]"
        assert reason(engine, x_api_key="k") == "condition_not_evaluated:rules[0]"
        assert reason(engine, x_api_key="no", x_ok="1") == "api_key_unknown"
        assert reason(engine, "10.6.1.1:7", x_api_key="k", x_ok="1") == "address_denied"
