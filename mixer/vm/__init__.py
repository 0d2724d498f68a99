"""Isolated WebAssembly VMs; the only package that imports wasmtime."""

from mixer.vm.cache import CompileCache
from mixer.vm.engine import MAX_MODULE_BYTES, Module, WasmEngine, read_module, wasmtime_version
from mixer.vm.errors import (
    HostCallError,
    MemoryAccessError,
    ModuleError,
    PoolExhaustedError,
    TrapError,
    TrapKind,
    VmError,
)
from mixer.vm.linker import Linker, make_linker
from mixer.vm.model import (
    I32,
    I64,
    Export,
    GuestFunction,
    HostFunction,
    Import,
    Instance,
    Memory,
    NoMemory,
    Signature,
    ValueType,
    VmLimits,
)
from mixer.vm.pool import InstancePool

__all__ = [
    "I32",
    "I64",
    "MAX_MODULE_BYTES",
    "CompileCache",
    "Export",
    "GuestFunction",
    "HostCallError",
    "HostFunction",
    "Import",
    "Instance",
    "InstancePool",
    "Linker",
    "Memory",
    "MemoryAccessError",
    "Module",
    "ModuleError",
    "NoMemory",
    "PoolExhaustedError",
    "Signature",
    "TrapError",
    "TrapKind",
    "ValueType",
    "VmError",
    "VmLimits",
    "WasmEngine",
    "make_linker",
    "read_module",
    "wasmtime_version",
]
