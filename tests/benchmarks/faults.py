"""What a backend that hangs costs those who do not need it; ``python -m tests.benchmarks.faults``.

One service, asked at a constant rate by requests that need a backend and by others that need none,
over one connection. The latency told is that of the others: while all is well, while the backend
hangs (SIGSTOP), while it is gone (SIGKILL), and while it comes back, in turns. Each figure is the
median of the rounds, so that a moment in which the machine does something else is not taken for a
fault. The first rows have no fault: what they differ by is the machine's own.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc.aio

from tests.e2e.calls import channel
from tests.e2e.stack import Services
from tests.support.backend_process import Backend
from tests.support.needing import (
    BACKENDS,
    Call,
    adapters,
    backends_running,
    needing,
    others,
    passes,
    spec,
)

DEADLINE_S = 1.0
CALM = "calm"


@dataclass(slots=True)
class Seen:
    """Of one kind of requests in one phase of one round.

    Attributes:
        took: Milliseconds of each.
        passed: How many passed.
    """

    took: list[float] = field(default_factory=list)
    passed: int = 0


@dataclass(slots=True)
class Phase:
    """A time in which nothing changes, in one round."""

    others: Seen = field(default_factory=Seen)
    needing: Seen = field(default_factory=Seen)


class Load:
    """Requests at a constant rate, whatever becomes of those before.

    Args:
        opened: To the service.
        call: What is asked.
        rate: A second.
    """

    def __init__(self, opened: grpc.aio.Channel, call: Call, rate: float) -> None:
        self._call = call
        self._method = opened.unary_unary(call[0])
        self._between = 1 / rate
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, seen: Callable[[], Seen]) -> None:
        """Ask until this is cancelled; each request counts for the phase that it began in."""
        due = time.perf_counter()
        while True:
            due += self._between
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            task = asyncio.ensure_future(self._ask(seen()))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _ask(self, seen: Seen) -> None:
        began = time.perf_counter()
        try:
            answer = await self._method(self._call[1], timeout=DEADLINE_S)
            seen.passed += passes(self._call, answer)
        except grpc.aio.AioRpcError:
            pass  # it did not pass
        seen.took.append((time.perf_counter() - began) * 1000)


async def measure(
    opened: grpc.aio.Channel, name: str, backend: Backend | None, given: argparse.Namespace
) -> dict[str, list[Phase]]:
    """Have both kinds of requests asked while faults come and go.

    Args:
        opened: To the service.
        name: What one kind needs.
        backend: What fails; None for nothing.
        given: How long, how often and at which rate.

    Returns:
        Phases by name, in rounds; the moment in which a fault comes is part of its phase.
    """
    changes = _changes(backend)
    rounds: dict[str, list[Phase]] = {name: [] for name in changes}
    now = Phase()
    loads = [
        asyncio.ensure_future(Load(opened, others(), given.rate).run(lambda: now.others)),
        asyncio.ensure_future(Load(opened, needing(name), given.rate).run(lambda: now.needing)),
    ]
    try:
        for _ in range(given.rounds):
            for phase, change in changes.items():
                now = Phase()
                rounds[phase].append(now)
                await asyncio.to_thread(change)
                await asyncio.sleep(given.seconds)
        await asyncio.to_thread(changes["back"])
    finally:
        for load in loads:
            load.cancel()
        await asyncio.gather(*loads, return_exceptions=True)
    await asyncio.sleep(DEADLINE_S)
    return rounds


def _nothing() -> None:
    """No fault."""


def _changes(backend: Backend | None) -> dict[str, Callable[[], None]]:
    """What begins each phase of a round."""
    if backend is None:
        return {"back": _nothing, CALM: _nothing, "hangs": _nothing, "gone": _nothing}

    def start() -> None:
        backend.kill()
        backend.start()

    return {"back": start, CALM: _nothing, "hangs": backend.freeze, "gone": backend.kill}


def _figures(phases: Sequence[Phase]) -> tuple[float, float, float]:
    """Median, 99th percentile and longest of the others, in milliseconds, of the middle round."""
    took = [phase.others.took for phase in phases]
    return (
        statistics.median(map(statistics.median, took)),
        statistics.median(statistics.quantiles(one, n=100)[98] for one in took),
        statistics.median(map(max, took)),
    )


def _share(seen: Sequence[Seen]) -> float:
    return sum(one.passed for one in seen) / sum(len(one.took) for one in seen)


def _print(title: str, rounds: dict[str, list[Phase]]) -> None:
    base = _figures(rounds[CALM])
    for phase in (CALM, "hangs", "gone", "back"):
        found = rounds[phase]
        figures = _figures(found)
        print(
            f"{title:20} {phase:6}"
            + "".join(f"{one:8.2f}" for one in figures)
            + "".join(f"{one / calm:8.2f}" for one, calm in zip(figures, base, strict=True))
            + f"{_share([one.others for one in found]):9.1%}"
            f"{_share([one.needing for one in found]):12.1%}",
            flush=True,
        )


async def _run(given: argparse.Namespace) -> None:
    columns = ("p50 ms", "p99 ms", "most ms", "p50 x", "p99 x", "most x")
    print(" " * 27 + "".join(f"{one:>8}" for one in columns) + f"{'passed':>9}{'needing it':>12}")
    with tempfile.TemporaryDirectory(prefix="mixer-faults-") as folder, backends_running() as all_:
        services = Services(Path(folder), Path(folder) / "compiled")
        documents = adapters(services.folder)
        process = services.service("faults", documents, **spec(all_))
        async with process, channel(process.address) as opened:
            _print("no fault", await measure(opened, "redis", None, given))
            for name in given.backends or BACKENDS:
                _print(BACKENDS[name], await measure(opened, name, all_.named(name), given))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.faults", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each phase")
    parser.add_argument("--rate", type=float, default=100.0, help="a second, of each kind")
    parser.add_argument("backends", nargs="*", metavar="BACKEND", help=" ".join(BACKENDS))
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
