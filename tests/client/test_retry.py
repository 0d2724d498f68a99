"""When a call is tried again."""

import pytest

from mixer.client import RetrySettings
from mixer.client.retry import Backoff, Failure
from tests.client.answers import answer
from tests.client.offline import Offline


@pytest.mark.parametrize(
    ("chance", "delays"),
    [
        (0.0, [0.08] * 7),
        (1.0, [0.08, 0.16, 0.32, 0.64, 1.0, 1.0, 1.0]),
        (0.5, [0.08, 0.12, 0.2, 0.36, 0.54, 0.54, 0.54]),
    ],
)
def test_the_backoff_is_that_of_istio(chance: float, delays: list[float]) -> None:
    """By chance between 80 ms and as much as doubles, up to 1 s."""
    backoff = Backoff(RetrySettings(), lambda: chance)
    assert [backoff.delay(tries) for tries in range(1, 8)] == pytest.approx(delays)
    assert backoff.delay(100_000) == pytest.approx(delays[-1])


def test_no_pause_goes_beyond_the_deadline() -> None:
    """What is left of it, the last try may use."""

    def server(_: object, __: object) -> Failure:
        client.clock.advance(1.0)
        return Failure(14, "down")

    client = Offline(server, retry=RetrySettings(retries=100, base=0.5, most=0.5))
    assert client.check({}).code == 14
    assert client.pauses == [0.5] * 3
    assert len(client.requests) == 4


@pytest.mark.parametrize("code", range(1, 17))
def test_which_failures_are_tried_again(code: int) -> None:
    """Those that another try can mend: CANCELLED, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, ABORTED
    and UNAVAILABLE."""
    replies = [Failure(code, "once"), answer()]
    client = Offline(lambda *_: replies.pop(0), retry=RetrySettings(retries=1))
    assert client.check({}).ok == (code in {1, 4, 8, 10, 14})


@pytest.mark.parametrize(
    "told",
    [
        "grpc: received message larger than max (2097168 vs. 1048576)",
        "SERVER: Received message larger than max (6291479 vs. 4194304)",
    ],
)
def test_what_is_too_large_stays_so(told: str) -> None:
    """A refusal of gRPC itself, for the message's size, has the code of an exhausted server."""
    assert not Failure(8, told).retryable
    assert Failure(8, "overloaded").retryable
