"""Who watches the calls of the front ends."""

from dataclasses import dataclass, field

from mixer.telemetry import Calls
from mixer.telemetry.tracing import Tracer


@dataclass(frozen=True, slots=True)
class Watch:
    """Counts every call, and gives some a span.

    Attributes:
        calls: What is counted.
        tracer: Makes the spans; None makes none.
    """

    calls: Calls = field(default_factory=Calls)
    tracer: Tracer | None = None
