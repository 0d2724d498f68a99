"""Many calls in a few numbers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mixer.cli.mixer_v1.calls import Calls, Failure


@dataclass(frozen=True, slots=True)
class Summary:
    """Many calls.

    Attributes:
        answered: Calls that were answered.
        failed: Calls that were not.
        seconds: That all of them took.
        latencies: Milliseconds of an answered call: ``p50``, ``p99`` and ``max``; empty where none
            was.
        statuses: How often each status of a check was answered.
        granted: What was given in all, by quota.
        records: Records of reports that were taken.
        failures: The first failure of each gRPC status, and how many there were.
    """

    answered: int
    failed: int
    seconds: float
    latencies: Mapping[str, float]
    statuses: Mapping[str, int]
    granted: Mapping[str, int]
    records: int
    failures: Sequence[tuple[Failure, int]]

    @property
    def calls(self) -> int:
        """How many were made."""
        return self.answered + self.failed

    @property
    def per_second(self) -> float:
        """Answered calls a second."""
        return self.answered / self.seconds if self.seconds else 0.0

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "calls": self.calls,
            "failed": self.failed,
            "seconds": round(self.seconds, 6),
            "per_second": round(self.per_second, 1),
            "latency_ms": {name: round(value, 3) for name, value in self.latencies.items()},
            "statuses": dict(self.statuses),
            "granted": dict(self.granted),
            "records": self.records,
            "failures": [
                {"code": failure.code, "details": failure.details, "count": count}
                for failure, count in self.failures
            ],
        }


def summarize(calls: Calls) -> Summary:
    """Reduce calls to numbers."""
    tally = calls.tally
    ordered = sorted(tally.latencies)
    return Summary(
        answered=len(ordered),
        failed=tally.failed,
        seconds=calls.seconds,
        latencies={name: _quantile(ordered, q) * 1000 for name, q in _QUANTILES.items() if ordered},
        statuses=dict(tally.statuses.most_common()),
        granted=dict(tally.granted),
        records=tally.records,
        failures=tuple(tally.failures.values()),
    )


_QUANTILES = {"p50": 0.5, "p99": 0.99, "max": 1.0}


def _quantile(ordered: Sequence[float], q: float) -> float:
    """The smallest value that this share of all is not above."""
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)]
