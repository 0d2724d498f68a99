"""AuthZEN: what is asked, and what is answered."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mixer.api.authzen import ENDPOINTS
from mixer.api.authzen.answers import told_decision
from mixer.api.authzen.errors import MalformedError
from mixer.api.authzen.strict_json import MOST_PARTS, read_object
from mixer.api.http import HttpCall
from mixer.config import loads
from mixer.engine import Decision, Engine, Response, Verdict
from tests.api.authzen_calls import JSON, asked, decisions, told
from tests.engine.conftest import MakeEngine, Plugins, make_engine, plugins
from tests.support import adapters as do
from tests.support.adapters import adapter

__all__ = ["make_engine", "plugins"]

MANY = "/access/v1/evaluations"

ALICE, BOB = ({"type": "user", "id": name} for name in ("alice", "bob"))
ADMIN = BOB | {"properties": {"role": "admin"}}
READ, WRITE = {"name": "read"}, {"name": "write"}
RECORD = {"type": "record", "id": "record-1"}
ARCHIVED = {"type": "record", "id": "record-2", "properties": {"status": "archived"}}

_SUBJECT, _ACTION = "mixer.authzen.subject", "mixer.authzen.action"
_RESOURCE = "mixer.authzen.resource"
_IS_ADMIN = f"(has({_SUBJECT}.properties.role) && {_SUBJECT}.properties.role == 'admin')"
POLICY = {
    "not-asked-so": "!has(mixer.authzen)",
    "nobody": f"!({_SUBJECT}.id in ['alice', 'bob'])",
    "bob-only-reads": f"{_SUBJECT}.id == 'bob' && {_ACTION}.name == 'write' && !{_IS_ADMIN}",
    "archived": f"{_ACTION}.name == 'write' && has({_RESOURCE}.properties.status)"
    f" && {_RESOURCE}.properties.status == 'archived' && !{_IS_ADMIN}",
    "only-softly": f"{_ACTION}.name == 'delete'"
    f" && !(has({_ACTION}.properties.soft) && {_ACTION}.properties.soft == true)",
}
"""What the certification scenario of AuthZEN wants of its fixture."""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """With the policy in CEL, by the built-in adapter."""
    rules = [
        {"name": name, "match": match, "deny": {"code": 7, "message": name}}
        for name, match in POLICY.items()
    ]
    plugin = {
        "apiVersion": "extensions.istio.io/v1alpha1",
        "kind": "WasmPlugin",
        "metadata": {"name": "policy"},
        "spec": {"url": "builtin://policy", "pluginConfig": {"rules": rules}},
    }
    folder = tmp_path_factory.mktemp("authzen")
    with Engine(loads(yaml.safe_dump(plugin), base=folder, environ={})) as made:
        yield made


def question(subject: Any, action: Any, resource: Any, **more: Any) -> dict[str, Any]:
    return {"subject": subject, "action": action, "resource": resource, **more}


def deleting(soft: bool) -> dict[str, Any]:
    return {"name": "delete", "properties": {"soft": soft}}


QUESTIONS = [
    (question(ALICE, READ, RECORD), True),
    (question(ALICE, WRITE, RECORD), True),
    (question(BOB, READ, RECORD), True),
    (question(BOB, WRITE, RECORD), False),
    (question(ALICE, WRITE, ARCHIVED), False),
    (question(ADMIN, WRITE, ARCHIVED), True),
    (question(ALICE, deleting(True), RECORD), True),
    (question(ALICE, deleting(False), RECORD), False),
    (question({"type": "user", "id": "eve"}, READ, RECORD), False),
    (question(ALICE, READ, RECORD, context={"time": "2025-06-27T18:03-07:00"}), True),
    (question(ALICE, READ, RECORD, unknown={"x": [1]}, futureField=None), True),
]


@pytest.mark.parametrize(("asks", "expected"), QUESTIONS)
def test_an_evaluation(engine: Engine, asks: Any, expected: bool) -> None:
    """What the certification scenario asks, each one several times."""
    for path in ("/access/v1/evaluation", MANY, MANY):
        assert told(asked(engine, asks, path))["decision"] is expected
    assert told(asked(engine, asks | {"evaluations": []}, MANY))["decision"] is expected


def test_why_it_is_denied(engine: Engine) -> None:
    """The adapter's reason for those who run it, its words for those who asked."""
    assert told(asked(engine, question(BOB, WRITE, RECORD))) == {
        "decision": False,
        "context": {
            "reason_admin": {"403": "policy: denied_by_bob-only-reads"},
            "reason_user": {"403": "bob-only-reads"},
        },
    }


