"""Telling the adapters of many records, one at a time."""

import logging
from collections.abc import Iterable, Iterator

from mixer.engine import Engine, Record
from mixer.engine.storing import stored

_log = logging.getLogger(__name__)


class Telling:
    """The records of one message, and what went wrong with them.

    Args:
        engine: Is told.

    Attributes:
        defects: Records that were not told for a defect of our own; it harms no other record.
        missed: Records that an adapter failed on which must not be passed over.
        missed_by: The names of those adapters.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._recorded = engine.recorded()
        self._first: Exception | None = None
        self.defects = 0
        self.missed = 0
        self.missed_by: dict[str, None] = {}

    def tell(self, records: Iterable[Record | None]) -> Iterator[None]:
        """Tell of them in order; None is nothing to tell of."""
        report, recorded = self._engine.report, self._recorded
        for record in records:
            if record is not None:
                try:
                    failed = report(record, recorded)
                except Exception as error:
                    self._first = self._first or error
                    self.defects += 1
                else:
                    if failed:
                        self.missed += 1
                        self.missed_by.update(dict.fromkeys(failed))
            yield

    async def stored(self, timeout_s: float) -> bool:
        """Wait until the ledger has what was recorded; see `mixer.engine.storing.stored`."""
        return await stored(self._recorded, timeout_s)

    def log_defect(self, where: str) -> None:
        """Log the first defect, if there was any."""
        if self._first is not None:
            what = f"{self.defects} records of {where} were not told"
            _log.error("%s", what, exc_info=self._first)
