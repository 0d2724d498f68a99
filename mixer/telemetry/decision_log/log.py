"""The decision log: entries are made where decisions are, and written in threads of their own."""

from collections import deque
from collections.abc import Callable, Iterable

from mixer.engine import Decision, Request
from mixer.telemetry.decision_log.entry import Entry, entry_of
from mixer.telemetry.decision_log.masking import Masking
from mixer.telemetry.decision_log.sampling import Sampling
from mixer.telemetry.decision_log.writing import Writer

Take = Callable[[Entry], None]
"""Takes an entry, and returns at once."""


class DecisionLogger:
    """A `mixer.engine.story.DecisionLog`.

    Args:
        sampling: Which decisions are told.
        takers: Who takes the entries.
        is_allowed: Asked for each entry, whether there were not too many.
        masking: Of the values of what adapters looked at; None leaves these out.
        writers: Those of the takers that write, for their counts.

    Attributes:
        sampling: As given.
        writers: As given.
        told: Entries that were made.
        too_many: Decisions that were not told since there were too many a second.
    """

    def __init__(
        self,
        sampling: Sampling,
        takers: Iterable[Take],
        is_allowed: Callable[[], bool],
        masking: Masking | None = None,
        writers: Iterable[Writer] = (),
    ) -> None:
        self.sampling = sampling
        self._takers = tuple(takers)
        self._is_allowed = is_allowed
        self._masking = masking
        self.writers = tuple(writers)
        self.told = self.too_many = 0

    def wants(self, decision: Decision) -> bool:
        """See `mixer.engine.story.DecisionLog`."""
        return self.sampling.wants(decision)

    def tell(self, front_end: str, request: Request, decision: Decision, outcome: str) -> None:
        """See `mixer.engine.story.DecisionLog`."""
        if not self._is_allowed():
            self.too_many += 1
            return
        self.told += 1
        entry = entry_of(front_end, request, decision, outcome, self._masking)
        for take in self._takers:
            take(entry)


class Recent:
    """The entries that were made last, to be found by their id.

    Args:
        most: Entries.
    """

    def __init__(self, most: int) -> None:
        self._entries: deque[Entry] = deque(maxlen=most)

    def take(self, entry: Entry) -> None:
        """Remember an entry, and forget the oldest where there are too many."""
        self._entries.append(entry)

    def find(self, id_or_trace: str) -> list[Entry]:
        """Those with an id, or a trace id, the newest first."""
        return [
            one for one in reversed(self._entries)
            if id_or_trace in (one.get("id"), one.get("trace_id"))
        ]  # fmt: skip
