"""From the attributes of a request to the adapters that run for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mixer.attributes import AttributeBag
    from mixer.engine.adapter import Adapter
    from mixer.engine.selection.ordered import Ordered


class Slot:
    """The place of a configured adapter in the chain.

    Args:
        adapter: As its WasmPlugin has it, whose ``match`` tells which requests it is for at all.
        default: What runs where no rule says anything; None for nothing.
        rules: What runs for which requests, in order; None for nothing. The first one counts.

    Attributes:
        adapter: As given.
    """

    __slots__ = ("_default", "_matches", "_rules", "adapter")

    def __init__(
        self,
        adapter: Adapter,
        default: Adapter | None,
        rules: Ordered[Adapter | None] | None = None,
    ) -> None:
        self.adapter = adapter
        self._matches = adapter.matches
        self._default = default
        self._rules = rules or None

    @property
    def always(self) -> bool:
        """Whether it runs for every request, as its WasmPlugin has it."""
        return self._matches is None and self._rules is None and self._default is self.adapter

    @property
    def rules(self) -> int:
        """How many rules there are about it."""
        return len(self._rules) if self._rules else 0

    @property
    def adapters(self) -> tuple[Adapter, ...]:
        """All that may run here, the one of the WasmPlugin first; each once."""
        ruled = (one for one in self._rules or () if one is not None)
        return tuple(dict.fromkeys((self.adapter, *ruled)))

    def choose(self, attributes: AttributeBag) -> Adapter | None:
        """What runs here for a request, or None."""
        if self._matches is not None and not self._matches(attributes):
            return None
        if self._rules is None:
            return self._default
        return next(self._rules.matching(attributes), self._default)


class Selector:
    """The adapters of a chain, and which of them run for a request.

    Args:
        slots: In the order in which they run.

    Attributes:
        slots: As given.
    """

    __slots__ = ("_always", "slots")

    def __init__(self, slots: Sequence[Slot]) -> None:
        self.slots = tuple(slots)
        always = all(slot.always for slot in self.slots)
        self._always = tuple(slot.adapter for slot in self.slots) if always else None

    def select(self, attributes: AttributeBag) -> Iterable[Adapter]:
        """Those that run, in order.

        Each is chosen when it is asked for, by the attributes as they are then: an adapter sees the
        headers as those before it left them, and so does what decides whether it runs.
        """
        return self._choose(attributes) if self._always is None else self._always

    def _choose(self, attributes: AttributeBag) -> Iterator[Adapter]:
        for slot in self.slots:
            adapter = slot.choose(attributes)
            if adapter is not None:
                yield adapter
