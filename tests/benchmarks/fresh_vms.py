"""What a VM for each stream costs, with a pool of places and without, beside one that stays."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import wasmtime

from mixer.proxywasm import (
    PluginSettings,
    ProxyWasmModule,
    RootContext,
    Services,
    StreamContext,
    WasmVm,
    host_functions,
    load_module,
)
from mixer.vm import InstancePool, Linker, VmLimits, WasmEngine, make_linker
from tests.benchmarks.variants import EMPTY
from tests.support.guest import http_stream

_MODULES = Path(__file__).parents[1] / "modules"
_ROUNDS = 9
_PLACES = 64
_STAYS = "stays"
_SERVICES = Services()
_SETTINGS = PluginSettings("benchmark", configuration=b"{}")
_HUNDRED_KB = EMPTY.replace(
    '"memory") 1)', f'"memory") 4) (data (i32.const 65536) "{"x" * 100_000}")'
)


@dataclass(frozen=True, slots=True)
class FreshCost:
    """Of one stream, from its begin to its end.

    Attributes:
        module: What runs.
        vm: Where its VMs are.
        instance: Microseconds of CPU for an instance alone, whose memory is written to once.
        started: With the module's own start, and the plugin's.
        stream: With a stream in it, whose headers are seen.
    """

    module: str
    vm: str
    instance: float
    started: float
    stream: float


def modules() -> dict[str, bytes]:
    """What is measured, by name."""
    return {
        "100 KB, no start code": bytes(wasmtime.wat2wasm(_HUNDRED_KB)),
        "Rust SDK, 88 KB": (_MODULES / "rust_sdk.wasm").read_bytes(),
        "Go, 3.3 MB": (_MODULES / "go_abi.wasm").read_bytes(),
    }


def measure(streams: int) -> list[FreshCost]:
    """Every module in every kind of VM; Go has a tenth of the streams."""
    costs = []
    for vm, pool in (("fresh", None), ("pooled", InstancePool(_PLACES, 128 << 20))):
        with WasmEngine(pool=pool) as engine:
            linker = make_linker(engine, host_functions())
            for name, code in modules().items():
                module = load_module(engine, code)
                times = streams // 10 if "Go" in name else streams
                if pool is None:
                    costs.append(_staying(name, module, linker, times))
                costs.append(_fresh(name, vm, module, linker, times))
            linker.close()
    return sorted(costs, key=lambda cost: list(modules()).index(cost.module))


def _median(what: Callable[[], None], times: int) -> float:
    figures = []
    for number in range(_ROUNDS + 1):
        began = time.process_time()
        for _ in range(times):
            what()
        if number:
            figures.append((time.process_time() - began) / times * 1e6)
    return statistics.median(figures)


def _start(module: ProxyWasmModule, linker: Linker) -> RootContext:
    vm = WasmVm(module, linker, VmLimits(), start_cpu=10.0, services=_SERVICES)
    root = vm.start_plugin(_SETTINGS)
    vm.started()
    return root


def _run(root: RootContext) -> None:
    context = StreamContext(root, http_stream([(b":path", b"/"), (b":authority", b"a")]))
    context.on_request_headers(end_of_stream=True)
    context.delete()


def _staying(name: str, module: ProxyWasmModule, linker: Linker, times: int) -> FreshCost:
    root = _start(module, linker)
    cost = FreshCost(name, _STAYS, 0.0, 0.0, _median(lambda: _run(root), times))
    root.vm.close()
    return cost


def _fresh(name: str, vm: str, module: ProxyWasmModule, linker: Linker, times: int) -> FreshCost:
    def instance() -> None:
        one = linker.instantiate(module.module, None, VmLimits())
        one.memory.write_u32(0, 1)
        one.close()

    def start() -> None:
        _start(module, linker).vm.close()

    def stream() -> None:
        root = _start(module, linker)
        _run(root)
        root.vm.close()

    return FreshCost(
        name,
        vm,
        _median(instance, times),
        _median(start, times),
        _median(stream, times),
    )
