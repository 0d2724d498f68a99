"""What ``mixer explain`` prints."""

from envoy.service.auth.v3 import external_auth_pb2

from mixer.cli.explain_report import render
from mixer.engine import Decision, Verdict
from mixer.telemetry.decision_log import entry_of
from mixer.wire import admin_pb2 as pb
from tests.telemetry.test_decision_log import asked

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
