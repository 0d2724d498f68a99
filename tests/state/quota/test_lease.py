"""What is taken beforehand: how much, for how long, what is put back, and what passes at most."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixer.proxywasm import ManualScheduler
from mixer.state.quota import Algorithm, Answer, Charge, MemoryQuotas, QuotaCounts, Take
from mixer.state.quota.lease import MAX_LEASES, LeasedQuotas, LeaseOptions

SECOND = 10**9
FIXED, SLIDING, BUCKET = Algorithm


class Clock(ManualScheduler):
    """Time for all; the store's clock and those of the processes are one."""

    def read(self) -> int:
        return round(self.now * 1e9) + SECOND


class Distant:
    """Counters that several share, whose answers come when the test says so.

    Attributes:
        takes: What was asked of them.
        is_down: Whether it is told at once that the counters cannot be reached.
    """

    def __init__(self, clock: Clock) -> None:
        self.counts = QuotaCounts()
        self.takes: list[Take] = []
        self.is_down = False
        self._counters = MemoryQuotas(clock=clock.read)
        self._clock = clock

    def take(self, vm_id: str, take: Take) -> "Answer | _Late":
        self.takes.append(take)
        answer = self._counters.take(vm_id, take)
        if self.is_down:
            return Answer((), local=True)
        late = _Late(answer)
        self._clock.defer(late.tell)
        return late

    def __len__(self) -> int:
        return len(self._counters)

    def close(self) -> None:
        """Nothing is held."""


class _Late:
    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._done: Callable[[Answer], None] | None = None

    def wait(self, done: Callable[[Answer], None]) -> None:
        self._done = done

    def cancel(self) -> None:
        self._done = None

    def tell(self) -> None:
        if self._done is not None:
            self._done(self._answer)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> Distant:
    return Distant(clock)


def leased(store: Distant, clock: Clock, amount: int = 10, max_age: float = 1.0) -> LeasedQuotas:
    options = LeaseOptions(amount, max_age_ns=round(max_age * SECOND))
    return LeasedQuotas(store, options, clock.schedule, clock.read)


def charge(limit: int = 100, cost: int = 1, algorithm: Algorithm = FIXED, **more: object) -> Charge:
    fields = {"key": b"k", "window_ns": 60 * SECOND, **more}
    return Charge(algorithm=algorithm, limit=limit, cost=cost, **fields)  # type: ignore[arg-type]


def taken(quotas: LeasedQuotas, clock: Clock, one: Charge) -> tuple[int, bool]:
    """What was granted, and whether at once."""
    found = quotas.take("", Take((one,)))
    if isinstance(found, Answer):
        clock.advance()
        return found.standings[0].granted, True
    told: list[Answer] = []
    found.wait(told.append)
    clock.advance()
    return told[0].standings[0].granted, False


def held(store: Distant, quotas: LeasedQuotas, one: Charge) -> int:
    """What the store has counted."""
    answer = store.take("", Take((one._replace(cost=0),)))
    assert isinstance(answer, _Late)
    return one.limit - answer._answer.standings[0].remaining


def test_a_counter_that_is_asked_for_again_is_leased(store: Distant, clock: Clock) -> None:
    """The second take in a while asks for some beforehand; those after it are answered at once."""
    quotas = leased(store, clock)
    at_once = [taken(quotas, clock, charge())[1] for _ in range(30)]
    assert at_once == [False, False] + [True] * 28
    assert held(store, quotas, charge()) <= 30 + 10
    assert quotas.take("", Take((charge(cost=20),))) is not None


def test_a_counter_that_is_asked_for_once_is_not(store: Distant, clock: Clock) -> None:
    """A million tenants with a request each ask for nothing beforehand, and are forgotten."""
    quotas = leased(store, clock)
    for number in range(2 * MAX_LEASES):
        taken(quotas, clock, charge(key=b"%d" % number))
    assert len(store.takes) == 2 * MAX_LEASES
    assert len(quotas) - len(store) <= MAX_LEASES
    clock.advance(10.0)
    assert len(quotas) == len(store)


def test_exactly_the_limit_passes(store: Distant, clock: Clock) -> None:
    """Whoever holds what, all processes together are granted the limit and no more."""
    processes = [leased(store, clock) for _ in range(3)]
    granted = sum(taken(one, clock, charge())[0] for _ in range(100) for one in processes)
    assert granted == 100


def test_what_is_not_used_is_put_back(store: Distant, clock: Clock) -> None:
    """After its time, and at the end."""
    quotas = leased(store, clock)
    for _ in range(3):
        taken(quotas, clock, charge())
    assert held(store, quotas, charge()) > 3
    clock.advance(1.5)
    assert held(store, quotas, charge()) == 3
    for _ in range(3):
        taken(quotas, clock, charge())
    assert held(store, quotas, charge()) > 6
    quotas.close()
    assert held(store, quotas, charge()) == 6