def test_an_adapter_that_fails(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A denial, with an error in its context."""
    failing = make_engine(plugins.plugin("one", adapter(do.trap)))
    answer = told(asked(failing, question(ALICE, READ, RECORD)))
    assert answer["decision"] is False
    assert answer["context"]["error"]["status"] == 503


BATCHES = [
    (question(BOB, None, RECORD, evaluations=[{"action": READ}, {"action": WRITE}]), [True, False]),
    (
        question(ALICE, WRITE, None, evaluations=[{"resource": RECORD}, {"resource": ARCHIVED}]),
        [True, False],
    ),
    (
        question(None, WRITE, ARCHIVED, evaluations=[{"subject": ALICE}, {"subject": ADMIN}]),
        [False, True],
    ),
    ({"evaluations": [question(ALICE, READ, RECORD), question(BOB, WRITE, RECORD)]}, [True, False]),
    (question(ALICE, WRITE, RECORD, evaluations=[{}, {"resource": ARCHIVED}]), [True, False]),
    (
        question(ADMIN, WRITE, ARCHIVED, evaluations=[{"subject": BOB}, {}]),
        [False, True],
    ),
]


@pytest.mark.parametrize(("asks", "expected"), BATCHES)
def test_several_evaluations(engine: Engine, asks: Any, expected: list[bool]) -> None:
    """Each with what it says itself, and whole defaults for what it does not; in order."""
    answer = asked(engine, {k: v for k, v in asks.items() if v is not None}, MANY)
    assert decisions(answer) == expected
    assert set(told(answer)) == {"evaluations"}


@pytest.mark.parametrize(
    ("semantic", "names", "expected"),
    [
        ("execute_all", "read write read", [True, False, True]),
        ("deny_on_first_deny", "read write read", [True, False]),
        ("deny_on_first_deny", "read read", [True, True]),
        ("permit_on_first_permit", "write read write", [False, True]),
        ("permit_on_first_permit", "write write", [False, False]),
    ],
)
def test_semantics(engine: Engine, semantic: str, names: str, expected: list[bool]) -> None:
    """How far the evaluations go; nothing is asked after that."""
    before = engine.decisions
    asks = {
        "subject": BOB, "resource": RECORD, "options": {"evaluations_semantic": semantic, "x": 1},
        "evaluations": [{"action": {"name": name}} for name in names.split()],
    }  # fmt: skip
    assert decisions(asked(engine, asks, MANY)) == expected
    assert engine.decisions - before == len(expected)


def test_one_of_several_is_malformed(engine: Engine) -> None:
    """It is denied with an error; the others are evaluated, unless that ends it."""
    asks = {
        "subject": ALICE, "action": READ,
        "evaluations": [{"resource": RECORD}, {}, "what", {"resource": {"type": 1, "id": "x"}},
                        {"resource": RECORD}],
    }  # fmt: skip
    answer = asked(engine, asks, MANY)
    assert decisions(answer) == [True, False, False, False, True]
    assert told(answer)["evaluations"][1]["context"]["error"] == {
        "status": 400,
        "message": "evaluations[1]: resource is missing",
    }
    options = {"options": {"evaluations_semantic": "deny_on_first_deny"}}
    assert decisions(asked(engine, asks | options, MANY)) == [True, False]


GOOD = question(ALICE, READ, RECORD)
BAD_BODIES = [
    b"", b"{", b"[]", b"null", b"true", b'"x"', b"\xef\xbb\xbf{}", b"\xff{}", b"{}",
    *(json.dumps({k: v for k, v in GOOD.items() if k != name}).encode() for name in GOOD),
    *(json.dumps(GOOD | {name: bad}).encode()
      for name in GOOD for bad in ("alice", 1, [], True, {}, None, [GOOD[name]])),
    *(json.dumps(GOOD | {"subject": ALICE | {key: bad}}).encode()
      for key in ("type", "id") for bad in (None, 1, [], {}, True, "x" * 4097)),
    json.dumps(GOOD | {"action": {"name": 123}}).encode(),
    json.dumps(GOOD | {"context": "x"}).encode(),
    json.dumps(GOOD | {"subject": ALICE | {"properties": []}}).encode(),
    json.dumps(GOOD)[:-1].encode() + b', "subject": {"type": "user", "id": "bob"}}',
    json.dumps(GOOD)[:-1].encode() + b', "\\u0073ubject": {"type": "user", "id": "bob"}}',
    json.dumps(GOOD | {"context": {"x": "\ud800"}}).encode(),
    json.dumps(GOOD)[:-1].encode() + b', "context": {"x": NaN}}',
    json.dumps(GOOD)[:-1].encode() + b', "context": {"x": -Infinity}}',
    json.dumps(GOOD)[:-1].encode() + b', "context": {"x": 1e999}}',
    json.dumps(GOOD)[:-1].encode() + b', "context": {"x": 9223372036854775808}}',
    json.dumps(GOOD)[:-1].encode() + b', "context": {"x": ' + b"9" * 5000 + b"}}",
    json.dumps(GOOD)[:-1].encode() + b', "context": ' + b'{"x":' * 40 + b"1" + b"}" * 41,
    b"[" * 100_000,
    b'{"x":' * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("path", ["/access/v1/evaluation", MANY])
@pytest.mark.parametrize("number", range(len(BAD_BODIES)))
def test_what_is_no_request(number: int, path: str) -> None:
    """It is refused in words, and nobody is asked."""
    answer = asked(None, BAD_BODIES[number], path)
    assert answer.status == 400
    assert answer.body.decode().strip()
    assert b"decision" not in answer.body


@pytest.mark.parametrize(
    "more",
    [
        {"evaluations": {}}, {"evaluations": "x"}, {"evaluations": [{}] * 257},
        {"options": []}, {"options": {"evaluations_semantic": "first"}},
        {"options": {"evaluations_semantic": ["execute_all"]}},
        {"evaluations": [{}], "subject": "alice"},
        {"evaluations": [{}], "context": 1},
    ],
)  # fmt: skip
def test_what_is_no_batch(more: Any) -> None:
    """What is wrong with all of it refuses all of it."""
    answer = asked(None, GOOD | more, MANY)
    assert answer.status == 400


@pytest.mark.parametrize(
    "kinds",
    [[], [b"text/plain"], [b"application/json", b"text/plain"], [b"application/jsonp"], [b""]],
)
def test_another_content_type(kinds: list[bytes]) -> None:
    """It is refused, as the certification scenario has it."""
    headers = [(b"content-type", kind) for kind in kinds]
    assert asked(None, GOOD, headers=headers).status == 400


def test_parameters_of_the_content_type(engine: Engine) -> None:
    """They do not matter: JSON is UTF-8."""
    headers = [(b"content-type", b"Application/JSON; charset=utf-8")]
    assert told(asked(engine, GOOD, headers=headers))["decision"] is True


def test_the_identifier_of_a_request(engine: Engine) -> None:
    """It comes back with every answer; none does where there was none."""
    name = b"x-request-id"
    for body, status in ((GOOD, 200), (b"{", 400)):
        answer = asked(engine, body, headers=[*JSON, (name, b"a b/1")])
        assert (answer.status, dict(answer.headers)[name]) == (status, b"a b/1")
        assert name not in dict(asked(engine, body).headers)


def test_metadata() -> None:
    """The endpoints, at the host that was asked."""
    path = "/.well-known/authzen-configuration"
    answer = asked(None, b"", path, [(b"host", b"pdp.example.com:8443")], b"GET")
    assert told(answer) == {
        "policy_decision_point": "https://pdp.example.com:8443",
        "access_evaluation_endpoint": "https://pdp.example.com:8443/access/v1/evaluation",
        "access_evaluations_endpoint": "https://pdp.example.com:8443/access/v1/evaluations",
    }
    for hosts in ([], [b""], [b"a/b"], [b"a", b"b"], [b'a"'], [b"user@a"], [b"a:99999999"]):
        headers = [(b"host", host) for host in hosts]
        assert asked(None, b"", path, headers, b"GET").status == 400


def test_answers_that_are_kept(make_engine: MakeEngine, plugins: Plugins) -> None:
    """The cache of decisions knows what was read of a request, absences included."""
    text = adapter(
        do.where_property("mixer\0authzen\0resource\0properties\0status", "archived", do.deny(403)),
        do.where_true("mixer.authzen.subject.id == 'eve'", do.deny(401)),
    )
    validity = {"valid-duration": "1h", "valid-use-count": "100"}
    keeping = make_engine(plugins.plugin("one", text, validity))
    eve = {"type": "user", "id": "eve"}
    for _ in range(2):
        assert told(asked(keeping, question(ALICE, READ, RECORD)))["decision"] is True
        assert told(asked(keeping, question(ALICE, READ, ARCHIVED)))["decision"] is False
        assert told(asked(keeping, question(eve, READ, RECORD)))["decision"] is False


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(["subject", "action", "resource", "context", "type", "id", "name",
                         "properties", "evaluations", "options", "evaluations_semantic"]),
        inner, max_size=5),
    max_leaves=25,
)  # fmt: skip


@given(_JSON | st.binary(max_size=40), st.sampled_from(["/access/v1/evaluation", MANY]))
def test_nothing_is_allowed_by_accident(body: Any, path: str) -> None:
    """Whatever is sent: without a decision of the engine there is no permission."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    (endpoint,) = [one for one in ENDPOINTS if one.path == path]
    asking = endpoint.answer(HttpCall(b"POST", path.encode(), JSON, data))
    denial = Decision(Verdict.DENY, adapter="a", response=Response(403))
    try:
        next(asking)
        while True:
            asking.send(denial)
    except StopIteration as end:
        answer = end.value
    assert answer.status in (200, 400)
    assert b"true" not in answer.body


@given(st.text(max_size=20), st.binary(max_size=20), st.integers(200, 599))
def test_every_denial_can_be_told(reason: str, body: bytes, status: int) -> None:
    """It is JSON, whatever an adapter said, and no permission."""
    for verdict in (Verdict.DENY, Verdict.ERROR):
        decision = Decision(
            verdict, adapter="a", reason=reason, response=Response(status, (), body)
        )
        said = told_decision(decision)
        assert json.loads(json.dumps(said))["decision"] is False


@pytest.mark.parametrize("value", [b"1", b'""', b"true", b"{}", b"[[]]"])
def test_a_body_of_many_values(value: bytes) -> None:
    """It is refused before it is read."""
    each = 1 + value.count(b"[") + value.count(b"{")
    most = b'{"a":[' + b",".join([value] * ((MOST_PARTS - 1) // each)) + b"]}"
    assert read_object(most)["a"]
    with pytest.raises(MalformedError, match=f"more than {MOST_PARTS} commas and brackets"):
        read_object(most[:-2] + b",1,1]}")
