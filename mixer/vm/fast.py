"""Instances over wasmtime's C API, without the cost of its public Python objects.

One linker serves every instance of a set of host functions. Which instance a host call comes from
is therefore not bound in it, but noted on entry (`_Entered`): a linker and its instances belong to
one thread, and a guest never enters another.
"""

import ctypes
from collections.abc import Callable, Iterable, Mapping
from ctypes import byref
from typing import Any

from mixer.vm import capi
from mixer.vm.deadline import CpuBudget
from mixer.vm.engine import Module, WasmEngine
from mixer.vm.errors import (
    HostCallError,
    MemoryAccessError,
    ModuleError,
    TrapError,
    TrapKind,
)
from mixer.vm.explain import start_error
from mixer.vm.fast_memory import FastMemory
from mixer.vm.functype import function_type
from mixer.vm.model import (
    I64,
    MAX_MEMORIES,
    MAX_TABLES,
    GuestFunction,
    HostFunction,
    Memory,
    NoMemory,
    Signature,
    VmLimits,
)
from mixer.vm.offers import Offers

_TRAP_KINDS = {
    0: TrapKind.STACK_OVERFLOW,
    1: TrapKind.OUT_OF_BOUNDS,
    9: TrapKind.UNREACHABLE,
    10: TrapKind.DEADLINE,
}
_U32 = 0xFFFF_FFFF


class _Entered:
    """Which instance is executing, if any."""

    __slots__ = ("instance",)

    def __init__(self) -> None:
        self.instance: FastInstance | None = None


class FastLinker:
    """Host functions that modules can be linked against.

    Args:
        engine: The engine that compiled the modules.
        functions: The host functions; one name may be there with several signatures.
    """

    def __init__(self, engine: WasmEngine, functions: Iterable[HostFunction]) -> None:
        self._engine = engine
        self._engine_pointer = engine.raw.ptr()
        self._entered = _Entered()
        self._offers = Offers(functions)
        self._callbacks: dict[HostFunction, Any] = {}
        self._on_deadline = capi.EpochCallback(self._deadline)
        self._prepared: dict[str, tuple[Module, int]] = {}

    def _define(self, linker: Any, function: HostFunction) -> None:
        if function not in self._callbacks:
            call = capi.HostCallback(_host_callback(function, self._entered))
            self._callbacks[function] = call
        kind = function_type(function.signature)
        module, name = function.module.encode(), function.name.encode()
        error = capi.linker_define_func_unchecked(
            linker, module, len(module), name, len(name), kind.ptr(),
            self._callbacks[function], None, None,
        )  # fmt: skip
        if error:
            raise ModuleError(f"{function.module}.{function.name}: {capi.take_error(error)}")

    def _deadline(self, _context: int, _data: int, delta: Any, kind: Any) -> int:
        instance = self._entered.instance
        if instance and instance.budget.goes_on():
            delta[0], kind[0] = 1, 0
            return 0
        if instance:
            instance.overran = True
        return capi.new_error(b"interrupted")

    def instantiate(self, module: Module, data: Any, limits: VmLimits) -> "FastInstance":
        """Make an instance in a store of its own; runs the module's start section, if any.

        Raises:
            ModuleError: An import is missing or of another type, or a bound is below what the
                module starts with.
            TrapError: The start section trapped.
        """
        instance = FastInstance(self._engine_pointer, self._entered, self._on_deadline, limits)
        instance.data = data
        try:
            instance.start(self._prepare(module), module)
        except BaseException:
            instance.close()
            raise
        return instance

    def _prepare(self, module: Module) -> int:
        known = self._prepared.get(module.digest)
        if known is None:
            known = self._prepared[module.digest] = (module, self._link(module))
        return known[1]

    def _link(self, module: Module) -> int:
        linker, pre = capi.linker_new(self._engine_pointer), ctypes.c_void_p()
        try:
            for function in self._offers.to(module):
                self._define(linker, function)
            error = capi.linker_instantiate_pre(linker, module.raw.ptr(), byref(pre))
        finally:
            capi.linker_delete(linker)
        if error:
            raise ModuleError(capi.take_error(error))
        assert pre.value is not None
        return pre.value

    def forget(self, module: Module) -> None:
        """Free what was prepared for a module; its instances go on."""
        _, pre = self._prepared.pop(module.digest, (module, 0))
        if pre:
            capi.instance_pre_delete(pre)

    def close(self) -> None:
        """Free the linker; its instances must be closed before."""
        for module, _ in list(self._prepared.values()):
            self.forget(module)