def test_nothing_is_used_after_its_window(store: Distant, clock: Clock) -> None:
    """In a fixed window no more passes than its limit, and nothing is put back into the next."""
    one = charge(window_ns=SECOND // 2, limit=20)
    quotas, others = leased(store, clock, amount=20), leased(store, clock)
    for _ in range(3):
        taken(quotas, clock, one)
    clock.advance(0.5)
    assert sum(taken(others, clock, one)[0] for _ in range(40)) == 20
    clock.advance(0.4)
    assert [taken(quotas, clock, one)[0] for _ in range(3)] == [0] * 3


def test_what_came_back_by_itself_is_not_put_back(store: Distant, clock: Clock) -> None:
    """A lease that was not used gives back only what the store still counts of it."""
    quotas = leased(store, clock, amount=20, max_age=0.2)
    one = charge(20, 1, BUCKET, window_ns=SECOND)
    for _ in range(2):
        taken(quotas, clock, one)
    assert [take.charges[0].cost for take in store.takes] == [1, 1, 10]
    clock.advance(0.19)
    others = Take((one._replace(cost=20),), best_effort=True)
    passed = store.take("", others)._answer.standings[0].granted  # type: ignore[union-attr]
    clock.advance(0.02)
    # Of 12 that were counted 4 came back, first those that were used.
    assert store.takes[-1].charges[0].cost == -8
    passed += store.take("", others)._answer.standings[0].granted  # type: ignore[union-attr]
    assert passed == 20


def test_all_limits_of_a_take_or_none(store: Distant, clock: Clock) -> None:
    """A take is answered at once only if a lease has enough of each of its counters."""
    quotas = leased(store, clock)
    both = Take((charge(), charge(key=b"other", limit=2)))
    for _ in range(2):
        quotas.take("", both)
        clock.advance()
    found = quotas.take("", both)
    assert not isinstance(found, Answer)
    clock.advance()
    assert held(store, quotas, charge(key=b"other", limit=2)) == 2


@pytest.mark.parametrize(
    "take",
    [
        Take((charge(cost=0),)),
        Take((charge(cost=-1),)),
        Take((charge(),), best_effort=True),
        Take((charge(),), dedup_id=b"i", dedup_window_ns=SECOND),
    ],
)
def test_what_only_the_store_can_answer(store: Distant, clock: Clock, take: Take) -> None:
    """A look, what is put back, and an answer that is remembered are for the store."""
    quotas = leased(store, clock)
    for _ in range(3):
        taken(quotas, clock, charge())
    assert not isinstance(quotas.take("", take), Answer)


def test_what_is_counted_locally_is_no_lease(store: Distant, clock: Clock) -> None:
    """While the store is down nothing is taken beforehand of what this process counts itself."""
    quotas = leased(store, clock)
    store.is_down = True
    for _ in range(5):
        answer = quotas.take("", Take((charge(),)))
        assert isinstance(answer, Answer)
        assert answer.local
    assert [one.best_effort for one in store.takes].count(True) == 1


PROCESSES = 3


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(Algorithm),
    st.lists(
        st.tuples(
            st.integers(0, PROCESSES - 1), st.integers(1, 3), st.sampled_from([0.0, 0.01, 0.3])
        ),
        min_size=20,
        max_size=150,
    ),
    st.sampled_from([2, 6, 20]),
    st.sampled_from([0.2, 2.0]),
)
def test_too_much_is_bounded(
    algorithm: Algorithm, steps: list[tuple[int, int, float]], amount: int, max_age: float
) -> None:
    """In any span of time the limit of that span passes, and what was held when it began."""
    clock = Clock()
    store = Distant(clock)
    processes = [leased(store, clock, amount, max_age) for _ in range(PROCESSES)]
    limit = 20
    passed: list[tuple[float, int]] = []
    for process, cost, pause in steps:
        one = charge(limit, cost, algorithm, window_ns=SECOND)
        granted, _ = taken(processes[process], clock, one)
        passed.append((clock.now, granted))
        clock.advance(pause)
    assert_bounded(algorithm, passed, limit, min(PROCESSES * amount, limit * max_age))


def assert_bounded(
    algorithm: Algorithm, passed: list[tuple[float, int]], limit: int, more: float
) -> None:
    for index, (begin, _) in enumerate(passed):
        total = 0
        for end, granted in passed[index:]:
            total += granted
            if algorithm is FIXED:  # as many windows as the span can touch
                most = limit * (int(end - begin) + 2)
            else:
                most = limit + limit * (end - begin) + more
            assert total <= most + 1e-6
