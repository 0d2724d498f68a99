"""A shedder against a simple model of it, under any sequence of events."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mixer.shedding import (
    Bounds,
    Gate,
    Kind,
    RateBound,
    Reason,
    Refusal,
    Shedder,
    Ticket,
    WaitBound,
)
from tests.shedding.clock import Clock

MOST, RATE, BURST, THRESHOLD, WINDOW = 5, 10.0, 8, 0.1, 0.2
BOUNDS = (MOST, RateBound(RATE, BURST), WaitBound(THRESHOLD, WINDOW))


class Machine(RuleBasedStateMachine):
    """Admits, releases, tells waits, and moves the clock, also back."""

    @initialize(enforced=st.booleans(), bounded=st.tuples(*[st.booleans()] * 3))
    def start(self, enforced: bool, bounded: tuple[bool, bool, bool]) -> None:
        self.clock = Clock()
        self.chance = 0.0
        most, rate, wait = (b if on else None for b, on in zip(BOUNDS, bounded, strict=True))
        self.bounds = Bounds(enforced, most, wait, rate)
        self.shedder = Shedder(self.bounds, clock=self.clock, chance=lambda: self.chance)
        self.gates = {kind: self.shedder.gate("front", kind) for kind in Kind}
        self.open: list[tuple[Kind, int, Ticket]] = []
        self.tokens = dict.fromkeys(Kind, float(BURST))
        self.seen = dict.fromkeys(Kind, self.clock.now)
        self.has_waited = False

    def in_progress(self, kind: Kind) -> int:
        return sum(cost for one, cost, _ in self.open if one is kind)

    def refill(self, kind: Kind) -> None:
        elapsed = max(0.0, self.clock.now - self.seen[kind])
        self.tokens[kind] = min(BURST, self.tokens[kind] + elapsed * RATE)
        self.seen[kind] = self.clock.now

    @rule(kind=st.sampled_from(Kind), cost=st.integers(1, 10_000), chance=st.floats(0, 0.999))
    def admit(self, kind: Kind, cost: int, chance: float) -> None:
        self.chance = chance
        gate: Gate = self.gates[kind]
        before = dict(gate.refused)
        found = gate.admit(cost)
        [reason] = [r for r in Reason if gate.refused[r] > before[r]] or [None]
        assert isinstance(found, Refusal) == (self.bounds.enforced and reason is not None)
        is_full = self.bounds.max_concurrent is not None and self.in_progress(kind) >= MOST
        assert (reason is Reason.CONCURRENCY) == is_full
        if reason is Reason.LATENCY:
            assert self.has_waited
        if reason in (None, Reason.RATE) and self.bounds.rate is not None:
            self.refill(kind)
            assert (reason is Reason.RATE) == (self.tokens[kind] < 1)
            self.tokens[kind] -= 0 if reason else cost
        if isinstance(found, Refusal):
            assert 0 <= found.retry_after < 120
        else:
            self.open.append((kind, cost, found))

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def release(self, data: Any) -> None:
        number = data.draw(st.integers(0, len(self.open) - 1))
        self.open.pop(number)[2].release()

    @rule(seconds=st.one_of(st.floats(0, 1), st.floats(-10, 0), st.floats(0, 1e6)))
    def pass_time(self, seconds: float) -> None:
        # By eighths, so that the model and the bucket round alike.
        self.clock.now += round(seconds * 8) / 8

    @rule(wait=st.floats(0, 10))
    def tell(self, wait: float) -> None:
        if self.shedder.wait is not None:
            self.shedder.wait.tell(wait, self.clock.now)
            self.has_waited |= wait > THRESHOLD

    @invariant()
    def counts_are_right(self) -> None:
        for kind, lane in self.shedder.lanes.items():
            assert lane.in_progress == self.in_progress(kind)
        assert len(self.shedder.gates) == len(Kind)

    def teardown(self) -> None:
        """When all is over and time has passed, anything is let in again."""
        if not hasattr(self, "shedder"):
            return
        for _, _, ticket in self.open:
            ticket.release()
        self.clock.now += 1e9
        self.chance = 0.0
        for gate in self.gates.values():
            assert isinstance(gate.admit(10_000), Ticket)


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
