"""What is told of load shedding."""

from collections.abc import Iterator

from mixer.shedding import Gate, Shedder
from mixer.telemetry.family import Labels, Sample


def admitted(shedder: Shedder) -> Iterator[Sample]:
    """Requests that were taken on, by front end and kind."""
    return (Sample(_labels(gate), gate.admitted) for gate in shedder.gates)


def shed(shedder: Shedder) -> Iterator[Sample]:
    """Requests that were refused, by bound as well."""
    return _refused(shedder, is_told=shedder.enforced)


def would_shed(shedder: Shedder) -> Iterator[Sample]:
    """Requests that were taken on although they exceeded a bound."""
    return _refused(shedder, is_told=not shedder.enforced)


def _refused(shedder: Shedder, *, is_told: bool) -> Iterator[Sample]:
    for gate in shedder.gates:
        for reason, count in gate.refused.items():
            labels = (*_labels(gate), ("reason", reason.value))
            yield Sample(labels, count if is_told else 0)


def _labels(gate: Gate) -> Labels:
    return (("front_end", gate.front_end), ("kind", gate.kind.value))


def in_progress(shedder: Shedder) -> Iterator[Sample]:
    """Units that are in progress, by kind."""
    for kind, lane in shedder.lanes.items():
        yield Sample((("kind", kind.value),), lane.in_progress)


def latency(shedder: Shedder) -> Iterator[Sample]:
    """The wait of callers, in microseconds, where it is measured."""
    if shedder.wait is not None:
        yield Sample((), round(shedder.wait.wait * 1e6))


def share(shedder: Shedder) -> Iterator[Sample]:
    """The share that is refused for it, in percent."""
    if shedder.wait is not None:
        yield Sample((), round(shedder.wait.share * 100))
