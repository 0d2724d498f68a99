"""What each built-in adapter costs over a module that does nothing, and how much of it is its own.

Checks are CheckRequests, as Envoy sends them; records are those of a report by Mixer v1. There is
no transport: bytes in, bytes out, in this process, in turns. One engine is there at a time, and the
collector is set as in a service.

``python -m tests.benchmarks.adapters [CHECKS]``
"""

import gc
import statistics
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import wasmtime
import yaml

from mixer.api import ext_authz
from mixer.config import loads
from mixer.demo.configuration import auth_configuration
from mixer.demo.credentials import new_credentials
from mixer.engine import Decision, Engine, PendingDecision, Request
from mixer.engine.durable import Recorded
from mixer.proxywasm import ManualScheduler
from mixer.transport.collector import spare_the_collector
from tests.benchmarks import report
from tests.benchmarks.own_code import CROSSING, OwnCode
from tests.benchmarks.variants import EMPTY, Variant

_ROUNDS = 9
_WARM_UP = 300
_WAITING = 256
"""Checks that wait for the ledger at one time."""
_REPORTS = 8
"""Reports that wait for it likewise."""
_QUOTA = {
    "quotas": [
        {
            "name": "requests",
            "max": 1_000_000_000,
            "window": "1h",
            "dimensions": {"user": 'request.headers["x-forwarded-for"]'},
        }
    ]
}

_BILLING = {
    "subject": "request.host",
    "labels": {"method": "request.method"},
    "plans": [{"name": "p", "version": "1", "currency": "EUR", "rates": {}}],
}

Step = Callable[[int], None]
"""Does a number of checks, or tells of a number of records."""


@dataclass(frozen=True, slots=True)
class Case:
    """An adapter and what it is given to do.

    Attributes:
        name: What is printed.
        plugin: ``spec`` of its WasmPlugin.
        baseline: The case that it is compared to; empty for one that is compared to nothing.
        records: Whether it is told of records, and not asked about requests.
        headers: Of the requests, beyond those of a browser.
        queue: Whether there is one for records of usage, which are dropped at once.
        ledger: A file in which they are kept instead, before what they belong to is answered.
    """

    name: str
    plugin: dict[str, Any]
    baseline: str = ""
    records: bool = False
    headers: tuple[dict[str, str], ...] = ({},)
    queue: bool = False
    ledger: Path | None = None

    def engine(self) -> Engine:
        """An engine with this adapter alone."""
        document = {
            "apiVersion": "extensions.istio.io/v1alpha1",
            "kind": "WasmPlugin",
            "metadata": {"name": "adapter"},
            "spec": self.plugin,
        }
        documents = [document] if self.ledger is None else [document, _keeping(self.ledger)]
        engine = Engine(loads(yaml.safe_dump_all(documents)), scheduler=Woken())
        if self.queue:
            _drop_usage(engine)
        return engine

    def step(self, engine: Engine) -> Step:
        """What it does."""
        if self.records:
            data = report.batch()
            if self.ledger is not None:
                return lambda number: tell_and_store(engine, data, number)
            return lambda number: _tell(engine, data, number)
        checks = Variant(self.name, None, self.headers).requests()
        if self.ledger is not None:
            return lambda number: ask_and_store(engine, checks, number)
        return lambda number: ask(engine, checks, number)


class Woken(ManualScheduler):
    """One that a thread can wait for, without a turn in vain."""

    def __init__(self) -> None:
        super().__init__()
        self._signal = threading.Event()

    def post(self, call: Callable[[], None]) -> None:
        super().post(call)
        self._signal.set()

    def wait(self) -> None:
        """Run what another thread posts next."""
        self._signal.wait()
        self._signal.clear()
        self.advance()


def _keeping(file: Path) -> dict[str, Any]:
    return {
        "apiVersion": "mixer.dev/v1alpha1",
        "kind": "Mixer",
        "metadata": {"name": "mixer"},
        "spec": {"ledger": {"sqlite": {"path": str(file)}}},
    }


def _drop_usage(engine: Engine) -> None:
    queues = engine.services.shared_queues

    def drop(queue: int) -> None:
        queues.dequeue(queue)

    queues.register("mixer", b"usage", drop)


