"""``spec.loadShedding`` of the ``Mixer`` document: what is refused when there is too much."""

from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from mixer.config.model import Choice, Model
from mixer.config.units import duration_between

LatencyThreshold = Annotated[float, BeforeValidator(duration_between("5ms", "1m"))]
LatencyWindow = Annotated[float, BeforeValidator(duration_between("10ms", "1m"))]


class SheddingMode(StrEnum):
    """What becomes of a request that exceeds a bound."""

    DISABLED = "DISABLED"
    LOG_ONLY = "LOG_ONLY"
    ENFORCE = "ENFORCE"


class LatencyShedding(Model):
    """Refuses a share of the requests while callers wait too long.

    Attributes:
        threshold: Seconds that a caller may wait, 5ms to 1m; a duration in YAML.
        window: Seconds for which the wait must be longer before anything is refused, 10ms to 1m.
    """

    threshold: LatencyThreshold
    window: LatencyWindow = 0.1


class RateShedding(Model):
    """Refuses what comes too fast, checks and records of reports each for themselves.

    Attributes:
        requests_per_second: Checks, and records of reports, in a second; 1 to 10000000.
        burst: How many at once, 1 to 10000000; None is as many as in a second.
    """

    requests_per_second: Annotated[int, Field(ge=1, le=10_000_000)]
    burst: Annotated[int, Field(ge=1, le=10_000_000)] | None = None


class LoadShedding(Model):
    """Which bounds there are, and whether they are kept.

    Attributes:
        max_concurrent: Checks, and records of reports, in progress; 1 to 1000000. None bounds
            neither.
        latency: How long callers may wait; None bounds it not.
        rate: How fast requests may come; None bounds it not.
        mode: Nothing is counted or refused unless configured.
    """

    max_concurrent: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    latency: LatencyShedding | None = None
    rate: RateShedding | None = None
    mode: Choice[SheddingMode] = SheddingMode.DISABLED

    @field_validator("mode")
    @classmethod
    def _of_a_bound(cls, mode: SheddingMode, info: ValidationInfo) -> SheddingMode:
        bounds = [info.data.get(name, ...) for name in ("max_concurrent", "latency", "rate")]
        if mode is not SheddingMode.DISABLED and bounds == [None] * len(bounds):
            raise ValueError(f"{mode} needs maxConcurrent, latency or rate")
        return mode
