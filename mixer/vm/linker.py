"""Which linker a worker gets: the fast one, where it proves itself."""

import logging
from collections.abc import Iterable
from typing import Any, Protocol

import wasmtime

from mixer.vm.engine import Module, WasmEngine, wasmtime_version
from mixer.vm.fast import FastLinker
from mixer.vm.model import I32, I64, HostFunction, Instance, Signature, VmLimits
from mixer.vm.portable import PortableLinker

_log = logging.getLogger(__name__)

_PROBE = """
(module
  (import "host" "probe" (func $probe (param i32 i64 i32) (result i32)))
  (memory (export "memory") 1 2)
  (data (i32.const 16) "mixer")
  (func (export "run") (param i32 i32) (result i32)
    (drop (memory.grow (i32.const 1)))
    (i32.add (local.get 1)
      (call $probe (local.get 0) (i64.const 0x1_0000_0002) (i32.const 0xffff_fffe)))))
"""
_PROBE_CALL = (7, 1 << 32 | 2, 0xFFFF_FFFE)
_PROBE_RESULT = 40
_GROWN = 2 * 65_536


class Linker(Protocol):
    """Makes instances against one set of host functions; belongs to one thread."""

    def instantiate(self, module: Module, data: Any, limits: VmLimits) -> Instance:
        """Make an instance in a store of its own. Raises ModuleError, TrapError."""

    def forget(self, module: Module) -> None:
        """Free what was prepared for a module that is no longer used."""

    def close(self) -> None:
        """Free the linker; its instances must be closed before."""


def make_linker(engine: WasmEngine, functions: Iterable[HostFunction]) -> Linker:
    """Return the fast linker if its self-check passes on this machine, else the portable one."""
    if fast_path_works(engine):
        return FastLinker(engine, functions)
    _log.warning("wasmtime %s: the C API is not as expected; using the slower public API",
                 wasmtime_version())  # fmt: skip
    return PortableLinker(engine, functions)


def fast_path_works(engine: WasmEngine) -> bool:
    """Run a module through the C API and compare all that goes in and comes out."""
    seen: list[tuple[int, ...]] = []

    def probe(_data: object, *args: int) -> int:
        seen.append(args)
        return 33

    function = HostFunction("host", "probe", Signature((I32, I64, I32), (I32,)), probe)
    try:
        linker = FastLinker(engine, [function])
        instance = linker.instantiate(
            engine.compile(bytes(wasmtime.wat2wasm(_PROBE))), None, VmLimits()
        )
        run = instance.function("run")
        result = run(7, 7) if run else None
        instance.memory.write_u32(_GROWN - 4, 5)
        text = instance.memory.read(16, 5) + instance.memory.read(_GROWN - 4, 4)
        instance.close()
        linker.close()
    except Exception:
        _log.exception("self-check of wasmtime's C API")
        return False
    return (seen, result, text) == ([_PROBE_CALL], _PROBE_RESULT, b"mixer\x05\0\0\0")
