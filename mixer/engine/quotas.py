"""Which adapters answer for a quota."""

from collections.abc import Iterable

from mixer.engine.adapter import Adapter
from mixer.engine.decision import Decision, Response, Verdict

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
        adapters: In the order in which they run.
    """

    def __init__(self, adapters: Iterable[Adapter]) -> None:
        self._adapters = tuple(a for a in adapters if a.plugin.quotas)

    def serving(self, quota: str) -> tuple[Adapter, ...]:
        """Those that answer for a quota of this name, in order."""
        return tuple(
            a for a in self._adapters if quota in a.plugin.quotas or _ANY in a.plugin.quotas
        )
