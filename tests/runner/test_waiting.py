"""Runs of streams that pause: time jumps where there is no network."""

import asyncio

from mixer.callouts.ports import HttpCall, HttpReply
from mixer.proxywasm import PluginSettings
from mixer.runner import RunPlugin, RunReport, RunRequest, RunResponse, run_request
from mixer.runner.waiting import LoopWaiter
from mixer.testing import FakeCallouts
from tests.support import adapters as do
from tests.support.adapters import adapter
from tests.support.compile import wasm

HEADERS = ((":path", "/"), (":method", "GET"))
PLUGIN = RunPlugin(PluginSettings("run"))
RESUMED_BY_A_TICK = adapter(
    do.note_stream,
    do.answer(3),
    configure=[do.tick(5_000)],
    tick=[do.log("tick"), do.in_noted_stream(do.add("x-late", "1"), do.resume)],
)
ASKING = adapter(
    do.callout("auth"),
    do.answer(3),
    http_call_response=[do.in_stream(do.if_called("4", do.deny(403)), do.resume)],
)


def ran(text: str, **more: object) -> RunReport:
    """Run a request."""
    return run_request(wasm(text), RunRequest(HEADERS, PLUGIN, **more))  # type: ignore[arg-type]


def test_a_tick_resumes_the_request() -> None:
    """The run waits for it, without taking the time."""
    report = ran(RESUMED_BY_A_TICK)
    assert report.verdict == "allow"
    assert [c.name for c in report.header_changes] == [b"x-late"]


def test_it_does_not_wait_for_ever() -> None:
    """A pause that nothing ends in time is the verdict."""
    assert ran(RESUMED_BY_A_TICK, wait=4.0).verdict == "pause"
    assert ran(adapter(do.answer(3))).verdict == "pause"


def test_time_before_the_request() -> None:
    """Ticks come in the time that passes before."""
    report = ran(adapter(configure=[do.tick(1_000)], tick=[do.log("tick")]), advance=3.5)
    assert [text for _, text in report.logs] == ["tick"] * 3


def test_a_trap_in_a_tick() -> None:
    """It is the verdict, with its reason."""
    report = ran(adapter(configure=[do.tick(1_000)], tick=[do.trap]), advance=2.0)
    assert report.verdict == "trap"
    assert "unreachable" in report.trap


def test_a_pause_in_the_response() -> None:
    """The response waits as well."""
    text = adapter(
        configure=[do.tick(1_000)],
        response_headers=[do.note_stream, do.answer(3)],
        tick=[do.in_noted_stream(do.add_to_response("x-late", "1"), do.resume_response)],
    )
    report = ran(text, response=RunResponse(((":status", "200"),)))
    assert report.verdict == "allow"
    assert report.sent is not None
    assert report.sent.headers["x-late"] == "1"


class _Answering(FakeCallouts):
    """Answers by itself, soon."""

    def __init__(self, status: int, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._status, self._loop = status, loop

    def http_call(self, call: HttpCall, done):  # type: ignore[no-untyped-def]
        reply = HttpReply(((b":status", b"%d" % self._status),))
        return self._loop.call_later(0.001, done, reply).cancel


def test_real_callouts_in_an_event_loop() -> None:
    """With a network the run waits in a loop."""
    for status, verdict in ((200, "allow"), (404, "deny")):
        with asyncio.Runner() as runner:
            waiter = LoopWaiter(runner, _Answering(status, runner.get_loop()))
            report = run_request(wasm(ASKING), RunRequest(HEADERS, PLUGIN), waiter=waiter)
        assert report.verdict == verdict


def test_without_a_network() -> None:
    """A callout is refused with its reason in the log, and the request waits for nothing."""
    report = ran(ASKING)
    assert report.verdict == "pause"
    assert any("no cluster 'auth': this run names none" in text for _, text in report.logs)
