"""Memory that the guest allocates for what the host hands to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixer.proxywasm.contexts import AllocationContext
from mixer.vm import HostCallError

if TYPE_CHECKING:
    from mixer.proxywasm.wasm_vm import WasmVm


class Allocator:
    """The allocator of one VM's module, which may do little more than log: as in Envoy."""

    __slots__ = ("_context", "_entered", "_is_free", "_vm")

    def __init__(self, vm: WasmVm) -> None:
        self._vm = vm
        self._is_free = vm.abi.traits.free_allocator  # looked up for every allocation
        self._context = AllocationContext(vm, 0)
        self._entered = False

    def place(self, data: bytes) -> int | None:
        """Put bytes into memory that the guest allocates; None where it has none.

        Raises:
            TrapError: The allocator trapped.
            HostCallError: It is entered from within itself.
        """
        target = self._allocate(len(data))
        if not target:
            return None
        self._vm.instance.memory.write(target, data)
        return target

    def _allocate(self, size: int) -> int:
        if self._entered:
            raise HostCallError("the module's allocator made a host call that allocates")
        self._entered = True
        instance = self._vm.instance
        caller = instance.data
        if not self._is_free:
            instance.data = self._context
            self._context.reads = caller.reads  # the clock counts whoever looks at it
        try:
            return self._vm.callbacks.allocate(size)
        finally:
            self._entered = False
            instance.data = caller
