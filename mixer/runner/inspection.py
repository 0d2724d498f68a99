"""What a module is and what it needs, without running it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from mixer.proxywasm import (
    NEVER_CALLED,
    UNSUPPORTED,
    AbiVersion,
    capabilities_of,
    check_exports,
    detect_abi,
    import_problem,
    import_problems,
)
from mixer.vm import CompileCache, Module, ModuleError, WasmEngine

Row = tuple[str, str]
"""How well something is supported, and its name with its signature."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found.

    Attributes:
        digest: SHA-256 in hexadecimal.
        size: Bytes.
        abi: ABI version, or ``none``.
        imports: Each import: ``supported``, ``not yet`` (it links, and answers UNIMPLEMENTED) or
            ``missing``.
        callbacks: Each exported callback: ``called`` or ``not called``.
        exports: The other exports.
        capabilities: What an allow-list must have for it to run as without one.
        problems: Why this host cannot run it; empty where it can.
    """

    digest: str
    size: int
    abi: str
    imports: tuple[Row, ...]
    callbacks: tuple[Row, ...]
    exports: tuple[str, ...]
    capabilities: tuple[str, ...]
    problems: tuple[str, ...]

    def summary(self) -> Iterator[tuple[str, str]]:
        """The facts that take one line."""
        yield "digest", f"sha256:{self.digest}"
        yield "size", f"{self.size:,} bytes"
        yield "ABI", self.abi
        yield "exports", ", ".join(self.exports)
        yield "needs", ",".join(self.capabilities)

    def tables(self) -> Iterator[tuple[str, tuple[Row, ...]]]:
        """The lists, with their titles."""
        yield "imports", self.imports
        yield "callbacks", self.callbacks

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "digest": self.digest,
            "size": self.size,
            "abi": self.abi,
            "imports": [{"name": n, "support": s} for s, n in self.imports],
            "callbacks": [{"name": n, "support": s} for s, n in self.callbacks],
            "exports": list(self.exports),
            "needs": list(self.capabilities),
            "problems": list(self.problems),
        }


def inspect_module(
    code: bytes,
    cache: CompileCache | None = None,
    *,
    compiling: Callable[[int], None] = lambda _size: None,
) -> Inspection:
    """Look into a module.

    Args:
        code: The module's bytes.
        cache: Where compiled modules are kept.
        compiling: See `WasmEngine`.

    Raises:
        ModuleError: It is no WebAssembly module.
    """
    with WasmEngine(cache, compiling=compiling) as engine:
        module = engine.compile(code)
        abi, problems = _abi(module)
        problems += import_problems(module, abi)
        named = [e for e in module.exports if not e.name.startswith("proxy_abi_version_")]
        callbacks = [e for e in named if e.name.startswith(("proxy_on_", "envoy_on_"))]
        return Inspection(
            digest=module.digest,
            size=module.size,
            abi="none" if abi is None else str(abi),
            imports=tuple(sorted(set(_imports(module, abi)))),
            callbacks=tuple(
                ("not called" if e.name in NEVER_CALLED else "called", f"{e.name}{e.signature}")
                for e in callbacks
            ),
            exports=tuple(e.name for e in named if e not in callbacks),
            capabilities=tuple(sorted(capabilities_of(module))),
            problems=tuple(problems),
        )


def _abi(module: Module) -> tuple[AbiVersion | None, list[str]]:
    try:
        abi = detect_abi(module)
    except ModuleError as error:
        return None, [str(error)]
    try:
        check_exports(module, abi)
    except ModuleError as error:
        return abi, [str(error)]
    return abi, []


def _imports(module: Module, abi: AbiVersion | None) -> Iterator[Row]:
    for wanted in module.imports:
        name = f"{wanted.module}.{wanted.name}{wanted.signature or ''}"
        if import_problem(wanted, abi):
            yield "missing", name
        elif wanted.name in UNSUPPORTED:
            yield "not yet", name
        else:
            yield "supported", name
