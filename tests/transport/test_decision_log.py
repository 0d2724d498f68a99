"""What ``mixer serve --verbose`` tells about a decision."""

import logging
from collections import namedtuple
from types import SimpleNamespace
from typing import Any

import pytest

from mixer.api.authzen.evaluation import Evaluation
from mixer.api.authzen.request import request_of
from mixer.attributes import NOBODY
from mixer.config import loads
from mixer.engine import Decision, Engine, Verdict
from mixer.transport import authorization, mixer_v1
from mixer.transport.decision_log import described
from mixer.wire import mixer_v1_pb2 as pb
from tests.api.mixer_calls import admission, check_bytes
from tests.e2e.calls import check_request

_RULE = """
apiVersion: mixer.dev/v1alpha1
kind: MixerRule
metadata: {name: rule}
spec:
"""
_REMOVES = f"""{_RULE}
  responseHeaderOperations: [{{name: server, operation: REMOVE}}]
"""
_REWRITES = f"""{_RULE}
  requestHeaderOperations: [{{name: ":path", values: ["'/secret'"]}}]
"""
_NOTHING = """
apiVersion: mixer.dev/v1alpha1
kind: Mixer
metadata: {name: mixer}
"""
_QUOTA = """
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: quota, annotations: {mixer.dev/quotas: rps}}
spec:
  url: builtin://quota
  pluginConfig:
    quotas: [{name: rps, max: 3, window: 1h}]
"""
_PROXY = SimpleNamespace(method="/envoy.service.auth.v3.Authorization/Check")
_CALLER = SimpleNamespace(method="/istio.mixer.v1.Mixer/Check")
_CONTEXT = SimpleNamespace(peer=lambda: "unix:")
_ATTRIBUTES = {"request.method": "GET", "request.path": "/a?key=secret"}
Asked = namedtuple("Asked", "answer lines")


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Of the decisions, and of nothing else."""
    caplog.set_level(logging.DEBUG, logger="mixer.transport.decision_log")
    return caplog


def _lines(log: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in log.records if r.name == "mixer.transport.decision_log"]


async def _by_ext_authz(engine: Engine) -> bytes:
    service: Any = authorization.handler(engine)
    request = check_request("/a?key=secret", authorization="secret")
    answer: bytes = await service.service(_PROXY).unary_unary(request, _CONTEXT)
    return answer


async def _by_mixer(engine: Engine, **quotas: tuple[int, bool]) -> pb.CheckResponse:
    service: Any = mixer_v1.handler(engine)
    data = check_bytes(_ATTRIBUTES, quotas=quotas)
    return pb.CheckResponse.FromString(await service.service(_CALLER).unary_unary(data, _CONTEXT))


@pytest.mark.parametrize("ask", [_by_ext_authz, _by_mixer])
@pytest.mark.parametrize("documents", [_NOTHING, _REWRITES])
async def test_a_decision_without_a_reason(
    ask: Any, documents: str, log: pytest.LogCaptureFixture
) -> None:
    """Its line has the path as it was asked, no query, and ends with who decided."""
    with Engine(loads(documents)) as engine:
        await ask(engine)
    assert _lines(log) == ["GET '/a': allow by no adapter"]


async def test_the_rule_that_configured_the_adapter(log: pytest.LogCaptureFixture) -> None:
    """It is told beside the adapter's name, for what the adapter denied as well."""
    policy = """
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: policy}
spec:
  url: builtin://policy
  pluginConfig: {rules: [{name: nobody, match: "false", deny: {}}]}
"""
    says = """
  match: request.path.startsWith("/a")
  adapters: [{name: policy, pluginConfig: {rules: [{name: all, deny: {}}]}}]
"""
    with Engine(loads(f"{policy}---{_RULE}{says}")) as engine:
        await _by_ext_authz(engine)
    assert _lines(log) == ["GET '/a': deny by policy (rule rule): denied_by_all"]


async def test_what_ext_authz_cannot_express(log: pytest.LogCaptureFixture) -> None:
    """The error is logged that was sent, not the decision that it took the place of."""
    with Engine(loads(_REMOVES)) as engine:
        await _by_ext_authz(engine)
    reason = "removing_a_response_header_is_not_possible_with_ext_authz"
    assert _lines(log) == [f"GET '/a': error by no adapter: {reason}"]


async def test_what_mixer_cannot_express(log: pytest.LogCaptureFixture) -> None:
    """The same holds for callers of Mixer."""
    changed = Decision(Verdict.ALLOW, adapters=("a",), adapter="a", body=b"new")
    engine: Any = SimpleNamespace(
        admission=admission(), decide=lambda _request: changed, decision_log=None
    )
    await _by_mixer(engine)
    reason = "request_body_change_is_not_possible_with_mixer_v1"
    assert _lines(log) == [f"GET '/a': error by a: {reason}"]


async def test_quotas(log: pytest.LogCaptureFixture) -> None:
    """A line for each tells how much was granted, by whom, and why it was not all."""
    with Engine(loads(_QUOTA)) as engine:
        await _by_mixer(engine, rps=(2, False))
        await _by_mixer(engine, rps=(2, False))
        await _by_mixer(engine, rps=(-1, False))
        await _by_mixer(engine, other=(1, False))
    lines = [line for line in _lines(log) if "quota '" in line]
    assert lines == [
        "GET '/a': 2 of 2 of quota 'rps' by quota",
        "GET '/a': 0 of 2 of quota 'rps' by quota: exhausted",
        "GET '/a': 0 of -1 of quota 'rps' by no adapter: -1 is no amount: must be 0 or more",
        "GET '/a': 0 of 1 of quota 'other' by no adapter: no adapter serves this quota",
    ]
    assert len(_lines(log)) == 2 * len(lines)


def test_an_evaluation() -> None:
    """What AuthZEN asks about is told by types and action: ids and properties may be secrets."""
    parts = {"properties": {"token": "secret"}, "id": "secret"}
    evaluation = Evaluation(
        {"type": "user", **parts}, {"name": "r\nw", **parts}, {"type": "file", **parts}
    )
    line = described(request_of(evaluation, lambda: NOBODY), Decision(Verdict.ALLOW))
    assert line == r"evaluation 'user' 'r\nw' 'file': allow by no adapter"


async def test_the_log_is_no_part_of_the_answer(log: pytest.LogCaptureFixture) -> None:
    """What is looked up for the log does not narrow what a caller may keep."""
    with Engine(loads(_QUOTA)) as engine:
        verbose = await _by_mixer(engine, other=(1, False))
        log.set_level(logging.INFO, logger="mixer.transport.decision_log")
        assert await _by_mixer(engine, other=(1, False)) == verbose


def test_a_reason_of_many_lines() -> None:
    """What a module gives for its reason begins no line of its own in the log."""
    decision = Decision(Verdict.DENY, ("a",), "a", "no\n2026-01-01 INFO all is well" + "!" * 9000)
    named = {"type": "user", "name": "read", "id": "1"}
    line = described(request_of(Evaluation(named, named, named), lambda: NOBODY), decision)
    assert "\n" not in line
    assert len(line) < 2000
