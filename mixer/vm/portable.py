"""Instances over wasmtime's public Python API: slower, and independent of its C structures.

The service falls back to it where the self-check of the fast path fails, and the tests hold the
two against each other.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import wasmtime

from mixer.vm.deadline import ticks
from mixer.vm.engine import Module, WasmEngine
from mixer.vm.errors import MemoryAccessError, TrapError, TrapKind
from mixer.vm.explain import start_error
from mixer.vm.functype import function_type
from mixer.vm.model import (
    MAX_MEMORIES,
    MAX_TABLES,
    GuestFunction,
    HostFunction,
    Memory,
    NoMemory,
    Signature,
    ValueType,
    VmLimits,
)
from mixer.vm.offers import Offers

_TRAP_KINDS = {
    wasmtime.TrapCode.STACK_OVERFLOW: TrapKind.STACK_OVERFLOW,
    wasmtime.TrapCode.MEMORY_OUT_OF_BOUNDS: TrapKind.OUT_OF_BOUNDS,
    wasmtime.TrapCode.UNREACHABLE: TrapKind.UNREACHABLE,
    wasmtime.TrapCode.INTERRUPT: TrapKind.DEADLINE,
}
_MASKS = {ValueType.I32: 0xFFFF_FFFF, ValueType.I64: 0xFFFF_FFFF_FFFF_FFFF}


class _Entered:
    """Which instance is executing, if any; see `mixer.vm.fast`."""

    __slots__ = ("instance",)

    def __init__(self) -> None:
        self.instance: PortableInstance | None = None


class PortableLinker:
    """The same as `mixer.vm.fast.FastLinker`, over the public API."""

    def __init__(self, engine: WasmEngine, functions: Iterable[HostFunction]) -> None:
        self._engine = engine
        self._entered = _Entered()
        self._offers = Offers(functions)

    def instantiate(self, module: Module, data: Any, limits: VmLimits) -> "PortableInstance":
        """See `mixer.vm.fast.FastLinker.instantiate`."""
        instance = PortableInstance(self._engine, self._entered, limits)
        instance.data = data
        linker = wasmtime.Linker(self._engine.raw)
        try:
            for f in self._offers.to(module):
                kind = function_type(f.signature)
                linker.define_func(f.module, f.name, kind, _host_callback(f, self._entered))
            instance.start(linker, module)
        finally:
            linker.close()
        return instance

    def forget(self, module: Module) -> None:
        """Nothing is prepared here."""

    def close(self) -> None:
        """Nothing is kept here."""


def _host_callback(function: HostFunction, entered: _Entered) -> Callable[..., int | None]:
    masks = [_MASKS[p] for p in function.signature.params if p]
    has_result = bool(function.signature.results)

    def host_call(*args: int) -> int | None:
        assert entered.instance is not None
        unsigned = [value & mask for value, mask in zip(args, masks, strict=True)]
        try:
            result = function.call(entered.instance.data, *unsigned)
        except MemoryAccessError:
            result = function.fault
        except BaseException as error:
            entered.instance.failure = error
            raise
        return result if has_result else None

    return host_call


class PortableInstance:
    """An instance with its store; see `mixer.vm.model.Instance`."""

    def __init__(self, engine: WasmEngine, entered: _Entered, limits: VmLimits) -> None:
        self.data: Any = None
        self.memory: Memory = NoMemory()
        self.failure: BaseException | None = None
        self._cpu = limits.cpu
        self._limits = limits
        self._entered = entered
        self._store = wasmtime.Store(engine.raw)
        self._store.set_limits(
            memory_size=limits.memory_bytes,
            table_elements=limits.table_elements,
            instances=1,
            tables=MAX_TABLES,
            memories=MAX_MEMORIES,
        )
        self._exports: Any = None
        self._signatures: Mapping[str, Signature] = {}

    def start(self, linker: wasmtime.Linker, module: Module) -> None:
        """Instantiate, running the start section."""
        try:
            self._exports = self._enter(
                partial(linker.instantiate, self._store, module.raw)
            ).exports(self._store)
        except wasmtime.WasmtimeError as error:
            raise start_error(str(error), self._limits) from error
        self._signatures = module.functions
        memory = self._exports.get("memory")
        if isinstance(memory, wasmtime.Memory):
            self.memory = PortableMemory(self._store, memory)

    def _enter(self, call: Callable[[], Any]) -> Any:
        outer = self._entered.instance
        if outer is not self:
            self._entered.instance = self
            self._store.set_epoch_deadline(ticks(self._cpu))
        try:
            return call()
        except wasmtime.Trap as trap:
            raise self._explain(_kind(trap), str(trap)) from trap
        except Exception as error:
            if self.failure is None:
                raise
            raise self._explain(TrapKind.HOST_CALL, "") from error
        finally:
            self._entered.instance = outer

    def _explain(self, kind: TrapKind, message: str) -> TrapError:
        failure, self.failure = self.failure, None
        if kind is TrapKind.DEADLINE:
            limit = f"the call used more than its CPU limit of {self._cpu * 1000:g} ms"
            return TrapError(kind, f"{limit}\n{message}")
        if failure is None:
            return TrapError(kind, message)
        kind = failure.kind if isinstance(failure, TrapError) else TrapKind.HOST_CALL
        return TrapError(kind, f"{failure}\n{message}")

    def function(self, name: str) -> GuestFunction | None:
        """See `mixer.vm.model.Instance.function`."""
        function = self._exports.get(name)
        if not isinstance(function, wasmtime.Func):
            return None
        masks = [_MASKS[p] for p in self._signatures[name].params if p]

        def call(*args: int) -> int:
            signed = [_signed(value, mask) for value, mask in zip(args, masks, strict=True)]
            result = self._enter(partial(function, self._store, *signed))
            return 0 if result is None else int(result) & 0xFFFF_FFFF

        return call

    def set_cpu_limit(self, seconds: float) -> None:
        """See `mixer.vm.model.Instance.set_cpu_limit`."""
        self._cpu = seconds

    def close(self) -> None:
        """See `mixer.vm.model.Instance.close`."""
        self.memory = NoMemory()
        self._store.close()


def _kind(trap: wasmtime.Trap) -> TrapKind:
    code = trap.trap_code
    return _TRAP_KINDS.get(code, TrapKind.OTHER) if code else TrapKind.OTHER


def _signed(value: int, mask: int) -> int:
    value &= mask
    return value - mask - 1 if value > mask >> 1 else value


class PortableMemory:
    """Linear memory through the public API."""

    def __init__(self, store: wasmtime.Store, memory: wasmtime.Memory) -> None:
        self._store = store
        self._memory = memory

    def check(self, pointer: int, size: int) -> None:
        """See `mixer.vm.model.Memory.check`."""
        if pointer + size > self.size():
            raise MemoryAccessError(
                f"{size} bytes at {pointer:#x} lie outside the memory of {self.size()} bytes"
            )

    def read(self, pointer: int, size: int) -> bytes:
        """See `mixer.vm.model.Memory.read`."""
        self.check(pointer, size)
        return bytes(self._memory.read(self._store, pointer, pointer + size))

    def write(self, pointer: int, data: bytes) -> None:
        """See `mixer.vm.model.Memory.write`."""
        self.check(pointer, len(data))
        self._memory.write(self._store, data, pointer)

    def write_u32(self, pointer: int, value: int) -> None:
        """See `mixer.vm.model.Memory.write_u32`."""
        self.write(pointer, value.to_bytes(4, "little"))

    def write_u64(self, pointer: int, value: int) -> None:
        """See `mixer.vm.model.Memory.write_u64`."""
        self.write(pointer, value.to_bytes(8, "little"))

    def size(self) -> int:
        """See `mixer.vm.model.Memory.size`."""
        return int(self._memory.data_len(self._store))
