"""A row of the table of the service's own metrics, and what it is read from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mixer.telemetry.family import Family, Kind, Sample

if TYPE_CHECKING:
    from mixer.engine import Engine
    from mixer.shedding import Shedder
    from mixer.telemetry.access import Access
    from mixer.telemetry.calls import Calls
    from mixer.telemetry.modules import ModuleMetrics


@dataclass(slots=True)
class SpanCounts:
    """What became of spans.

    Attributes:
        sent: Those that a receiver took.
        dropped: Those for which there was no room, since it was too slow.
        failed: Those that it did not take.
    """

    sent: int = 0
    dropped: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Observed:
    """What the service's own metrics are read from.

    Attributes:
        engine: Adapters, decisions, and what is shared.
        modules: What became of the metrics of modules.
        shedder: What is refused; None where nothing is.
        access: Who can reach the listeners; None where there are none.
        calls: What the front ends count; None where there are none.
        spans: What became of spans; None where there are none.
    """

    engine: Engine
    modules: ModuleMetrics
    shedder: Shedder | None = None
    access: Access | None = None
    calls: Calls | None = None
    spans: SpanCounts | None = None


Read = Callable[[Observed], Iterable[Sample]]


@dataclass(frozen=True, slots=True)
class OwnMetric:
    """A row of the table.

    Attributes:
        name: As Prometheus gets it.
        otel_name: As OpenTelemetry gets it.
        kind: What it is.
        unit: In UCUM's notation.
        help: What it means, with its unit.
        read: Its values now.
    """

    name: str
    otel_name: str
    kind: Kind
    unit: str
    help: str
    read: Read

    def family(self, observed: Observed) -> Family:
        """Its values now, with their names."""
        samples = tuple(self.read(observed))
        return Family(self.name, self.kind, samples, self.otel_name, self.help, self.unit)
