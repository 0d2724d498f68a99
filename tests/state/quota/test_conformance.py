"""What every implementation answers, held to one model."""

from collections.abc import Iterable
from hashlib import blake2b
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mixer.state.quota import Algorithm, Charge, Standing, Take
from mixer.state.quota.bounds import MAX_AMOUNT
from tests.state.quota.conftest import START, Counters
from tests.state.quota.model import Model

SECOND = 10**9
YEAR = 365 * 86_400 * SECOND
FIXED, SLIDING, BUCKET = Algorithm
_EXAMPLES = count()


def charge(algorithm: Algorithm = FIXED, limit: int = 5, cost: int = 1, **more: object) -> Charge:
    return Charge(
        **{
            "key": b"k",
            "algorithm": algorithm,
            "limit": limit,
            "window_ns": SECOND,
            "cost": cost,
            **more,
        }
    )  # type: ignore[arg-type]


def granted(counters: Counters, charges: Iterable[Charge]) -> list[int]:
    return [counters.take(Take((one,))).standings[0].granted for one in charges]


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_limit(counters: Counters, algorithm: Algorithm) -> None:
    """So much passes at once, and no more until some of it is there again."""
    assert granted(counters, [charge(algorithm)] * 7) == [1] * 5 + [0] * 2
    (standing,) = counters.take(Take((charge(algorithm),))).standings
    wait = SECOND if algorithm is FIXED else SECOND // 5
    assert standing == Standing(0, True, 0, SECOND, wait)
    counters.now += wait - 1000
    assert granted(counters, [charge(algorithm)]) == [0]
    counters.now += 1000
    assert granted(counters, [charge(algorithm)] * 6) == (
        [1] * 5 + [0] if algorithm is FIXED else [1] + [0] * 5
    )


@pytest.mark.parametrize("algorithm", [SLIDING, BUCKET])
def test_a_burst(counters: Counters, algorithm: Algorithm) -> None:
    """So much can be taken at once, whatever there is in a window."""
    for limit, burst in ((5, 8), (8, 5)):
        one = charge(algorithm, limit=limit, burst=burst, key=b"%d" % limit)
        assert granted(counters, [one] * 9) == [1] * burst + [0] * (9 - burst)


def test_several_limits(counters: Counters) -> None:
    """Nothing is taken of any where one refuses."""
    few, many = charge(limit=2, key=b"few"), charge(BUCKET, limit=5, key=b"many")
    for _ in range(2):
        counters.take(Take((many, few)))
    answer = counters.take(Take((many, few)))
    assert [one.refused for one in answer.standings] == [False, True]
    assert [one.granted for one in answer.standings] == [0, 0]
    assert [one.remaining for one in answer.standings] == [3, 0]


def test_a_shadow(counters: Counters) -> None:
    """It counts what passes as far as it can, and refuses nothing."""
    real = charge(limit=3, key=b"real")
    for algorithm in (FIXED, BUCKET):
        shadow = charge(algorithm, limit=3, cost=2, shadow=True, key=b"shadow")
        counters.now += SECOND
        found = [counters.take(Take((real, shadow))).standings for _ in range(4)]
        assert [(a.granted, b.granted) for a, b in found] == [(1, 2), (1, 1), (1, 0), (0, 0)]
        assert [two.refused for _, two in found] == [False, True, True, True]


def test_best_effort(counters: Counters) -> None:
    """What there is, is taken."""
    for algorithm in Algorithm:
        one = charge(algorithm, cost=3, key=b"%d" % algorithm)
        found = [counters.take(Take((one,), best_effort=True)).standings[0] for _ in range(3)]
        assert [(s.granted, s.refused, s.remaining) for s in found] == [
            (3, False, 2), (2, True, 0), (0, True, 0)
        ]  # fmt: skip


def test_a_look_and_what_is_put_back(counters: Counters) -> None:
    """A look takes nothing and begins no window; no more is put back than was taken."""
    for algorithm in Algorithm:
        key = b"%d" % algorithm
        look, take, back = (charge(algorithm, cost=n, key=key) for n in (0, 4, -3))
        counters.take(Take((look,)))
        counters.now += SECOND // 2
        assert granted(counters, [take, look, back]) == [4, 0, 0]
        assert counters.take(Take((look,))).standings[0].remaining == 4
        assert granted(counters, [back]) == [0]
        assert counters.take(Take((look,))).standings[0].remaining == 5


