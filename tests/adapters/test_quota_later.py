"""The quota adapter over counters that answer later, or not at all."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mixer.state.quota import Answer, MemoryQuotas, QuotaCounts, Take
from mixer.testing import Host, Outcome, Plugin, Stream

QUOTA = {"name": "q", "max": 2, "window": "1m"}


class LateQuotas:
    """Counters of which the test says when they answer."""

    def __init__(self) -> None:
        self.counts = QuotaCounts()
        self.memory = MemoryQuotas()
        self.waiting: list[_Late] = []

    def take(self, vm_id: str, take: Take) -> "_Late":
        answer = self.memory.take(vm_id, take)
        self.waiting.append(_Late(answer))
        return self.waiting[-1]

    def __len__(self) -> int:
        return 0

    def close(self) -> None:
        """Nothing is held."""


class _Late:
    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.done: Callable[[Answer], None] | None = None
        self.cancelled = False

    def wait(self, done: Callable[[Answer], None]) -> None:
        self.done = done

    def cancel(self) -> None:
        self.cancelled = True

    def come(self, answer: Answer | None = None) -> None:
        assert self.done is not None
        self.done(answer or self.answer)


class NoQuotas(LateQuotas):
    """Counters that cannot be reached."""

    def take(self, vm_id: str, take: Take) -> Any:
        del vm_id, take
        return Answer(())


@pytest.fixture
def host() -> Iterator[Host]:
    """A host with a clock of its own."""
    with Host() as one:
        yield one


def load(host: Host, counters: LateQuotas, **settings: Any) -> Plugin:
    """A plugin over these counters, with what it asked at its start answered."""
    host.quotas = quotas = counters
    plugin = host.load("builtin://quota", {"quotas": [QUOTA], **settings})
    while quotas.waiting:
        quotas.waiting.pop().come()
    return plugin


def ask(plugin: Plugin, amount: int) -> Stream:
    quota = {"name": "q", "amount": amount, "best_effort": False}
    return plugin.request(properties={"mixer.operation": "quota", "mixer.quota": quota})


def test_a_request_waits_for_its_answer(host: Host) -> None:
    """It is paused, and goes on or is refused when the answer is there, in any order."""
    quotas = LateQuotas()
    plugin = load(host, quotas, rateLimitHeaders=True)
    streams = [plugin.request() for _ in range(3)]
    assert {stream.outcome for stream in streams} == {Outcome.PAUSE}
    for late in reversed(quotas.waiting):
        late.come()
    host.advance()
    found = [stream.outcome for stream in streams]
    assert found == [Outcome.CONTINUE, Outcome.CONTINUE, Outcome.RESPOND]
    assert streams[1].properties[b"mixer.response_header.ratelimit"].startswith(b'"q";r=0;t=')
    assert streams[2].local_response is not None
    assert streams[2].local_response.details == "quota_exhausted:q"
    assert dict(streams[2].local_response.headers)[b"retry-after"] == b"60"


def test_an_amount_waits_for_its_answer(host: Host) -> None:
    """What is granted is told when it is known."""
    quotas = LateQuotas()
    plugin = load(host, quotas)
    stream = ask(plugin, 2)
    assert b"mixer.quota.granted" not in stream.properties
    quotas.waiting.pop().come()
    host.advance()
    assert stream.outcome is Outcome.CONTINUE
    assert stream.properties[b"mixer.quota.granted"] == b"2"


def test_who_does_not_wait_any_more_is_not_told(host: Host) -> None:
    """The answer for a stream that is gone changes nothing, and others get theirs."""
    quotas = LateQuotas()
    plugin = load(host, quotas)
    gone, other = plugin.request(), plugin.request()
    gone.close()
    first, second = quotas.waiting
    assert first.cancelled
    second.come()
    host.advance()
    assert other.outcome is Outcome.CONTINUE


@pytest.mark.parametrize(
    ("on_error", "outcome"), [("deny", Outcome.RESPOND), ("allow", Outcome.CONTINUE)]
)
@pytest.mark.parametrize("later", [False, True])
def test_counters_that_cannot_be_reached(
    host: Host, on_error: str, outcome: Outcome, *, later: bool
) -> None:
    """A request, and who asks for an amount, gets what is configured; a shadow refuses nobody."""
    quotas = LateQuotas() if later else NoQuotas()
    for quota, expected in ((QUOTA, outcome), (QUOTA | {"shadow": True}, Outcome.CONTINUE)):
        plugin = load(host, quotas, onError=on_error, quotas=[quota])
        request, amount = plugin.request(), ask(plugin, 5)
        for late in quotas.waiting:
            late.come(Answer(()))
        host.advance()
        assert request.outcome is expected
        granted = b"0" if expected is Outcome.RESPOND else b"5"
        assert amount.properties[b"mixer.quota.granted"] == granted
        if expected is Outcome.RESPOND:
            for stream in (request, amount):
                assert stream.local_response is not None
                assert stream.local_response.details == "quota_unavailable:q"
        quotas.waiting.clear()


@pytest.mark.parametrize("count", [0, 2])
def test_an_answer_of_another_length_is_none(host: Host, count: int) -> None:
    """Never an allow by accident."""
    quotas = LateQuotas()
    plugin = load(host, quotas)
    stream = plugin.request()
    late = quotas.waiting.pop()
    late.come(Answer(late.answer.standings * count))
    host.advance()
    assert stream.outcome is Outcome.RESPOND
