"""What the quota adapter answers while the service cannot reach its counters."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from mixer.config import loads
from mixer.engine import Decision, Engine, Verdict
from tests.adapters.asking import quota_request
from tests.adapters.test_quota_domains import ALICE, OK, OVER, ask, documents, limit
from tests.api.rate_limit_calls import request_bytes
from tests.engine.conftest import request
from tests.support.redis_server import free_port

RULES = [{"key": "user", **limit(1)}]
MakeEngine = Callable[..., Engine]


@pytest.fixture
def make_engine(tmp_path: Path) -> Iterator[MakeEngine]:
    """Makes engines with a quota of 1 and a domain, whose server is not there."""
    with ExitStack() as stack:

        def make(on_unavailable: str, on_error: str) -> Engine:
            redis = {"url": f"redis://127.0.0.1:{free_port()}"}
            quota = {"store": {"redis": redis}, "onUnavailable": on_unavailable}
            text = documents(tmp_path, RULES, quotas="edge,requests", state={"quota": quota})
            service, plugin = yaml.safe_load_all(text)
            user = 'request.headers["x-user"]'
            one = {"name": "requests", "max": 1, "window": "1h", "dimensions": {"user": user}}
            plugin["spec"]["pluginConfig"] |= {"onError": on_error, "quotas": [one]}
            text = yaml.safe_dump_all([service, plugin])
            return stack.enter_context(Engine(loads(text, base=tmp_path, environ={})))

        yield make


def decided(found: object) -> Decision:
    assert isinstance(found, Decision)
    return found


def asked_twice(engine: Engine) -> list[Decision]:
    """What comes of a request that takes of the quota, and of another one."""
    return [decided(engine.decide(request(("x-user", "a")))) for _ in range(2)]


def amounts(engine: Engine) -> list[Decision]:
    """What is granted of an amount, twice."""
    wanted = quota_request("requests", 1, ("x-user", "b"))
    return [decided(engine.allocate(wanted, "requests")) for _ in range(2)]


ANSWERS = [
    ("LOCAL", "deny", [True, False]),
    ("LOCAL", "allow", [True, False]),
    ("OPEN", "deny", [True, True]),
    ("CLOSED", "allow", [True, True]),
]


@pytest.mark.parametrize(("kind", "on_error", "passed"), ANSWERS)
def test_what_is_answered_for_the_counters(
    make_engine: MakeEngine, kind: str, on_error: str, passed: list[bool]
) -> None:
    """LOCAL and OPEN are the service's answers, whatever onError says; with CLOSED that decides."""
    engine = make_engine(kind, on_error)
    found = asked_twice(engine)
    assert [one.verdict is Verdict.ALLOW for one in found] == passed
    assert all(one.reason in ("", "quota_exhausted:requests") for one in found)
    assert [one.granted for one in amounts(engine)] == list(map(int, passed))
    codes = [ask(engine, request_bytes(ALICE)).overall_code for _ in range(2)]
    assert codes == [OK if one else OVER for one in passed]


def test_closed_and_denied(make_engine: MakeEngine) -> None:
    """It is no quota that is used up: 503 quota_unavailable, without a time to come again."""
    engine = make_engine("CLOSED", "deny")
    for one in (*asked_twice(engine), *amounts(engine)):
        assert (one.verdict, one.reason) == (Verdict.DENY, "quota_unavailable:requests")
        assert (one.code, one.granted) == (14, None)
        assert one.response is not None
        assert one.response.status == 503
        assert b"retry-after" not in dict(one.response.headers)
    message = ask(engine, request_bytes(ALICE))
    assert message.overall_code == OVER
    assert message.dynamic_metadata["reason"] == "quota_unavailable:edge"
