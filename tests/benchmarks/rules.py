"""What rules cost: to find the one for a request, and a configuration for each tenant."""

import gc
import hashlib
import statistics
import time
import tracemalloc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import yaml
from envoy.service.auth.v3 import external_auth_pb2

from mixer.api import ext_authz
from mixer.config import Configuration, loads
from mixer.engine import Decision, Engine
from mixer.engine.restart import RestartPolicy
from mixer.engine.shared_vm import SharedVm
from mixer.proxywasm import ManualScheduler
from mixer.vm import TrapError, TrapKind
from tests.benchmarks.variants import EMPTY
from tests.support.compile import wasm
from tests.support.tenants import rule

MANY = 1000
_ROUNDS = 9

KINDS: Mapping[str, tuple[str, str]] = {
    "host": ("t{n}.example.com", 'request.host == "t{n}.example.com"'),
    "host below a domain": (
        "api.t{n}.example.com", 'request.host.endsWith(".t{n}.example.com")',
    ),
    "path prefix": ("example.com", 'request.path.startsWith("/t{n}/")'),
    "one of ten hosts, and path prefix": (
        "t{tenth}.example.com",
        'request.host == "t{tenth}.example.com" && request.url_path.startsWith("/t{n}/")',
    ),
    "host, and a header": (
        "t{n}.example.com",
        'request.host == "t{n}.example.com" && request.headers["x-env"] in ["prod", "test"]',
    ),
    "a header": ("example.com", 'request.headers["x-tenant"] == "t{n}"'),
    "nothing to look up": ("example.com", 'request.path.contains("/t{n}/")'),
}  # fmt: skip
"""The host of a request, and the rule for it."""


@dataclass(frozen=True, slots=True)
class RuleCost:
    """CPU of one check without transport, of which the last rule is the one.

    Attributes:
        kind: What the rules match by.
        one: Microseconds with that rule alone.
        many: With `MANY` rules.
    """

    kind: str
    one: float
    many: float


@dataclass(frozen=True, slots=True)
class TenantCost:
    """An adapter with a configuration for each of many tenants.

    Attributes:
        tenants: How many.
        vms: In how many VMs.
        start: Seconds from the configuration to the first answer, compiled before.
        linear: Bytes of linear memory.
        python: Bytes of Python's objects, without the configuration.
        restart: Milliseconds to the first answer after a trap.
    """

    tenants: int
    vms: int
    start: float
    linear: int
    python: int
    restart: float


def measure(folder: Path, checks: int) -> list[RuleCost]:
    """The median for each kind, with one rule and with many, in turns."""
    (folder / "empty.wasm").write_bytes(wasm(EMPTY))
    costs = [_compare(folder, kind, checks) for kind in KINDS]
    return [*costs, _compare(folder, "host", checks, operations=True)]


def _compare(folder: Path, kind: str, checks: int, *, operations: bool = False) -> RuleCost:
    numbers = {1: [MANY - 1], MANY: [*range(MANY)]}
    engines = {
        many: Engine(_configuration(folder, [_rule(kind, n, operations) for n in listed]))
        for many, listed in numbers.items()
    }
    found: dict[int, list[float]] = {many: [] for many in engines}
    request = _request(_of(KINDS[kind][0], MANY - 1))
    for turn in range(_ROUNDS + 1):
        for many, engine in engines.items():
            spent = _ask(engine, request, checks)
            if turn:
                found[many].append(spent / checks * 1e6)
    for engine in engines.values():
        engine.close()
    one, many = (statistics.median(figures) for figures in found.values())
    return RuleCost(f"{kind}; rules that set a header" if operations else kind, one, many)


def _rule(kind: str, number: int, operations: bool) -> dict[str, Any]:
    match = _of(KINDS[kind][1], number)
    if operations:
        said = [{"name": "x-tenant", "values": [f'"t{number}"']}]
        return rule(f"r{number}", match, requestHeaderOperations=said)
    return rule(f"r{number}", match, {"name": "adapter", "pluginConfig": {"n": number % 2}})


def _configuration(folder: Path, rules: list[dict[str, Any]], **spec: Any) -> Configuration:
    plugin = {
        "apiVersion": "extensions.istio.io/v1alpha1",
        "kind": "WasmPlugin",
        "metadata": {"name": "adapter"},
        "spec": {"url": "./empty.wasm", **spec},
    }
    return loads(yaml.safe_dump_all([plugin, *rules]), base=folder)


def _of(text: str, number: int) -> str:
    return text.format(n=number, tenth=number % 10)


def _ask(engine: Engine, data: bytes, checks: int) -> float:
    """Seconds of CPU."""
    began = time.process_time()
    for one in repeat(data, checks):
        request = ext_authz.decode(one)
        assert request is not None
        engine.decide(request)
    return time.process_time() - began


def _request(host: str, number: int = MANY - 1) -> bytes:
    """A request of a tenant."""
    request = external_auth_pb2.CheckRequest()
    http = request.attributes.request.http
    http.method, http.scheme, http.protocol = "GET", "https", "HTTP/1.1"
    http.host, http.path = host, f"/t{number}/orders?page=2"
    http.headers.update({":method": "GET", "x-tenant": f"t{number}", "x-env": "prod"})
    http.headers.update({"x-api-key": f"key-{number}", "user-agent": "curl/8"})
    return bytes(request.SerializeToString())


def measure_tenants(folder: Path, numbers: Sequence[int]) -> list[TenantCost]:
    """Start so many tenants of ``auth``, each with a key of its own, and ask."""
    with Engine(_tenants(folder, 1)):  # compiles it
        pass
    return [_tenant_cost(_tenants(folder, number), number) for number in numbers]


def _tenants(folder: Path, tenants: int) -> Configuration:
    rules = [
        rule(
            f"r{n}",
            f'request.host == "t{n}.example.com"',
            {"name": "adapter", "pluginConfig": _keys(n)},
        )
        for n in range(tenants)
    ]
    return _configuration(folder, rules, url="builtin://auth", pluginConfig=_keys(-1))


def _keys(number: int) -> dict[str, Any]:
    digest = hashlib.sha256(f"key-{number}".encode()).hexdigest()
    return {"api_keys": {"keys": [{"sha256": digest, "consumer": f"tenant-{number}"}]}}


def _tenant_cost(configuration: Configuration, tenants: int) -> TenantCost:
    python, began = _python_bytes(configuration), time.perf_counter()
    with Engine(configuration, scheduler=ManualScheduler()) as engine:
        _expect_allowed(engine, tenants - 1)
        start = time.perf_counter() - began
        owner = engine.adapters[0].owner
        assert isinstance(owner, SharedVm)
        assert owner.vm is not None
        vms = {a.owner for slot in engine.selector.slots for a in slot.adapters}
        linear = owner.memory_bytes
        owner.restart = RestartPolicy()
        owner.vm.trap = TrapError(TrapKind.UNREACHABLE, "benchmark")
        owner.crashed(owner.vm.trap)
        began = time.perf_counter()
        _expect_allowed(engine, tenants - 1)
        restart = (time.perf_counter() - began) * 1e3
    return TenantCost(tenants, len(vms), start, linear, python, restart)


def _expect_allowed(engine: Engine, number: int) -> None:
    request = ext_authz.decode(_request(f"t{number}.example.com", number))
    assert request is not None
    decision = engine.decide(request)
    assert isinstance(decision, Decision)
    assert (decision.verdict, decision.rule) == ("allow", f"r{number}")


def _python_bytes(configuration: Configuration) -> int:
    tracemalloc.start()
    with Engine(configuration, scheduler=ManualScheduler()):
        gc.collect()
        taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return taken
