"""The adapters for TCP connections, and what they decide."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixer.engine.failure import misled
from mixer.engine.pausing import Paused
from mixer.engine.selection import Selector
from mixer.engine.tcp.exchange import TcpExchange
from mixer.engine.verdict_counts import VerdictCounts

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from mixer.attributes import AttributeBag
    from mixer.engine.chain import Steps
    from mixer.engine.decision import Decision
    from mixer.engine.durable import Records
    from mixer.engine.failure import AdapterFailure
    from mixer.engine.selection import Slot

NO_NETWORK_ADAPTER = "no adapter is for TCP connections: spec.type of a WasmPlugin must be NETWORK"
"""The reason where nobody could decide about a connection: that must not let it pass."""


class NetworkAdapters:
    """Those whose ``spec.type`` is NETWORK.

    Args:
        slots: Of the adapters, in the order in which they run.
        max_held_bytes: See `TcpExchange`.

    Attributes:
        verdicts: How many connections that were carried came to which verdict.
    """

    def __init__(self, slots: Sequence[Slot], max_held_bytes: int) -> None:
        self._selector = Selector(slots)
        self._max_held = max_held_bytes
        self.verdicts = VerdictCounts()

    def exchange(self, attributes: AttributeBag) -> TcpExchange:
        """A connection through those that match.

        Where there are adapters and none matches, it is carried; where there are none at all, it is
        closed: whoever has only adapters for HTTP would take the one for the other.
        """
        matching = list(self._selector.select(attributes))
        exchange = TcpExchange(matching, attributes, self.verdicts, self._max_held)
        if not self._selector.slots:
            exchange.answer = exchange.failed(misled("", NO_NETWORK_ADAPTER))
        return exchange


class ConnectionCheck:
    """Whether a connection may begin: see `mixer.engine.pending.Deciding`."""

    __slots__ = ("_exchange",)

    def __init__(self, exchange: TcpExchange) -> None:
        self._exchange = exchange

    def run(self) -> Steps:
        """Decide; where an adapter holds the connection, tell which, and go on when it may."""
        exchange = self._exchange
        try:
            if exchange.answer is None:
                exchange.new_connection()
            while not exchange.accepted and exchange.answer is None:
                assert exchange.held_by is not None
                yield Paused(exchange.held_by, self)
            return exchange.decision
        finally:
            exchange.abandon()

    def wait(self, wake: Callable[[], None]) -> None:
        """Have `wake` called once something changed."""
        self._exchange.on_change = wake

    def records(self) -> Collection[Records]:
        """See `mixer.engine.pending.Deciding`."""
        return self._exchange.records()

    def failed(self, failure: AdapterFailure) -> Decision:
        """The decision where an adapter failed that may not be passed over."""
        return self._exchange.failed(failure)
