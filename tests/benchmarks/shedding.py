"""CPU of a check that load shedding refuses, against one that is served."""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import yaml

from mixer.api import ext_authz
from mixer.config import loads
from mixer.engine import Engine, Request
from mixer.shedding import Bounds, Gate, Kind, RateBound, Refusal, Shedder, WaitBound
from mixer.study.service import ServiceProcess
from mixer.transport.overload import deny_overloaded
from tests.benchmarks.server_cpu import ask
from tests.benchmarks.variants import Variant

_ROUNDS = 5
_CONTEXT: Any = None


@dataclass(frozen=True, slots=True)
class SheddingCost:
    """Microseconds of CPU for a check.

    Attributes:
        name: The variant.
        served: Over gRPC, without load shedding.
        refused: Over gRPC, by an exhausted rate.
        served_alone: Without transport.
        refused_alone: Likewise.
    """

    name: str
    served: float
    refused: float
    served_alone: float
    refused_alone: float


def admitting(calls: int) -> float:
    """Microseconds of a gate with every bound that lets a check in, and of its ticket."""
    bounds = Bounds(True, 1000, WaitBound(0.1, 0.1), RateBound(10_000_000, 10_000_000))
    gate = Shedder(bounds).gate("front", Kind.CHECK)

    def admit() -> None:
        ticket = gate.admit()
        assert not isinstance(ticket, Refusal)
        with ticket:
            pass

    return _each(admit, calls)


async def measure(variants: Sequence[Variant], checks: int) -> list[SheddingCost]:
    """Ask each variant with and without load shedding, in turns."""
    costs = []
    async with AsyncExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="mixer-bench-")))
        for number, variant in enumerate(variants):
            servers = [
                await _service(running, folder, f"{number}-{sheds}", variant, sheds=sheds)
                for sheds in (False, True)
            ]
            spent: list[list[float]] = [[], []]
            for turn in range(_ROUNDS + 1):
                for server, figures in zip(servers, spent, strict=True):
                    cpu = await ask(server, variant.requests(), checks)
                    if turn:  # the first round warms up
                        figures.append(cpu / checks * 1e6)
            served, refused = map(statistics.median, spent)
            alone = _served_alone(variant, checks), _refused_alone(checks)
            costs.append(SheddingCost(variant.name, served, refused, *alone))
    return costs


async def _service(
    running: AsyncExitStack, folder: Path, name: str, variant: Variant, *, sheds: bool
) -> ServiceProcess:
    address = f"unix:{folder}/{name}.sock"
    mixer, *plugins = yaml.safe_load_all(variant.documents(address))
    if sheds:
        rate = {"requestsPerSecond": 1, "burst": 1}
        mixer["spec"]["loadShedding"] = {"mode": "ENFORCE", "rate": rate}
    config = folder / f"{name}.yaml"
    config.write_text(yaml.safe_dump_all([mixer, *plugins]))
    return await running.enter_async_context(
        ServiceProcess(config, address, folder / f"{name}.log")
    )


def _served_alone(variant: Variant, checks: int) -> float:
    requests = islice(cycle(variant.requests()), checks)
    with Engine(loads(variant.documents("127.0.0.1:0"))) as engine:

        def serve() -> None:
            request = ext_authz.decode(next(requests))
            assert isinstance(request, Request)
            ext_authz.encode(engine.decide(request))

        return _each(serve, checks)


def _refused_alone(checks: int) -> float:
    gate = Shedder(Bounds(rate=RateBound(1, 1))).gate("front", Kind.CHECK)
    gate.admit()

    def refuse() -> None:
        _run(deny_overloaded, gate)

    return _each(refuse, checks)


def _run(deny: Any, gate: Gate) -> None:
    refusal = gate.admit()
    if isinstance(refusal, Refusal):
        with suppress(StopIteration):
            deny(_CONTEXT, refusal).send(None)


def _each(call: Callable[[], None], calls: int) -> float:
    began = time.process_time()
    for _ in range(calls):
        call()
    return (time.process_time() - began) / calls * 1e6
