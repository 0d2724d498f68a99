"""What ``mixer explain`` prints."""

from typing import Any

from envoy.service.auth.v3 import external_auth_pb2

from mixer.api import ext_authz
from mixer.attributes import HeaderChange
from mixer.cli.explain_report import render
from mixer.engine import Decision, HeaderOperation, Operation, Verdict
from mixer.telemetry.decision_log import entry_of
from mixer.wire import admin_pb2 as pb
from tests.telemetry.test_decision_log import asked

READS = {
    'request.headers["x-a"]': "alice, set by auth",
    'request.headers["x-b"]': "absent",
    "request.path": "/p",
    "request.host": "h",
}
CHANGED_BY = {'request.headers["x-a"]': "one", 'request.headers["x-b"]': "two", "request.path": ""}


def reads(**of_adapter: Any) -> list[str]:
    """What is printed of what an adapter looked at."""
    entry = entry_of("explain", asked(), Decision(Verdict.ALLOW, ("a",), "a"))
    told = entry | {"adapters": [{"name": "a", "us": 1, **of_adapter}]}
    return [line for line in render([told], pb.ExplainResponse()).splitlines() if "read " in line]


def test_what_others_had_changed() -> None:
    """It is told where no value can be taken for it."""
    assert reads(reads=READS, changed_by=CHANGED_BY) == [
        '    read request.headers["x-a"] (set by one) = alice, set by auth',
        '    read request.headers["x-b"] (removed by two) = absent',
        "    read request.path (changed before) = /p",
        "    read request.host = h",
    ]
    assert reads(reads=list(READS), changed_by=CHANGED_BY)[0] == (
        '    read request.headers["x-a"] (changed by one)'
    )


def head(verdict: Verdict, *ran: str, **more: Any) -> str:
    """The line about a decision, by whom it was made."""
    made = Decision(verdict, ran, ran[-1] if ran else "", **more)
    told = entry_of("x", asked(), made)
    if ran:
        told |= {"adapters": [{"name": name, "us": 1} for name in ran]}
    return render([told], pb.ExplainResponse()).partition("\n")[0].removeprefix("GET '/orders': ")


def test_who_decided() -> None:
    """One that denies; what is allowed was let pass by all, but for those that failed."""
    assert head(Verdict.ALLOW, "a", "b", "c") == "ALLOW, by all of a, b, c"
    assert head(Verdict.ALLOW, "a", "b", "c", failed_open=("b",)) == "ALLOW, by all of a, c"
    assert head(Verdict.ALLOW, "a", "b", rule="r") == "ALLOW, by all of a, b"
    assert head(Verdict.ALLOW, "a", rule="r") == "ALLOW by a (rule r)"
    assert head(Verdict.DENY, "a", "b", reason="why") == "DENY by b: why"
    assert head(Verdict.ALLOW) == "ALLOW by no adapter"
    without_story = entry_of("x", asked(), Decision(Verdict.ALLOW, ("a", "b"), "b"))
    assert "ALLOW, last by b" in render([without_story], pb.ExplainResponse())


def test_what_the_client_gets() -> None:
    """Headers for the upstream and for the client are told apart, and how they are put in."""
    operations = (HeaderOperation(b"ratelimit", b"9"),
                  HeaderOperation(b"vary", b"accept", Operation.APPEND))  # fmt: skip
    changes = (HeaderChange(b"x-user", (b"ann",)), HeaderChange(b"x-key", ()))
    made = Decision(
        Verdict.ALLOW, ("a",), "a", request_headers=changes, response_operations=operations
    )
    answer = pb.ExplainResponse(check_response=ext_authz.encode(made))
    assert render([], answer).splitlines() == [
        "what Envoy would get",
        "  set x-user: ann",
        "  remove x-key",
        "  response: set ratelimit: 9",
        "  response: add vary: accept",
    ]
    only = Decision(Verdict.ALLOW, response_operations=operations[:1])
    answer = pb.ExplainResponse(check_response=ext_authz.encode(only))
    assert render([], answer).splitlines()[1:] == ["  response: set ratelimit: 9"]


ESCAPE = "\x1b]0;evil\x07\nGET '/': ALLOW"


def test_nothing_reaches_the_terminal_as_it_came() -> None:
    """What modules and callers say is on one line, and no terminal obeys it."""
    response = external_auth_pb2.CheckResponse()
    response.denied_response.status.code = 403
    response.denied_response.body = ESCAPE
    response.denied_response.headers.add().header.key = "x-why"
    response.denied_response.headers[0].header.raw_value = ESCAPE.encode()
    entry = entry_of("explain", asked(), Decision(Verdict.DENY, ("a",), "a", ESCAPE))
    answer = pb.ExplainResponse(check_response=response.SerializeToString())
    text = render([entry], answer)
    assert text.count("evil") == 3
    assert all(line.isprintable() for line in text.splitlines())
    assert sum("ALLOW" in line for line in text.splitlines()) == 3
    assert r"set x-why: \x1b]0;evil\x07\nGET '/': ALLOW" in text
