"""From the bytes of a module to one that this host can run, or a complete reason why not."""

from collections.abc import Iterable
from dataclasses import dataclass

from mixer.proxywasm.abi import AbiVersion
from mixer.proxywasm.callbacks import check_exports, detect_abi
from mixer.proxywasm.hostcalls import host_calls
from mixer.proxywasm.wasi import wasi_functions
from mixer.vm import HostFunction, Import, Module, ModuleError, Signature, WasmEngine


@dataclass(frozen=True, slots=True)
class ProxyWasmModule:
    """A module that passed every check before its start.

    Attributes:
        module: The compiled module.
        abi: Its ABI version.
    """

    module: Module
    abi: AbiVersion


def host_functions() -> list[HostFunction]:
    """Everything that a module may import."""
    return [*host_calls(), *wasi_functions()]


def load_module(engine: WasmEngine, code: bytes) -> ProxyWasmModule:
    """Compile and check a module.

    Raises:
        ModuleError: It cannot run here; the message names every reason.
    """
    module = engine.compile(code)
    abi = detect_abi(module)
    check_exports(module, abi)
    problems = import_problems(module, host_functions())
    if problems:
        raise ModuleError("; ".join(problems))
    return ProxyWasmModule(module, abi)


def import_problems(module: Module, functions: Iterable[HostFunction]) -> list[str]:
    """Name each import that this host cannot satisfy."""
    offered = {(f.module, f.name): f.signature for f in functions}
    return [p for i in module.imports if (p := _problem(i, offered))]


def _problem(wanted: Import, offered: dict[tuple[str, str], Signature]) -> str | None:
    name = f"{wanted.module}.{wanted.name}"
    if wanted.signature is None:
        return f"imports {name}, which is not a function"
    known = offered.get((wanted.module, wanted.name))
    if known is None:
        return f"imports {name}, which this host does not have"
    if known != wanted.signature:
        return f"imports {name} as {wanted.signature}; it is {known}"
    return None
