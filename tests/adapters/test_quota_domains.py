"""Limits by domain and descriptor in the built adapter, through the engine and the codecs."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from envoy.service.ratelimit.v3 import rls_pb2
from envoy.type.v3 import ratelimit_unit_pb2

from mixer.api.rate_limit import decode, encode
from mixer.api.rlqs import Bucket, Question, Standing, standing_of
from mixer.api.rlqs.standing import Rule
from mixer.attributes import NOBODY
from mixer.config import RateLimitHeaders, loads
from mixer.engine import Decision, Engine, Request
from tests.adapters.counting import WAYS, count_by
from tests.api.rate_limit_calls import Pairs, answer, negative, request_bytes

_ROOT = Path(__file__).parents[2]
OK, OVER = rls_pb2.RateLimitResponse.OK, rls_pb2.RateLimitResponse.OVER_LIMIT
HOUR = 3600 * 10**9


def limit(number: int, unit: str = "hour", **more: Any) -> dict[str, Any]:
    return {"rate_limit": {"unit": unit, "requests_per_unit": number, **more}}


RULES = [
    {"key": "user", **limit(5, "minute")},
    {
        "key": "tier", "value": "free", **limit(3),
        "descriptors": [{"key": "user", **limit(2, name="free-users")}],
    },
    {"key": "user", "value": "root", "rate_limit": {"unlimited": True}},
]  # fmt: skip


BY_CEL = {
    "name": "cel",
    "max": 2,
    "window": "90s",
    "match": '!("vip" in mixer.rate_limit.descriptor)',
    "dimensions": {"user": 'mixer.rate_limit.descriptor["user"]'},
}


def documents(folder: Path, rules: list[Any], quotas: str = "edge", **mixer: Any) -> str:
    configuration = {
        "domains": [{"domain": "edge", "descriptors": rules}],
        "quotas": [BY_CEL],
    }
    plugin = {
        "apiVersion": "extensions.istio.io/v1alpha1",
        "kind": "WasmPlugin",
        "metadata": {"name": "q", "annotations": {"mixer.dev/quotas": quotas}},
        "spec": {"url": "builtin://quota", "pluginConfig": configuration},
    }
    service = {
        "apiVersion": "mixer.dev/v1alpha1",
        "kind": "Mixer",
        "metadata": {"name": "m"},
        "spec": {"compileCache": {"directory": str(folder / "cache")}, **mixer},
    }
    return yaml.safe_dump_all([service, plugin])


MakeEngine = Callable[..., Engine]


@pytest.fixture(params=WAYS, autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Who counts: the host, or the module in shared data."""
    count_by(request.param, monkeypatch)
    return str(request.param)


@pytest.fixture
def make_engine(tmp_path: Path) -> Iterator[MakeEngine]:
    """Makes engines with one quota adapter; closed at the end."""
    with ExitStack() as stack:

        def make(rules: list[Any] = RULES, **options: Any) -> Engine:
            text = documents(tmp_path, rules, **options)
            engine = Engine(loads(text, base=tmp_path, environ={}))
            assert engine.broken == ()
            return stack.enter_context(engine)

        yield make


def ask(engine: Engine, data: bytes) -> Any:
    def allocate(request: Request, quota: str) -> Decision:
        decision = engine.allocate(request, quota)
        assert isinstance(decision, Decision)
        return decision

    found = answer(decode(data), allocate)
    return rls_pb2.RateLimitResponse.FromString(encode(found, RateLimitHeaders.OFF))


def verdicts(message: Any) -> list[tuple[bool, int]]:
    """Whether each descriptor passes, and what is left."""
    return [(one.code == OK, one.limit_remaining) for one in message.statuses]


ALICE: Pairs = (("user", "alice"),)
FREE: Pairs = (("tier", "free"), ("user", "alice"))


def test_each_descriptor_has_its_status(make_engine: MakeEngine) -> None:
    """With the limit as it is configured; the request passes where all of them do."""
    engine = make_engine()
    message = ask(engine, request_bytes(ALICE, FREE))
    assert (message.overall_code, verdicts(message)) == (OK, [(True, 4), (True, 1)])
    one, other = (status.current_limit for status in message.statuses)
    units = rls_pb2.RateLimitResponse.RateLimit
    assert (one.name, one.requests_per_unit, one.unit) == ("user", 5, units.MINUTE)
    assert (other.name, other.requests_per_unit, other.unit) == ("free-users", 2, units.HOUR)
    assert message.statuses[0].duration_until_reset.seconds == 60
    ask(engine, request_bytes(FREE))
    message = ask(engine, request_bytes(ALICE, FREE))
    assert (message.overall_code, verdicts(message)) == (OVER, [(True, 4), (False, 0)])
    assert verdicts(ask(engine, request_bytes(ALICE)))[0] == (True, 3)


