"""What is told of the ledger; nothing where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixer.telemetry.family import Kind, Sample
from mixer.telemetry.observed import Observed, OwnMetric, Read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mixer.state.ledger import GroupCommit


def _records(commits: GroupCommit) -> Iterator[Sample]:
    """Records of this process, by what became of them."""
    stats = commits.stats
    for result, count in (
        ("stored", stats.records),
        ("duplicate", stats.duplicates),
        ("conflict", stats.conflicts),
        ("refused", stats.refused),
        ("withdrawn", stats.withdrawn),
    ):
        yield Sample((("result", result),), count)


def _attempts(commits: GroupCommit) -> Iterator[Sample]:
    """Commits, by whether they succeeded."""
    yield Sample((("result", "ok"),), commits.stats.commits)
    yield Sample((("result", "error"),), commits.stats.failures)


def _commit_microseconds(commits: GroupCommit) -> Iterator[Sample]:
    """How long all commits took together."""
    yield Sample((), commits.stats.commit_ns // 1000)


def _pending(commits: GroupCommit) -> Iterator[Sample]:
    """Records that are taken on and not stored."""
    yield Sample((), commits.pending)


def _pending_bytes(commits: GroupCommit) -> Iterator[Sample]:
    """Their bytes."""
    yield Sample((), commits.pending_bytes)


def _failing(commits: GroupCommit) -> Iterator[Sample]:
    """Whether the last commit failed."""
    yield Sample((), int(bool(commits.failing)))


def _ledger(read: Callable[[GroupCommit], Iterable[Sample]]) -> Read:
    def samples(observed: Observed) -> Iterable[Sample]:
        commits = observed.engine.commits
        return () if commits is None else read(commits)

    return samples


_C, _G = Kind.COUNTER, Kind.GAUGE

LEDGER_METRICS = (
    OwnMetric("mixer_ledger_records_total", "mixer.ledger.records", _C, "{record}",
              "Records for the ledger, by what became of them.", _ledger(_records)),
    OwnMetric("mixer_ledger_commits_total", "mixer.ledger.commits", _C, "{commit}",
              "Commits of the ledger, by whether they succeeded.", _ledger(_attempts)),
    OwnMetric("mixer_ledger_commit_microseconds_total", "mixer.ledger.commit.time", _C, "us",
              "How long the commits of the ledger took together.",
              _ledger(_commit_microseconds)),
    OwnMetric("mixer_ledger_pending_records", "mixer.ledger.pending", _G, "{record}",
              "Records that wait for the ledger.", _ledger(_pending)),
    OwnMetric("mixer_ledger_pending_bytes", "mixer.ledger.pending.size", _G, "By",
              "Bytes of the records that wait for the ledger, with 512 more for each.",
              _ledger(_pending_bytes)),
    OwnMetric("mixer_ledger_failing", "mixer.ledger.failing", _G, "1",
              "1 while the last commit of the ledger failed, else 0.", _ledger(_failing)),
)  # fmt: skip
"""What the ledger takes, and how."""
