"""What one decision follows from, and what making it did beside: noted while it is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mixer.attributes import AttributeBag, canonical_name
from mixer.engine.cache.reads import (
    BodyRead,
    BodySizeRead,
    HeaderCountRead,
    HeaderRead,
    HeadersRead,
    Read,
    UnderneathRead,
)
from mixer.engine.cache.traced_bag import TracedBag
from mixer.proxywasm import BufferType, LogLevel, MapType

if TYPE_CHECKING:
    from mixer.engine.adapter import Adapter
    from mixer.engine.decision import Decision
    from mixer.proxywasm import Outcome

MAX_READS = 256
"""Of a decision that is kept."""

MAX_READ_BYTES = 65_536
"""Of the names in them."""

MAX_EFFECTS = 128
"""Of a decision that is kept: each use of it repeats them."""

_HEADERS, _COUNT = HeadersRead(), HeaderCountRead()
_BODY, _SIZE = BodyRead(), BodySizeRead()

Effect = tuple[Callable[..., None], tuple[Any, ...]]
"""What an adapter did that every request is to do: counting, and logging."""


class Trace:
    """Notes for one decision; tells adapters' host calls and attributes what to note.

    A `mixer.proxywasm.Reads`.

    Attributes:
        reads: What it follows from, in the order of the first reads.
        effects: What it did beside, in order.
        volatile: Whether it follows from more than the request; then nothing more is noted.
        by: The adapter that acts; None where it is not known.
        asked_time: Those that asked for the time: what they say of the duration heeds it.
        is_valid: Whether the adapters gave it a validity.
        decided: Whether what is noted from now on only concerns the effects.
    """

    __slots__ = (
        "_read_bytes", "_with_changes", "asked_time", "by", "decided", "effects", "is_valid",
        "reads", "volatile",
    )  # fmt: skip

    def __init__(self) -> None:
        self.reads: dict[Read, None] = {}
        self.effects: list[Effect] = []
        self.volatile = False
        self.by: Adapter | None = None
        self.asked_time: set[Adapter] = set()
        self.is_valid = False
        self.decided = False
        self._read_bytes = 0
        self._with_changes = False

    def acting(self, adapter: Adapter, callback: str, step: Callable[[], Outcome]) -> Outcome:
        """Run a step of an adapter, and note what it does as the adapter's."""
        del callback
        self.by = adapter
        return step()

    def told(self, decision: Decision) -> Decision:
        """The decision that was made, with all that is to be told of it."""
        return decision

    def bag(self, attributes: AttributeBag) -> AttributeBag:
        """The same attributes, whose reads are noted."""
        return TracedBag(attributes, self._note_attribute)

    def _note_attribute(self, read: Read) -> None:
        self._note(read)
        if self._with_changes:
            self._note(UnderneathRead(read))

    def _note(self, read: Read) -> None:
        if self.volatile:
            return
        reads, known = self.reads, len(self.reads)
        reads[read] = None
        if len(reads) == known:
            return
        self._read_bytes += read.size
        if len(reads) > MAX_READS or self._read_bytes > MAX_READ_BYTES:
            self._give_up()

    def _give_up(self) -> None:
        """It cannot be kept: what was noted is of no use."""
        self.volatile = True
        self.reads.clear()
        self.effects.clear()

    def told_headers(self) -> None:
        """A module was called for the headers."""
        self._note(_COUNT)

    def told_body(self) -> None:
        """A module was called for the body."""
        self._note(_SIZE)

    def saw_header(self, map_type: MapType, name: bytes, found: bytes | None) -> None:
        """See `Reads`."""
        del found
        self._map(map_type, HeaderRead(canonical_name(name)))

    def saw_map(self, map_type: MapType) -> None:
        """See `Reads`."""
        self._map(map_type, _HEADERS)

    def changed_header(self, map_type: MapType, name: bytes | None) -> None:
        """See `Reads`."""
        self._with_changes |= map_type is MapType.HTTP_REQUEST_HEADERS
        self._map(map_type, _HEADERS if name is None else HeaderRead(canonical_name(name)))

    def _map(self, map_type: MapType, read: Read) -> None:
        """Those of the answer follow from the rest; of all others nothing is known here."""
        if map_type is MapType.HTTP_REQUEST_HEADERS:
            self._note(read)
        elif map_type is not MapType.HTTP_RESPONSE_HEADERS:
            self._give_up()

    def saw_property(self, path: bytes, value: bytes | None) -> None:
        """See `Reads`; the attributes have told."""

    def saw_buffer(self, buffer_type: BufferType) -> None:
        """See `Reads`; the others are configuration, or follow from the rest."""
        if buffer_type is BufferType.HTTP_REQUEST_BODY:
            self._note(_BODY)

    def saw_clock(self) -> None:
        """See `Reads`."""
        if self.decided:
            return
        if self.by is None:
            self._give_up()
        else:
            self.asked_time.add(self.by)

    def saw_random(self) -> None:
        """See `Reads`."""
        self._give_up()

    def saw_volatile(self) -> None:
        """See `Reads`."""
        self._give_up()

    def changed_metric(self, change: Callable[[int], None], value: int) -> None:
        """See `Reads`."""
        self._did(change, value)

    def logged(self, sink: Callable[[LogLevel, str], None], level: LogLevel, message: str) -> None:
        """See `Reads`."""
        self._did(sink, level, message)

    def _did(self, effect: Callable[..., None], *arguments: Any) -> None:
        if self.volatile:
            return
        self.effects.append((effect, arguments))
        if len(self.effects) > MAX_EFFECTS:
            self._give_up()