def test_hits(make_engine: MakeEngine) -> None:
    """All or nothing of them; none only looks, and negative ones come back."""
    engine = make_engine()
    assert verdicts(ask(engine, request_bytes(ALICE, hits=4))) == [(True, 1)]
    assert verdicts(ask(engine, request_bytes(ALICE, hits=2))) == [(False, 1)]
    assert verdicts(ask(engine, request_bytes(ALICE, d0=0))) == [(True, 1)]
    message = rls_pb2.RateLimitRequest.FromString(request_bytes(ALICE, d0=3))
    negative(message.descriptors[0])
    assert verdicts(ask(engine, message.SerializeToString())) == [(True, 4)]
    assert verdicts(ask(engine, message.SerializeToString())) == [(True, 5)]


def test_what_is_not_limited(make_engine: MakeEngine) -> None:
    """What is unlimited says so; what nothing is configured for passes, as with others."""
    engine = make_engine(quotas="*")
    endless = (1 << 32) - 1
    root = ask(engine, request_bytes((("user", "root"),), hits=9))
    assert verdicts(root) == [(True, endless)]
    for data in (
        request_bytes((("other", "x"),)),
        request_bytes((("user", "a"), ("tier", "free"))),
        request_bytes(ALICE, domain="elsewhere"),
    ):
        message = ask(engine, data)
        assert verdicts(message) == [(True, 0)]
        assert not message.statuses[0].HasField("current_limit")


def test_a_limit_in_the_request(make_engine: MakeEngine) -> None:
    """It holds in place of the configured one."""
    message = rls_pb2.RateLimitRequest.FromString(request_bytes((("user", "root"),)))
    message.descriptors[0].limit.requests_per_unit = 2
    message.descriptors[0].limit.unit = ratelimit_unit_pb2.DAY
    engine = make_engine()
    asked = [ask(engine, message.SerializeToString()) for _ in range(3)]
    assert [one.overall_code for one in asked] == [OK, OK, OVER]
    assert asked[0].statuses[0].current_limit.requests_per_unit == 2


def test_a_quota_with_expressions_answers_for_a_domain(make_engine: MakeEngine) -> None:
    """Of its name; entries are a map to it, and a window that is no unit is not told as one."""
    engine = make_engine(quotas="edge, cel")
    data = request_bytes((("vip_not", "1"), ("user", "alice")), domain="cel")
    asked = [ask(engine, data) for _ in range(3)]
    assert [verdicts(one)[0] for one in asked] == [(True, 1), (True, 0), (False, 0)]
    assert asked[0].statuses[0].current_limit.unit == 0
    vip = request_bytes((("vip", "1"), ("user", "alice")), domain="cel")
    assert ask(engine, vip).overall_code == OK


def standing(engine: Engine, amount: int, *entries: tuple[str, str]) -> Standing:
    question = Question(Bucket("edge", tuple(sorted(entries))), amount, NOBODY)
    decision = engine.allocate(question.request(), question.quota)
    assert isinstance(decision, Decision)
    return standing_of(decision)


def test_buckets_share_the_windows_of_descriptors(make_engine: MakeEngine) -> None:
    """What proxies report of a bucket is taken of the limit that others ask for, and no more."""
    engine = make_engine()
    bucket = (("user", "alice"), ("tier", "free"))
    assert standing(engine, 1, *bucket) == Standing(Rule.SHARED, 2, HOUR)
    assert verdicts(ask(engine, request_bytes(FREE))) == [(True, 0)]
    used_up = standing(engine, 9, *bucket)
    assert (used_up.rule, used_up.ask_again) == (Rule.EXHAUSTED, 3600)
    assert standing(engine, 0, ("user", "root")).rule is Rule.UNLIMITED


@pytest.mark.parametrize("way", ["shared data"], indirect=True)
def test_a_store_that_is_full_refuses(make_engine: MakeEngine) -> None:
    """Never an allow by accident."""
    engine = make_engine(state={"maxKeys": 1})
    codes = {
        ask(engine, request_bytes((("user", f"u{number}"),))).overall_code for number in range(20)
    }
    assert codes == {OK, OVER}
    assert standing(engine, 1, ("user", "another-one-0")).rule in (Rule.FAILED, Rule.SHARED)


def test_services_that_race_let_exactly_so_many_pass(tmp_path: Path, way: str) -> None:
    """Three services over one store together grant a limit to the unit."""
    state = {"store": {"lmdb": {"path": "./state"}}}
    config = tmp_path / "mixer.yaml"
    config.write_text(documents(tmp_path, [{"key": "user", **limit(150)}], state=state))
    command = [sys.executable, "-m", "tests.adapters.hammer_limit", str(config), "100", way]
    with ExitStack() as stack:
        processes = [stack.enter_context(_started(command)) for _ in range(3)]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        passed = [int(process.communicate(timeout=120)[0]) for process in processes]
    assert sum(passed) == 150


def _started(command: list[str]) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=_ROOT, stdin=pipe, stdout=pipe, text=True)
