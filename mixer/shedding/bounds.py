"""What is refused, as values."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WaitBound:
    """How long callers may wait.

    Attributes:
        threshold: Seconds, above 0.
        window: Seconds for which the wait must exceed the threshold before anything is refused.
    """

    threshold: float
    window: float


@dataclass(frozen=True, slots=True)
class RateBound:
    """How much may come.

    Attributes:
        per_second: Units a second, above 0.
        burst: Units at once, at least 1.
    """

    per_second: float
    burst: int


@dataclass(frozen=True, slots=True)
class Bounds:
    """All of it; None does not bound.

    Attributes:
        enforced: Whether what exceeds a bound is refused, or only counted and logged.
        max_concurrent: Units in progress of each kind, at least 1.
        wait: Seconds that callers may wait.
        rate: Units a second of each kind.
    """

    enforced: bool = True
    max_concurrent: int | None = None
    wait: WaitBound | None = None
    rate: RateBound | None = None
