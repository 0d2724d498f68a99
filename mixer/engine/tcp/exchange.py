"""One TCP connection through the adapters that are for it."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from mixer.engine.decision import FAILURE_STATUS, Decision, Response, Verdict
from mixer.engine.durable import records_of
from mixer.engine.exchange.exchange import GONE
from mixer.engine.failure import AdapterFailure, misled
from mixer.engine.pausing import PAUSED_FOR_EVER
from mixer.engine.tcp.direction import Direction
from mixer.engine.tcp.link import ChainedContext, Link
from mixer.proxywasm import Outcome, Peer, TcpStream
from mixer.vm import TrapError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from mixer.attributes import AttributeBag
    from mixer.engine.adapter import Adapter
    from mixer.engine.durable import Records
    from mixer.engine.verdict_counts import VerdictCounts
    from mixer.proxywasm import SavedTcpStream

_log = logging.getLogger(__name__)

CLOSED = "closed_the_connection"
"""The reason where a module did so, its one way to refuse a connection, and told no other."""
TOO_MUCH_HELD = "holds_back_too_much"
TOO_MUCH_WRITTEN = "wrote_too_much"
_DENIED_STATUS = 403


def _nothing() -> None:
    """Nobody waits."""


class TcpExchange:
    """A connection; made by `Engine.connect`.

    What comes through is in `downstream` and `upstream`, until there is an `answer`: then the
    connection is to be closed, and nothing of what was held back goes on any more. An order of
    calls that no connection has raises TcpLifecycleError.

    Args:
        adapters: Those that match, in the order in which the client's data passes them.
        attributes: What the front end knows of the connection.
        verdicts: Counts what comes of it, once it is closed.
        max_held_bytes: Of either direction, that may be held back.

    Attributes:
        attributes: As given.
        downstream: From the client to the upstream.
        upstream: From the upstream to the client.
        accepted: Whether every adapter let the connection begin; before, no data comes through.
        answer: Why the connection is to be closed, once it is.
        on_change: Called when something changed by itself; never from within a call of this.
    """

    __slots__ = (
        "_closed",
        "_failed_open",
        "_holder",
        "_links",
        "_max_held",
        "_stream",
        "_verdicts",
        "accepted",
        "answer",
        "attributes",
        "downstream",
        "on_change",
        "upstream",
    )

    def __init__(
        self,
        adapters: Iterable[Adapter],
        attributes: AttributeBag,
        verdicts: VerdictCounts,
        max_held_bytes: int,
    ) -> None:
        self.attributes = attributes
        self._stream = TcpStream(attributes)
        self._links = [Link(adapter) for adapter in adapters]
        self._verdicts = verdicts
        self._max_held = max_held_bytes
        self._failed_open: list[str] = []
        self._holder: Link | None = None
        self._closed = self.accepted = False
        self.downstream = Direction(self._stream.downstream)
        self.upstream = Direction(self._stream.upstream)
        self.answer: Decision | None = None
        self.on_change: Callable[[], None] = _nothing

    def new_connection(self) -> None:
        """It begins. An adapter that holds it and that nothing can resume fails."""
        self.downstream.connect()
        self.upstream.connect()
        self._read(0)
        self._check_start()

    def _check_start(self) -> None:
        holder = None if self.accepted or self.answer is not None else self._holder
        if holder is not None and not self.may_go_on:
            holder.adapter.note_failure(PAUSED_FOR_EVER)
            self._fail(holder, PAUSED_FOR_EVER)

    def records(self) -> Collection[Records]:
        """What the adapters recorded in the ledger so far."""
        contexts = {one.adapter: one.context for one in self._links if one.context is not None}
        return records_of(self._stream.tickets, contexts)

    def downstream_data(self, data: bytes, *, end_of_stream: bool) -> None:
        """The client sent something, or nothing but the end."""
        self._put(self.downstream, data, partial(self._read, 0), end_of_stream=end_of_stream)

    def upstream_data(self, data: bytes, *, end_of_stream: bool) -> None:
        """The upstream sent something, or nothing but the end."""
        self._put(self.upstream, data, self._write, end_of_stream=end_of_stream)

    def _put(
        self, way: Direction, data: bytes, bring_on: Callable[[], None], *, end_of_stream: bool
    ) -> None:
        self._look_at_all()  # what may go on goes before what comes
        way.put(data, end_of_stream=end_of_stream)
        if self.answer is None:
            bring_on()
        if self.answer is None and way.held_bytes > self._max_held:
            self._fail(self._holder, TOO_MUCH_HELD)

    def _read(self, first: int) -> None:
        """Show adapters from one on the connection, and what there is of the client's data."""
        way = self.downstream
        for link in self._links[first:]:
            if link.passed_over:
                continue
            if link.context is None:
                connect = partial(link.connect, self._stream, self._look)
                if self._step(link, connect, holds=True) is not Outcome.CONTINUE:
                    return
            elif link.context.is_held:
                return
            if way.holds and not link.passed_over:
                tell = partial(link.downstream_data, end_of_stream=way.ends)
                if self._step(link, tell, holds=True) is not Outcome.CONTINUE:
                    return
        way.let_go()
        if not self.accepted:
            self.accepted = True
            if self.upstream.holds:
                self._write()

    def _write(self) -> None:
        """Show the adapters, in reverse, what there is of the upstream's data."""
        if not self.accepted:
            return
        way = self.upstream
        for number in reversed(range(len(self._links))):
            link = self._links[number]
            if link.passed_over:
                continue
            tell = partial(link.upstream_data, end_of_stream=way.ends)
            outcome = self._step(link, tell, holds=link.holds)
            if self.answer is None and link.take_resumed():
                self._read(number + 1)
            if outcome is not Outcome.CONTINUE or self.answer is not None:
                return
        way.let_go()

    def _step(self, link: Link, callback: Callable[[], Outcome], *, holds: bool) -> Outcome:
        """Make a callback: CONTINUE also where the adapter fails and is passed over.

        Args:
            link: Whose it is.
            callback: Makes it.
            holds: Whether it holds the client's data, if it pauses.
        """
        saved = self._stream.save() if link.adapter.fails_open else None
        try:
            outcome = callback()
        except TrapError as trap:
            return self._failed(link, link.adapter.crashed(trap), saved)
        except AdapterFailure as failure:
            link.adapter.note_failure(failure.reason)
            return self._failed(link, failure, saved)
        if outcome is Outcome.RESET:
            self._end_by(link)
        paused = outcome is Outcome.PAUSE
        link.holds = paused and holds
        if paused:
            self._holder = link
        return outcome

    def _failed(
        self, link: Link, failure: AdapterFailure, saved: SavedTcpStream | None = None
    ) -> Outcome:
        link.passed_over, link.holds = True, False
        if not (link.adapter.fails_open and failure.may_fail_open):
            self.answer = self.failed(failure)
            return Outcome.RESET
        if saved is not None:
            self._stream.restore(saved)
        self._failed_open.append(link.adapter.name)
        return Outcome.CONTINUE

    def _end_by(self, link: Link) -> None:
        """A module closed the connection, or must not go on."""
        if self._stream.overrun:
            link.adapter.note_failure(TOO_MUCH_WRITTEN)
            self._fail(link, TOO_MUCH_WRITTEN)
            return
        link.adapter.stats.denied += 1
        reason = link.said_reason or CLOSED
        self.answer = self._decision(
            Verdict.DENY, link.adapter.name, reason, Response(_DENIED_STATUS)
        )

    def _fail(self, link: Link | None, reason: str) -> None:
        self.answer = self.failed(misled("" if link is None else link.adapter.name, reason))

    def failed(self, failure: AdapterFailure) -> Decision:
        """The decision where an adapter failed that may not be passed over."""
        response = Response(FAILURE_STATUS)
        return self._decision(Verdict.ERROR, failure.adapter, failure.reason, response)

    def _decision(
        self, verdict: Verdict, adapter: str, reason: str, response: Response | None
    ) -> Decision:
        return Decision(
            verdict,
            adapters=tuple(one.adapter.name for one in self._links if one.context is not None),
            adapter=adapter,
            rule=next((one.adapter.rule for one in self._links if one.adapter.name == adapter), ""),
            reason=reason,
            response=response,
            failed_open=tuple(self._failed_open),
        )

    @property
    def decision(self) -> Decision:
        """What was decided so far."""
        if self.answer is not None:
            return self.answer
        ran = [one.adapter.name for one in self._links if not one.passed_over]
        return self._decision(Verdict.ALLOW, ran[-1] if ran else "", "", None)

    def _look(self) -> None:
        """Something may have changed outside of a callback; called by the scheduler."""
        if self._closed or self.answer is not None:
            return
        try:
            self._look_at_all()
            self._check_start()
        except Exception:  # nobody else would see it: the front end waits for a change
            _log.exception("a connection failed")
            self.give_up("internal_error")
        self.on_change()

    def _look_at_all(self) -> None:
        for number, link in enumerate(self._links):
            if self.answer is not None or link.passed_over or link.context is None:
                continue
            if link.context.has_ended_it:
                self._end_by(link)
            elif link.holds and link.has_lost_its_vm:
                self._lost_its_vm(number, link)
            elif link.take_resumed():
                self._read(number + 1)

    def _lost_its_vm(self, number: int, link: Link) -> None:
        failure = AdapterFailure(link.adapter.name, "lost_its_vm", may_fail_open=True)
        link.adapter.note_failure(failure.reason)
        if self._failed(link, failure) is Outcome.CONTINUE:
            self._read(number + 1)

    @property
    def may_go_on(self) -> bool:
        """Whether what is held back may be let go by something else than a further piece."""
        holding = (one.context for one in self._links if one.holds)
        return any(one.vm.may_resume(one) for one in holding if one is not None)

    @property
    def held_by(self) -> Adapter | None:
        """The adapter that held something back last."""
        return None if self._holder is None else self._holder.adapter

    def give_up(self, reason: str) -> None:
        """End it: nobody waits any longer. What was answered already stands.

        Args:
            reason: A short word for the decision log.
        """
        if self.answer is None:
            self._fail(self._holder, reason)

    def close(self, peer: Peer = Peer.REMOTE) -> Decision:
        """Tell the adapters that the connection has ended, and delete its contexts.

        Args:
            peer: Who closed it; what has an answer was closed by the proxy.

        Returns:
            What was decided.
        """
        by = peer if self.answer is None else Peer.LOCAL
        if not self.accepted:
            self.give_up(GONE)
        if not self._closed:
            self._verdicts.add(self.decision)
        self._end(partial(_tell_end, peer=by))
        return self.decision

    def abandon(self) -> None:
        """Delete its contexts; how the connection goes on is not told."""
        self._end(ChainedContext.abandon)

    def _end(self, end: Callable[[ChainedContext], None]) -> None:
        if self._closed:
            return
        self._closed = True
        for link in self._links:
            if link.context is None or not link.is_alive:
                continue
            try:
                end(link.context)
            except TrapError as trap:  # it harms no other adapter
                link.adapter.crashed(trap)


def _tell_end(context: ChainedContext, *, peer: Peer) -> None:
    context.on_downstream_connection_close(peer)
    context.delete()
