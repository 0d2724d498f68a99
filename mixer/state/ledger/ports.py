"""What a ledger does, whatever it is kept in."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol


class LedgerUnavailableError(Exception):
    """A ledger does not take or give anything now; the message says why, without a password.

    What was to be appended may or may not be there: appending it again is right in both cases.
    """


class Record(NamedTuple):
    """What is to be appended.

    Attributes:
        key: By which it is once in the ledger.
        entry: Canonical bytes of a ``mixer.ledger.v1.Entry``.
        time: Nanoseconds since 1970 of a usage record; None of a plan.
    """

    key: bytes
    entry: bytes
    time: int | None


class Row(NamedTuple):
    """What was appended.

    Attributes:
        position: 1 for the first, and one more for each.
        key: As `Record`, as the next two.
        time: Likewise.
        entry: Likewise.
        digest: SHA-256 over the digest before, the position and the entry.
    """

    position: int
    key: bytes
    time: int | None
    entry: bytes
    digest: bytes


class Head(NamedTuple):
    """The last row of a ledger, or what stands for it where there is none.

    Attributes:
        position: 0 where there is none.
        digest: 32 bytes.
    """

    position: int
    digest: bytes

    def __str__(self) -> str:
        return f"{self.position}:{self.digest.hex()}"


class Appended(NamedTuple):
    """What came of appending.

    Attributes:
        head: Afterwards.
        stored: Records that were not there before.
        duplicates: Records that were there, the same.
        conflicts: Keys that were there with another content: that stays.
    """

    head: Head
    stored: int
    duplicates: int
    conflicts: tuple[bytes, ...]


class Ledger(Protocol):
    """Appends; for one thread at a time, and for any number of processes."""

    def head(self) -> Head:
        """The last row. Raises LedgerUnavailableError."""

    def append(self, records: Sequence[Record]) -> Appended:
        """Append records, in order; once this returns they outlive a crash of the machine.

        Raises:
            LedgerUnavailableError: They are not there, or it is not known.
        """

    def close(self) -> None:
        """Give back what it holds."""


class LedgerReader(Protocol):
    """Reads while others append; any method may raise LedgerUnavailableError."""

    def head(self) -> Head:
        """What the ledger says of its last row."""

    def last(self) -> int:
        """The position of the row that is last; 0 where there is none."""

    def rows(self, after: int = 0) -> Iterator[Row]:
        """The rows behind a position, in order."""

    def usage(self, since: int, until: int) -> Iterator[Row]:
        """Usage records from one time to before another, in nanoseconds since 1970, by time."""

    def plans(self) -> Iterator[Row]:
        """Plans, in the order in which they were appended."""

    def close(self) -> None:
        """Give back what it holds."""
