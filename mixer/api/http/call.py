"""One call by HTTP."""

from dataclasses import dataclass
from functools import cached_property

from mixer.attributes import NOBODY, FindCaller, Pair


@dataclass(frozen=True)
class HttpCall:
    """A whole request of a caller, as it was sent.

    Attributes:
        method: As sent, such as ``GET``.
        target: Path and query, in origin form: it begins with ``/``, and nothing is decoded.
        headers: In order, with duplicates; names in lower case, values as sent.
        body: All of it; empty where there is none.
        caller: Tells who called.
    """

    method: bytes
    target: bytes
    headers: tuple[Pair, ...] = ()
    body: bytes = b""
    caller: FindCaller = lambda: NOBODY

    @property
    def path(self) -> bytes:
        """The target without its query."""
        return self.target.partition(b"?")[0]

    @property
    def query(self) -> bytes:
        """What follows the first ``?``, or nothing."""
        return self.target.partition(b"?")[2]

    def all(self, name: bytes) -> tuple[bytes, ...]:
        """Every value of a header, in order, by its name in lower case."""
        return self._by_name.get(name, ())

    def first(self, name: bytes) -> bytes | None:
        """The first value of a header, by its name in lower case."""
        return next(iter(self.all(name)), None)

    @cached_property
    def _by_name(self) -> dict[bytes, tuple[bytes, ...]]:
        found: dict[bytes, tuple[bytes, ...]] = {}
        for name, value in self.headers:
            found[name] = (*found.get(name, ()), value)
        return found