def ask(engine: Engine, requests: list[bytes], number: int) -> None:
    """Have so many requests decided."""
    for at in range(number):
        request = ext_authz.decode(requests[at % len(requests)])
        assert isinstance(request, Request)
        decision = engine.decide(request)
        assert isinstance(decision, Decision)
        _answer(decision)


def ask_and_store(engine: Engine, requests: list[bytes], number: int) -> None:
    """The same, each answered once it is in the ledger, while others wait for it too."""
    scheduler, waiting = engine.services.scheduler, deque[PendingDecision]()
    assert isinstance(scheduler, Woken)
    for at in range(number + _WAITING):
        if at < number:
            request = ext_authz.decode(requests[at % len(requests)])
            assert isinstance(request, Request)
            pending = engine.decide(request)
            assert isinstance(pending, PendingDecision)
            pending.then(_answer)
            waiting.append(pending)
        while waiting and (len(waiting) >= _WAITING or at >= number):
            if waiting[0].decision is None:
                scheduler.wait()
            else:
                waiting.popleft()


def tell_and_store(engine: Engine, data: bytes, number: int) -> None:
    """Tell of reports, each answered once all of it is in the ledger, while others wait too."""
    scheduler, waiting = engine.services.scheduler, deque[Recorded]()
    assert isinstance(scheduler, Woken)
    assert engine.commits is not None
    for _ in range(-(-number // report.RECORDS)):
        recorded = Recorded(engine.commits)
        report.tell(engine, data, recorded)
        recorded.wait(lambda _: None)
        waiting.append(recorded)
        while len(waiting) >= _REPORTS:
            _let_go(scheduler, waiting)
    while waiting:
        _let_go(scheduler, waiting)


def _let_go(scheduler: Woken, waiting: deque[Recorded]) -> None:
    while not waiting[0].is_stored:
        scheduler.wait()
    waiting.popleft()


def _answer(decision: Decision) -> None:
    assert decision.response is None, decision
    ext_authz.encode(decision)


def _tell(engine: Engine, data: bytes, number: int) -> None:
    for _ in range(-(-number // report.RECORDS)):
        report.tell(engine, data)


@dataclass(frozen=True, slots=True)
class AdapterCost:
    """What one request or record costs.

    Attributes:
        case: Of which adapter.
        us: Microseconds of CPU.
        over: The same, over the baseline.
        own: Of that, microseconds in the module's own code: what the baseline takes to be entered
            is taken off. None where others need the processor meanwhile, as the ledger does.
        host_calls: How many it makes.
    """

    case: Case
    us: float
    over: float
    own: float | None
    host_calls: float


def cases(folder: Path) -> Iterator[Case]:
    """Every adapter, each after what it is compared to; writes modules to a folder."""
    credentials = new_credentials(1)
    auth = {"url": "builtin://auth", "pluginConfig": auth_configuration(credentials)}
    key = ({"x-api-key": credentials.api_key},)
    token = ({"authorization": f"Bearer {credentials.token}"},)
    yield Case("empty module", {"url": _module(folder, "check", EMPTY)})
    yield Case("auth, API key", auth, "empty module", headers=key)
    yield Case("auth, ES256 token seen before", auth, "empty module", headers=token)
    quota = {"url": "builtin://quota", "pluginConfig": _QUOTA}
    yield Case("quota, one limit", quota, "empty module")
    logger = {"url": _module(folder, "log", report.EMPTY)}
    yield Case("empty module, a record", logger, records=True)
    telemetry = {"url": "builtin://telemetry", "pluginConfig": report.counter("{}")}
    yield Case("telemetry, five labels", telemetry, "empty module, a record", records=True)
    istio = {"url": "builtin://telemetry"}
    yield Case("telemetry, Istio's metrics", istio, "empty module, a record", records=True)
    asked = {"url": "builtin://billing", "pluginConfig": {**_BILLING, "recordOn": "request"}}
    yield Case("billing, a call", asked, "empty module", queue=True)
    kept = folder / "usage.db"
    yield Case("billing, a call, into SQLite", asked, "empty module", ledger=kept)
    told = {"url": "builtin://billing", "pluginConfig": _BILLING}
    logged = "empty module, a record"
    yield Case("billing, a record", told, logged, records=True, queue=True)
    # Without a key that the report has: the same one again would be no further record.
    told = {**told, "pluginConfig": {**_BILLING, "idempotencyKey": 'request.headers["x-none"]'}}
    file = folder / "reports.db"
    yield Case("billing, a record, into SQLite", told, logged, records=True, ledger=file)


def _module(folder: Path, name: str, text: str) -> str:
    path = folder / f"{name}.wasm"
    path.write_bytes(wasmtime.wat2wasm(text))
    return f"file://{path}"


def measure(checks: int) -> list[AdapterCost]:
    """The fastest round of each case: what others do on the machine only adds to it.

    Args:
        checks: In each round.
    """
    with tempfile.TemporaryDirectory() as folder:
        compared = list(cases(Path(folder)))
        figures = _in_turns(compared, checks)
        fastest = {name: min(found) for name, found in figures.items()}
        crossing = _crossing_ns(Path(folder))
        own = {case.name: _own(case, checks, crossing) for case in compared}
        return [_cost(case, fastest, own) for case in compared]


def _in_turns(compared: list[Case], checks: int) -> dict[str, list[float]]:
    figures: dict[str, list[float]] = {case.name: [] for case in compared}
    for _ in range(_ROUNDS):
        for case in compared:
            figures[case.name].append(_round(case, checks))
    return figures


def _round(case: Case, checks: int) -> float:
    engine = case.engine()
    step = case.step(engine)
    step(_WARM_UP)
    spare_the_collector()
    began = time.process_time()
    step(checks)
    spent = time.process_time() - began
    gc.unfreeze()
    assert not any(adapter.stats.failures for adapter in engine.adapters)
    engine.close()
    return spent / checks * 1e6


def _crossing_ns(folder: Path) -> float:
    """Nanoseconds from a module into a host call and back, without the call."""
    case = Case("crossing", {"url": _module(folder, "crossing", CROSSING)})
    with OwnCode() as own:
        engine = case.engine()
        step = case.step(engine)
        found = []
        for _ in range(_ROUNDS * 10):
            own.reset()
            step(1)
            found.append(own.microseconds * 1000 / own.host_calls)
        engine.close()
    return statistics.quantiles(found, n=10)[0]


_Own = tuple[float, float]


def _cost(case: Case, fastest: dict[str, float], own: dict[str, _Own]) -> AdapterCost:
    us, (spent, calls) = fastest[case.name], own[case.name]
    if not case.baseline:
        return AdapterCost(case, us, 0.0, None, calls)
    base_us, base_spent = fastest[case.baseline], own[case.baseline][0]
    alone = spent - base_spent if case.ledger is None else None
    return AdapterCost(case, us, us - base_us, alone, calls)


def _own(case: Case, checks: int, crossing_ns: float) -> _Own:
    """Microseconds in the module's code and in entering it, the fastest tenth; and host calls."""
    at_once = report.RECORDS if case.records else 1
    with OwnCode(crossing_ns) as own:
        engine = case.engine()
        step = case.step(engine)
        step(checks)
        found = []
        for _ in range(max(_ROUNDS, checks // at_once)):
            own.reset()
            step(at_once)
            found.append((own.microseconds / at_once, own.host_calls / at_once))
        engine.close()
    times, calls = zip(*found, strict=True)
    return statistics.quantiles(times, n=10)[0], statistics.median(calls)


def rows(costs: list[AdapterCost]) -> list[tuple[str, ...]]:
    """As they are printed."""
    return [
        (
            cost.case.name,
            f"{cost.us:.1f}",
            f"{cost.over:+.1f}" if cost.case.baseline else "",
            "" if cost.own is None else f"{cost.own:.1f}",
            f"{cost.host_calls:.1f}",
        )
        for cost in costs
    ]


COLUMNS = ("", "us", "over empty", "own code us", "host calls")


def main() -> None:
    """Print every case."""
    checks = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    for row in (COLUMNS, *rows(measure(checks))):
        print(f"{row[0]:36}" + "".join(f"{cell:>14}" for cell in row[1:]))


if __name__ == "__main__":
    main()
