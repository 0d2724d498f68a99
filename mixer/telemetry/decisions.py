"""What is told of the decision log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixer.telemetry.decision_log import DecisionLogger
from mixer.telemetry.family import Sample

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mixer.engine import Engine


def told(engine: Engine) -> Iterator[Sample]:
    """Decisions that were told."""
    log = engine.decision_log
    if isinstance(log, DecisionLogger):
        yield Sample((), log.told)


def written(engine: Engine) -> Iterator[Sample]:
    """Those that were written, by place."""
    log = engine.decision_log
    if isinstance(log, DecisionLogger):
        yield from (Sample((("to", one.kind),), one.written) for one in log.writers)


def dropped(engine: Engine) -> Iterator[Sample]:
    """Those that were not, by place; ``too_many`` were not even told."""
    log = engine.decision_log
    if isinstance(log, DecisionLogger):
        yield Sample((("to", "too_many"),), log.too_many)
        yield from (Sample((("to", one.kind),), one.dropped) for one in log.writers)
