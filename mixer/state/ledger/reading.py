"""Reading a ledger page by page: none keeps writers waiting, whatever it is kept in."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

from mixer.state.ledger.chain import GENESIS
from mixer.state.ledger.ports import Head, Row

PAGE_ROWS = 1000

_COLUMNS = "SELECT position, key, time, entry, digest FROM mixer_ledger_entries"


class PagedReader(ABC):
    """`mixer.state.ledger.LedgerReader` over SQL.

    Args:
        mark: What stands for an argument in a statement.
    """

    def __init__(self, mark: str) -> None:
        by_position = f"WHERE position >= {mark} ORDER BY position"
        # Of the two conditions the first finds the place in the index, the second passes over what
        # has the same time.
        by_time = (
            f"WHERE time >= {mark} AND time < {mark} AND (time, position) > ({mark}, {mark})"
            " ORDER BY time, position"
        )
        plans = f"WHERE time IS NULL AND position >= {mark} ORDER BY position"
        self._by_position, self._by_time, self._plans = (
            f"{_COLUMNS} {where} LIMIT {PAGE_ROWS}" for where in (by_position, by_time, plans)
        )

    @abstractmethod
    def _fetch(self, sql: str, arguments: Sequence[Any]) -> list[tuple[Any, ...]]:
        """All rows of a statement. Raises LedgerUnavailableError."""

    def head(self) -> Head:
        """See `mixer.state.ledger.LedgerReader`."""
        found = self._fetch("SELECT position, digest FROM mixer_ledger_head", ())
        return Head(*found[0]) if found else GENESIS

    def last(self) -> int:
        """See `mixer.state.ledger.LedgerReader`."""
        ((found,),) = self._fetch("SELECT max(position) FROM mixer_ledger_entries", ())
        return found or 0

    def rows(self, after: int = 0) -> Iterator[Row]:
        """See `mixer.state.ledger.LedgerReader`."""
        return self._by_rising_position(self._by_position, after + 1)

    def plans(self) -> Iterator[Row]:
        """See `mixer.state.ledger.LedgerReader`."""
        return self._by_rising_position(self._plans, 1)

    def _by_rising_position(self, sql: str, first: int) -> Iterator[Row]:
        while page := self._fetch(sql, (first,)):
            for found in page:
                row = Row(*found)
                yield row
            first = row.position + 1

    def usage(self, since: int, until: int) -> Iterator[Row]:
        """See `mixer.state.ledger.LedgerReader`."""
        place = since, 0
        while page := self._fetch(self._by_time, (place[0], until, *place)):
            for found in page:
                row = Row(*found)
                yield row
            assert row.time is not None
            place = row.time, row.position