def _host_callback(function: HostFunction, entered: _Entered) -> Callable[..., int]:
    """Wrap a host function as wasmtime calls it: slots in, slot out, a trap for an exception."""
    call, fault = function.call, function.fault
    stop = capi.SLOT_WORDS * len(function.signature.params)
    wide = [i * capi.SLOT_WORDS for i, p in enumerate(function.signature.params) if p is I64]
    has_result = bool(function.signature.results)

    def host_call(_env: int, _caller: int, slots: Any, _count: int) -> int:
        instance = entered.instance
        try:
            # ctypes gives one item for an empty slice with a step.
            args = slots[0 : stop : capi.SLOT_WORDS] if stop else []
            for word in wide:
                args[word // capi.SLOT_WORDS] |= slots[word + 1] << 32
            result = call(instance.data, *args)  # type: ignore[union-attr]
        except MemoryAccessError:
            result = fault
        except BaseException as error:
            instance.failure = error  # type: ignore[union-attr]
            return capi.new_trap(b"host call failed")
        if has_result:
            slots[0] = result
        return 0

    return host_call


class FastInstance:
    """An instance with its store; see `mixer.vm.model.Instance`."""

    def __init__(self, engine: Any, entered: _Entered, on_deadline: Any, limits: VmLimits) -> None:
        self.data: Any = None
        self.memory: Memory = NoMemory()
        self.budget = CpuBudget(limits.cpu)
        self._limits = limits
        self.failure: BaseException | None = None
        self.overran = False
        self._entered = entered
        self._store = capi.store_new(engine, None, None)
        self._context = capi.store_context(self._store)
        capi.store_limiter(
            self._store, limits.memory_bytes, limits.table_elements, 1, MAX_TABLES, MAX_MEMORIES
        )
        capi.store_epoch_deadline_callback(self._store, on_deadline, None, None)
        self._handle = capi.InstanceStruct()
        self._signatures: Mapping[str, Signature] = {}

    def start(self, pre: int, module: Module) -> None:
        """Instantiate, running the start section."""
        trap = ctypes.c_void_p()
        outer, self._entered.instance = self._entered.instance, self
        self.budget.start()
        capi.set_epoch_deadline(self._context, 1)
        try:
            error = capi.instance_pre_instantiate(
                pre, self._context, byref(self._handle), byref(trap)
            )
        finally:
            self._entered.instance = outer
        if trap.value or self.overran or self.failure is not None:
            raise self._trapped(error, trap)
        if error:
            raise start_error(capi.take_error(error), self._limits)
        self._signatures = module.functions
        memory = self._export("memory", capi.EXTERN_MEMORY)
        if memory is not None:
            handle = capi.MemoryStruct.from_buffer_copy(memory.of.memory)
            self.memory = FastMemory(self._context, handle)

    def _export(self, name: str, kind: int) -> Any:
        item: Any = capi.ExternStruct()
        encoded = name.encode()
        found = capi.instance_export_get(
            self._context, byref(self._handle), encoded, len(encoded), byref(item)
        )
        return item if found and item.kind == kind else None

    def function(self, name: str) -> GuestFunction | None:
        """See `mixer.vm.model.Instance.function`."""
        signature = self._signatures.get(name)
        if signature is None:
            return None
        item = self._export(name, capi.EXTERN_FUNC)
        return self._caller(capi.FuncStruct.from_buffer_copy(item.of.func), signature)

    def _caller(self, handle: Any, signature: Signature) -> GuestFunction:
        count = max(len(signature.params), len(signature.results))
        slots = (ctypes.c_uint64 * (2 * max(count, 1)))()
        trap = ctypes.c_void_p()
        slots_address, trap_address = ctypes.addressof(slots), byref(trap)
        handle_address = byref(handle)
        has_result = bool(signature.results)
        context, entered, budget = self._context, self._entered, self.budget
        call_guest, set_deadline = capi.func_call_unchecked, capi.set_epoch_deadline

        def call(*args: int) -> int:
            position = 0
            for value in args:
                slots[position] = value
                position += 2
            outer = entered.instance
            if outer is not self:  # not from within a host call of this very instance
                entered.instance = self
                budget.start()
                set_deadline(context, 1)
            try:
                error = call_guest(context, handle_address, slots_address, count, trap_address)
            finally:
                entered.instance = outer
            if error or trap.value:
                raise self._trapped(error, trap)
            return slots[0] & _U32 if has_result else 0

        return call

    def _trapped(self, error: int | None, trap: Any) -> BaseException:
        code, message = None, ""
        if trap.value:
            code, message = capi.take_trap(trap.value)
            trap.value = None
        if error:
            message = capi.take_error(error)
        return self._explain(_TRAP_KINDS.get(code, TrapKind.OTHER) if code is not None
                             else TrapKind.OTHER, message)  # fmt: skip

    def _explain(self, kind: TrapKind, message: str) -> BaseException:
        """Turn what wasmtime reports into the error that the caller should see."""
        failure, self.failure = self.failure, None
        if self.overran:
            self.overran = False
            return TrapError(TrapKind.DEADLINE, f"{self.budget.message()}\n{message}")
        if failure is None:
            return TrapError(kind, message)
        if not isinstance(failure, Exception):
            return failure  # KeyboardInterrupt and the like are not the guest's doing
        kind = failure.kind if isinstance(failure, TrapError) else TrapKind.HOST_CALL
        trap = TrapError(kind, f"{_reason(failure)}\n{message}")
        trap.__cause__ = failure
        return trap

    def set_cpu_limit(self, seconds: float) -> None:
        """See `mixer.vm.model.Instance.set_cpu_limit`."""
        self.budget.limit(seconds)

    def close(self) -> None:
        """See `mixer.vm.model.Instance.close`."""
        if self._store:
            self.memory = NoMemory()  # its view would outlive the pages
            capi.store_delete(self._store)
            self._store = None


def _reason(failure: Exception) -> str:
    return str(failure) if isinstance(failure, HostCallError | TrapError) else repr(failure)
