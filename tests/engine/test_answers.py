"""A local response on its way back through the adapters' response callbacks."""

from typing import Any

import pytest

from mixer.engine import AdapterState, Response, Verdict
from tests.engine.conftest import MakeEngine, Plugins, request
from tests.support import adapters as do
from tests.support.adapters import adapter

TEXT = (b"content-type", b"text/plain")


def marks(value: str, **callbacks: Any) -> str:
    """An adapter that marks a response."""
    return adapter(response_headers=[do.add_to_response("x-mark", value)], **callbacks)


def test_own_response_callbacks_change_the_answer(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """Status, headers and body of an answer are what its adapter's response callbacks leave."""
    text = adapter(
        do.deny(403, "no", "details"),
        response_headers=[do.set_status(418), do.add_to_response("x-more", "m")],
        response_body=[do.set_body("a longer one", kind=1)],
    )
    decision = make_engine(plugins.plugin("one", text)).decide(request())
    assert decision.verdict is Verdict.DENY
    assert decision.reason == "details"
    assert decision.response == Response(418, (TEXT, (b"x-more", b"m")), b"a longer one")


def test_answer_passes_the_other_adapters_last_one_first(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """Every adapter that saw the request sees the answer, in the opposite order; no other does."""
    engine = make_engine(
        plugins.plugin("a", marks("a"), priority=4),
        plugins.plugin("b", marks("b"), priority=3),
        plugins.plugin("c", adapter(do.deny(403, "no")), priority=2),
        plugins.plugin("d", marks("d"), priority=1),
    )
    decision = engine.decide(request())
    assert decision.adapter == "c"
    assert decision.response == Response(403, (TEXT, (b"x-mark", b"b"), (b"x-mark", b"a")), b"no")


def test_answer_to_an_answer(make_engine: MakeEngine, plugins: Plugins) -> None:
    """An answer from the response headers takes the place of the first, and passes nobody."""
    engine = make_engine(
        plugins.plugin("before", marks("1"), priority=2),
        plugins.plugin(
            "one", adapter(do.deny(403, "no"), response_headers=[do.deny(500, "oh", "second")])
        ),
    )
    decision = engine.decide(request())
    assert (decision.verdict, decision.reason) == (Verdict.DENY, "second")
    assert decision.response == Response(500, (TEXT,), b"oh")


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ([do.trap], "trap_unreachable"),
        ([do.close], "closed_the_stream"),
        ([do.answer(1)], "paused_for_ever"),
    ],
)
def test_failure_in_a_response_callback(
    make_engine: MakeEngine, plugins: Plugins, steps: list[do.Step], reason: str
) -> None:
    """An answer that does not come back is an error, and the next request is served again."""
    text = adapter(do.when("x-deny", do.deny(403)), response_headers=steps)
    engine = make_engine(plugins.plugin("one", text))
    decision = engine.decide(request(("x-deny", "1")))
    assert (decision.verdict, decision.reason) == (Verdict.ERROR, reason)
    assert decision.response == Response(503)
    assert (engine.adapters[0].state is AdapterState.FAILED) is (steps == [do.trap])


def test_trap_does_not_fail_open(make_engine: MakeEngine, plugins: Plugins) -> None:
    """An adapter that traps on the way back is an error with FAIL_OPEN too; refused is refused."""
    text = adapter(do.deny(403, "no"), response_headers=[do.set_status(200), do.trap])
    engine = make_engine(plugins.plugin("one", text, failStrategy="FAIL_OPEN"))
    decision = engine.decide(request())
    assert (decision.verdict, decision.failed_open) == (Verdict.ERROR, ())
    assert decision.response == Response(503)


def test_answer_of_adapters_without_response_callbacks(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """Where nobody looks at responses, an answer is as it was sent."""
    decision = make_engine(plugins.plugin("one", adapter(do.deny(403, "no")))).decide(request())
    assert decision.response == Response(403, (), b"no")


def test_a_status_that_is_absurd_is_unusable(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A module may write anything as the status of its answer; the request is denied."""
    text = adapter(do.deny(403, "no"), response_headers=[do.set_status(int("9" * 5))])
    decision = make_engine(plugins.plugin("a", text)).decide(request())
    assert decision.verdict is Verdict.DENY
    assert decision.response is not None
    assert decision.response.status == 0
