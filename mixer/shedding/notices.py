"""When to log that something was refused: at once, and then not for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mixer.shedding.gate import Gate, Reason

INTERVAL_S = 5.0
"""Seconds between two lines about the same bound at the same gate."""


@dataclass(slots=True)
class _Seen:
    logged: float
    since: int = 0


class Notices:
    """Counts what is not logged.

    Args:
        enforced: Whether it was refused, or would have been.
    """

    def __init__(self, *, enforced: bool) -> None:
        self._did = "refused" if enforced else "let in, only logged"
        self._seen: dict[tuple[str, str, Reason], _Seen] = {}

    def due(self, gate: Gate, reason: Reason, now: float) -> str | None:
        """What to log of this and of those before it; None to log nothing yet."""
        key = (gate.front_end, gate.kind.value, reason)
        what = f"{gate.front_end} {gate.kind.value}"
        seen = self._seen.get(key)
        if seen is None:
            self._seen[key] = _Seen(now)
            return f"1 {what} {self._did}"
        seen.since += 1
        elapsed = now - seen.logged
        if 0 <= elapsed < INTERVAL_S:
            return None
        count, seen.since, seen.logged = seen.since, 0, now
        return f"{count} {what} {self._did} in the last {elapsed:.0f} s"