def test_the_same_id_gets_the_same_answer(counters: Counters) -> None:
    """With what is left of its time, for as long as it is remembered.

    For another number of charges it is another question.
    """
    take = Take((charge(cost=3),), dedup_id=b"id", dedup_window_ns=SECOND // 2)
    first = counters.take(take)
    counters.now += SECOND // 4
    (repeated,) = counters.take(take).standings
    left = first.standings[0].reset_ns - SECOND // 4
    assert repeated == first.standings[0]._replace(reset_ns=left)
    assert counters.take(take, "other").standings[0].remaining == 2
    more = Take((*take.charges, charge(key=b"l")), dedup_id=b"id", dedup_window_ns=SECOND)
    assert counters.take(more).standings[0].refused
    counters.now += SECOND // 4
    assert counters.take(take).standings[0].refused


def test_keys_of_any_bytes(counters: Counters) -> None:
    """A key is no text, and one that begins with another is another counter."""
    keys = [b"\0", b"\xff" * 64, b"a", b"ab", b"\r\n", b"*1"]
    assert granted(counters, [charge(cost=5, key=key) for key in keys]) == [5] * len(keys)


def test_vm_ids_of_any_characters(counters: Counters) -> None:
    """A VM id that looks like another with the beginning of a key has counters of its own."""
    for vm_id, key in (("a", b":fk"), ("a:f", b"k"), ("1:a", b"k"), ("", b"1:a:fk")):
        answer = counters.take(Take((charge(cost=5, key=b":f" + key),)), vm_id)
        assert answer.standings[0].granted == 5
        answer = counters.take(Take((charge(cost=5, key=key),)), vm_id)
        assert answer.standings[0].granted == 5


def test_the_largest_numbers(counters: Counters) -> None:
    """At the bounds nothing is rounded and nothing overflows."""
    for algorithm in Algorithm:
        key = b"%d" % algorithm
        most, less, one = (
            charge(algorithm, limit=MAX_AMOUNT, window_ns=YEAR, cost=cost, key=key)
            for cost in (MAX_AMOUNT, MAX_AMOUNT - 1, 1)
        )
        assert granted(counters, [less, one, one]) == [MAX_AMOUNT - 1, 1, 0]
        shadow = most._replace(shadow=True)
        counters.now += YEAR // 2
        assert granted(counters, [shadow]) == [0 if algorithm is FIXED else MAX_AMOUNT // 2]


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_clock_that_is_put_back(counters: Counters, algorithm: Algorithm) -> None:
    """It grants nothing twice, and holds nothing for longer than a window."""
    one = charge(algorithm)
    assert granted(counters, [one] * 5) == [1] * 5
    counters.now -= SECOND // 2
    assert granted(counters, [one]) == [0]
    counters.now -= 3600 * SECOND
    assert granted(counters, [one]) == [0]
    counters.now += SECOND
    assert granted(counters, [one]) == [1]


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_limit_that_is_changed(counters: Counters, algorithm: Algorithm) -> None:
    """What was taken counts against the new limit: as an amount in a window, else as a share."""
    counters.take(Take((charge(algorithm, limit=6, cost=3),)))
    for limit in (4, 100, 7):
        look = charge(algorithm, limit=limit, cost=0)
        left = counters.take(Take((look,))).standings[0].remaining
        assert left == (limit - 3 if algorithm is FIXED else limit // 2)


@pytest.mark.parametrize("algorithm", [SLIDING, BUCKET])
def test_hosts_with_different_limits_for_one_counter(
    counters: Counters, algorithm: Algorithm
) -> None:
    """While a new limit is on its way to all hosts, they let no more pass than the looser one."""
    old = charge(algorithm, limit=10)
    new = charge(algorithm, limit=10, window_ns=10 * SECOND)
    passed = 0
    for _ in range(20):
        passed += sum(granted(counters, [old, *[new] * 12, old]))
        counters.now += SECOND // 20
    assert 10 <= passed <= 10 + 10


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_shorter_window_holds_at_once(counters: Counters, algorithm: Algorithm) -> None:
    """Who used up a day's limit waits no longer than the new limit's window."""
    counters.take(Take((charge(algorithm, window_ns=86_400 * SECOND, cost=5),)))
    counters.now += SECOND if algorithm is FIXED else 0
    assert granted(counters, [charge(algorithm)]) == [1 if algorithm is FIXED else 0]
    counters.now += SECOND
    assert granted(counters, [charge(algorithm, cost=5)]) == [5]


def _costs() -> st.SearchStrategy[int]:
    return st.integers(-4, 12) | st.sampled_from([MAX_AMOUNT, -MAX_AMOUNT, 1000])


_SHAPES = st.tuples(
    st.sampled_from(Algorithm),
    st.sampled_from([1, 2, 3, 7, 10, 1_000_003, MAX_AMOUNT]),
    st.sampled_from([1000, 7000, 1_000_000, 60_000_000, YEAR // 1000]).map(lambda us: us * 1000),
    st.sampled_from([0, 1, 4, 13]),
)


@st.composite
def _steps(draw: st.DrawFn) -> list[tuple[int, Take]]:
    """Jumps of the clock in microseconds, and takes of a few counters.

    The length of a fixed window never changes: whether one that was over is known when it is longer
    is for the implementation.
    """
    shapes = draw(st.lists(st.tuples(_SHAPES, _SHAPES), min_size=1, max_size=3))
    charges = [
        Charge(b"%d" % n, *shape, cost=1)
        for n, (first, other) in enumerate(shapes)
        for shape in ((first,) if FIXED in (first[0], other[0]) else (first, other))
    ]
    one = st.tuples(
        st.integers(0, 2_000_000)
        | st.integers(-3_000_000, 0)
        | st.sampled_from([0, 1, -(10**12), 10**12]),
        st.lists(
            st.tuples(st.sampled_from(charges), _costs(), st.booleans()),
            min_size=1,
            max_size=3,
            unique_by=lambda x: x[0].key,
        ),
        st.booleans(),
        st.sampled_from([b"", b"", b"i"]),
    )
    return [
        (
            jump,
            Take(
                tuple(c._replace(cost=cost, shadow=shadow) for c, cost, shadow in asked),
                best and len(asked) == 1,
                dedup and blake2b(repr((asked, best)).encode()).digest(),
                SECOND if dedup else 0,
            ),
        )
        for jump, asked, best, dedup in draw(st.lists(one, min_size=1, max_size=25))
    ]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(_steps())
def test_it_is_as_its_model(counters: Counters, steps: list[tuple[int, Take]]) -> None:
    """Whatever is taken and however the clock jumps, the answer is that of the model."""
    model, vm_id = Model(), f"example {next(_EXAMPLES)}"
    counters.now = START
    looks = {one._replace(cost=0, shadow=False) for _, take in steps for one in take.charges}
    for jump, take in steps:
        for look in looks if jump < 0 else ():  # what is full again by now may be given up or not
            counters.take(Take((look,)), vm_id)
            model.take(vm_id, Take((look,)), counters.now)
        counters.now += jump * 1000
        assert counters.take(take, vm_id) == model.take(vm_id, take, counters.now)
