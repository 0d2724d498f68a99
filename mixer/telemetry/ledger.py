"""What is told of the ledger; nothing where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixer.telemetry.family import Sample

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mixer.state.ledger import GroupCommit


def records(commits: GroupCommit) -> Iterator[Sample]:
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


def attempts(commits: GroupCommit) -> Iterator[Sample]:
    """Commits, by whether they succeeded."""
    yield Sample((("result", "ok"),), commits.stats.commits)
    yield Sample((("result", "error"),), commits.stats.failures)


def commit_microseconds(commits: GroupCommit) -> Iterator[Sample]:
    """How long all commits took together."""
    yield Sample((), commits.stats.commit_ns // 1000)


def pending(commits: GroupCommit) -> Iterator[Sample]:
    """Records that are taken on and not stored."""
    yield Sample((), commits.pending)


def pending_bytes(commits: GroupCommit) -> Iterator[Sample]:
    """Their bytes."""
    yield Sample((), commits.pending_bytes)


def failing(commits: GroupCommit) -> Iterator[Sample]:
    """Whether the last commit failed."""
    yield Sample((), int(bool(commits.failing)))
