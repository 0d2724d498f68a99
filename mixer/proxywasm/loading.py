"""From the bytes of a module to one that this host can run, or a complete reason why not."""

from dataclasses import dataclass
from functools import cache

from mixer.proxywasm.abi import AbiVersion
from mixer.proxywasm.callbacks import check_exports, detect_abi
from mixer.proxywasm.hostcalls import host_calls
from mixer.proxywasm.hostcalls.versions import versions_with
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
    problems = import_problems(module, abi)
    if problems:
        raise ModuleError("; ".join(problems))
    return ProxyWasmModule(module, abi)


def import_problems(module: Module, abi: AbiVersion | None) -> list[str]:
    """Name each import that this host cannot satisfy; see `import_problem`."""
    return [problem for wanted in module.imports if (problem := import_problem(wanted, abi))]


def import_problem(wanted: Import, abi: AbiVersion | None) -> str | None:
    """Say why this host cannot satisfy an import, or None where it can.

    Args:
        wanted: The import.
        abi: The module's version of the ABI, or None where that is not known.
    """
    name = f"{wanted.module}.{wanted.name}"
    if wanted.signature is None:
        return f"imports {name}, which is not a function"
    known = _offered().get((wanted.module, wanted.name))
    if known is None:
        return f"imports {name}, which this host does not have"
    versions = versions_with(wanted.name)
    if abi is not None and abi not in versions:
        named = ", ".join(sorted(map(str, versions)))
        return f"imports {name}, which its ABI {abi} does not have; it is one of {named}"
    if wanted.signature not in known:
        return f"imports {name} as {wanted.signature}; it is {' or '.join(map(str, known))}"
    return None


@cache
def _offered() -> dict[tuple[str, str], list[Signature]]:
    offered: dict[tuple[str, str], list[Signature]] = {}
    for function in host_functions():
        offered.setdefault((function.module, function.name), []).append(function.signature)
    return offered
