"""The values that the VM layer and its callers exchange; nothing here knows wasmtime."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from mixer.vm.errors import MemoryAccessError

MIB = 1 << 20


class ValueType(Enum):
    """The number types that Proxy-Wasm and WASI signatures use."""

    I32 = "i32"
    I64 = "i64"
    F32 = "f32"
    F64 = "f64"


I32, I64 = ValueType.I32, ValueType.I64


@dataclass(frozen=True, slots=True)
class Signature:
    """Parameters and results of a function."""

    params: tuple[ValueType | None, ...]
    results: tuple[ValueType | None, ...]

    def __str__(self) -> str:
        return f"({_names(self.params)}) -> ({_names(self.results)})"


def _names(types: tuple[ValueType | None, ...]) -> str:
    return ", ".join(t.value if t else "reference" for t in types)


@dataclass(frozen=True, slots=True)
class HostFunction:
    """A function that the host lends to guests.

    Attributes:
        module: Import module, such as ``env``.
        name: Import name, such as ``proxy_log``.
        signature: Only i32 and i64 parameters; no result or one i32.
        call: Called with the ``data`` of the instance and the arguments as unsigned integers.
        fault: The result when ``call`` meets a pointer outside the memory.
    """

    module: str
    name: str
    signature: Signature
    call: Callable[..., int | None]
    fault: int = 0


@dataclass(frozen=True, slots=True)
class Import:
    """An import of a module; ``signature`` is None for what is not a function."""

    module: str
    name: str
    signature: Signature | None


@dataclass(frozen=True, slots=True)
class Export:
    """An export of a module; ``signature`` is None for what is not a function."""

    name: str
    kind: str
    signature: Signature | None


@dataclass(frozen=True, slots=True)
class VmLimits:
    """Bounds of one VM.

    Attributes:
        memory_bytes: Linear memory; a growth beyond it answers -1 to the guest.
        cpu: Seconds of CPU for one call into the guest.
        table_elements: Entries of each table; there are 16 tables at the most, and one memory.
    """

    memory_bytes: int = 128 * MIB
    cpu: float = 0.1
    table_elements: int = 100_000


MAX_TABLES = 16
MAX_MEMORIES = 1


class Memory(Protocol):
    """Linear memory of one instance; every access is checked against its current size."""

    def check(self, pointer: int, size: int) -> None:
        """Do nothing but raise MemoryAccessError where a span lies outside."""

    def read(self, pointer: int, size: int) -> bytes:
        """Copy ``size`` bytes out. Raises MemoryAccessError."""

    def write(self, pointer: int, data: bytes) -> None:
        """Copy bytes in. Raises MemoryAccessError."""

    def write_u32(self, pointer: int, value: int) -> None:
        """Write a little-endian u32. Raises MemoryAccessError."""

    def write_u64(self, pointer: int, value: int) -> None:
        """Write a little-endian u64. Raises MemoryAccessError."""

    def size(self) -> int:
        """Bytes at this moment."""


GuestFunction = Callable[..., int]
"""An export, called with unsigned integers; the i32 result, or 0 where there is none.

Raises TrapError when the guest traps or overruns its CPU limit.
"""


class Instance(Protocol):
    """One instance of a module with a store of its own."""

    data: Any
    memory: Memory

    def function(self, name: str) -> GuestFunction | None:
        """The exported function of that name, or None."""

    def set_cpu_limit(self, seconds: float) -> None:
        """Bound each later outermost call by this much CPU."""

    def close(self) -> None:
        """Free the store; no function of it may be called again."""


class NoMemory:
    """The memory of a module that exports none: every access is out of bounds."""

    def check(self, pointer: int, size: int) -> None:
        """Raise MemoryAccessError."""
        raise MemoryAccessError(f"no memory: {size} bytes at {pointer:#x}")

    def read(self, pointer: int, size: int) -> bytes:
        """Raise MemoryAccessError."""
        raise MemoryAccessError(f"no memory: read of {size} bytes at {pointer:#x}")

    def write(self, pointer: int, data: bytes) -> None:
        """Raise MemoryAccessError."""
        raise MemoryAccessError(f"no memory: write of {len(data)} bytes at {pointer:#x}")

    def write_u32(self, pointer: int, value: int) -> None:
        """Raise MemoryAccessError."""
        raise MemoryAccessError(f"no memory: write of {value} at {pointer:#x}")

    write_u64 = write_u32

    def size(self) -> int:
        """Return 0."""
        return 0
