"""CPU that the server spends on a check, over real gRPC."""

import asyncio
import statistics
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path

import grpc.aio
import psutil

from mixer.api import ext_authz
from mixer.study.service import ServiceProcess
from tests.benchmarks.servers import baseline, service_of
from tests.benchmarks.variants import Variant

_CONCURRENCY = 8
_ROUNDS = 5


@dataclass(slots=True)
class ServerCost:
    """What was measured of one server.

    Attributes:
        name: The variant.
        cpu_us: Microseconds of CPU for a check, one figure for each round.
        resident_mib: Resident memory at the end.
    """

    name: str
    cpu_us: list[float] = field(default_factory=list)
    resident_mib: float = 0.0

    @property
    def median(self) -> float:
        """Of the rounds."""
        return statistics.median(self.cpu_us)


async def measure(variants: Sequence[Variant], checks: int) -> list[ServerCost]:
    """Ask each server in turns, the baseline first, so that noise hits all of them alike.

    Args:
        variants: What to compare.
        checks: How often each is asked in a round.
    """
    async with AsyncExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="mixer-bench-")))
        servers = [await baseline(running, folder, "constant_server")]
        servers += [await service_of(running, folder, i, v) for i, v in enumerate(variants)]
        requests = [variants[0].requests(), *(v.requests() for v in variants)]
        costs = [ServerCost("constant answer (baseline)"), *(ServerCost(v.name) for v in variants)]
        for number in range(_ROUNDS + 1):
            for server, asked, cost in zip(servers, requests, costs, strict=True):
                spent = await ask(server, asked, checks)
                if number:  # the first round warms up
                    cost.cpu_us.append(spent / checks * 1e6)
        for server, cost in zip(servers, costs, strict=True):
            cost.resident_mib = psutil.Process(server.pid).memory_info().rss / (1 << 20)
        return costs


async def ask(server: ServiceProcess, requests: list[bytes], checks: int) -> float:
    process = psutil.Process(server.pid)
    async with grpc.aio.insecure_channel(server.address) as channel:
        check = channel.unary_unary(f"/{ext_authz.SERVICE}/{ext_authz.METHOD}")

        async def caller() -> None:
            for request in islice(turns, checks // _CONCURRENCY):
                await check(request)

        turns = cycle(requests)
        await check(requests[0], wait_for_ready=True)
        before = process.cpu_times()
        await asyncio.gather(*(caller() for _ in range(_CONCURRENCY)))
        after = process.cpu_times()
    return (after.user - before.user) + (after.system - before.system)
