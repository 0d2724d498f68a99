"""Many calls in a few numbers."""

from array import array

from mixer.cli.mixer_v1.calls import Calls, Failure, Tally
from mixer.cli.mixer_v1.summary import summarize


def test_latencies_are_quantiles_of_the_answered_calls() -> None:
    """p50 and p99 are latencies that were measured: half, and 99 of 100, took no longer."""
    tally = Tally(latencies=array("d", [number / 1000 for number in range(200, 0, -1)]))
    tally.fail(Failure("UNAVAILABLE", "first"))
    tally.fail(Failure("UNAVAILABLE", "second"), 2)
    summary = summarize(Calls(tally, seconds=2.0, interrupted=False))
    rounded = {name: round(value, 6) for name, value in summary.latencies.items()}
    assert rounded == {"p50": 100, "p99": 198, "max": 200}
    assert (summary.calls, summary.failed, summary.per_second) == (203, 3, 100)
    assert summary.failures == ((Failure("UNAVAILABLE", "first"), 3),)


def test_no_answer_at_all() -> None:
    """There is no latency of nothing."""
    summary = summarize(Calls(Tally(), seconds=0.0, interrupted=True))
    assert (summary.latencies, summary.per_second) == ({}, 0.0)
