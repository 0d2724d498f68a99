"""Long work in slices."""

import asyncio
from collections.abc import Iterator

import pytest

from mixer.transport.slices import SLICE_S, Slices

_STEP_S = 0.0005


class Loop:
    """What happened, with a clock that only work moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.took: list[tuple[str, float]] = []
        self.slices = Slices(lambda: self.now)

    def step(self, name: str, seconds: float) -> None:
        self.now += seconds
        if not self.took or self.took[-1][0] != name:
            self.took.append((name, 0.0))
        self.took[-1] = (name, self.took[-1][1] + seconds)

    def steps(self, name: str, number: int) -> Iterator[None]:
        for _ in range(number):
            self.step(name, _STEP_S)
            yield

    async def small_work(self) -> None:
        """Something to do in every turn."""
        while True:
            self.step("small", 0.0002)
            await asyncio.sleep(0)


@pytest.mark.parametrize("works", [1, 20])
def test_all_else_has_as_much_time(works: int) -> None:
    """However many long works there are, one slice of one of them passes between others' turns."""

    async def run() -> Loop:
        loop = Loop()
        small = asyncio.create_task(loop.small_work())
        await asyncio.gather(*(loop.slices.work(loop.steps(f"{n}", 40)) for n in range(works)))
        small.cancel()
        return loop

    took = asyncio.run(run()).took
    long, small = took[1::2], took[:-1:2]
    assert [name for name, _ in small] == ["small"] * len(small)
    assert sum(seconds for _, seconds in long) == pytest.approx(works * 40 * _STEP_S)
    assert max(seconds for _, seconds in long) <= SLICE_S + _STEP_S
    assert min(seconds for _, seconds in small) >= SLICE_S


def test_works_take_turns() -> None:
    """A short one is done long before a long one is, though it came later."""

    async def run() -> list[str]:
        loop, done = Loop(), list[str]()

        async def work(name: str, steps: int) -> None:
            await loop.slices.work(loop.steps(name, steps))
            done.append(name)

        await asyncio.gather(work("long", 10_000), work("short", 10))
        return done

    assert asyncio.run(run()) == ["short", "long"]


def test_nothing_waits_for_nothing() -> None:
    """Where there is nothing else to do, hardly a turn passes between two slices."""

    async def run() -> tuple[int, float]:
        loop, turns = Loop(), 0
        work = asyncio.create_task(loop.slices.work(loop.steps("long", 100)))
        while not work.done():
            turns += 1
            await asyncio.sleep(0)
        return turns, loop.now

    turns, now = asyncio.run(run())
    assert now == pytest.approx(100 * _STEP_S)
    assert turns < 5 * 100 * _STEP_S / SLICE_S


def test_work_that_is_given_up() -> None:
    """It leaves its turn to others."""

    async def run() -> None:
        loop = Loop()
        given_up = asyncio.create_task(loop.slices.work(loop.steps("long", 10_000)))
        await asyncio.sleep(0)
        other = asyncio.create_task(loop.slices.work(loop.steps("other", 10)))
        given_up.cancel()
        await asyncio.wait_for(other, 30)
        assert given_up.cancelled()

    asyncio.run(run())
