"""Which adapters answer for a quota."""

from collections.abc import Sequence

from mixer.engine.decision import Decision, Response, Verdict
from mixer.engine.selection import Selector, Slot

_ANY = "*"
_NOT_FOUND = 5
_STATUS = 404

UNKNOWN_QUOTA = Decision(
    Verdict.ERROR,
    reason="no adapter serves this quota",
    response=Response(_STATUS),
    code=_NOT_FOUND,
)
"""The answer where none does: it is not granted."""


class QuotaAdapters:
    """The adapters with annotation ``mixer.dev/quotas``.

    Args:
        slots: In the order in which they run.
    """

    def __init__(self, slots: Sequence[Slot]) -> None:
        named = {name for slot in slots for name in slot.adapter.plugin.quotas}
        self._serving = {name: Selector(_serving(slots, name)) for name in named}

    def serving(self, quota: str) -> Selector | None:
        """Those that answer for a quota of this name; None where there are none."""
        return self._serving.get(quota) or self._serving.get(_ANY)


def _serving(slots: Sequence[Slot], quota: str) -> list[Slot]:
    return [slot for slot in slots if {quota, _ANY} & slot.adapter.plugin.quotas]
