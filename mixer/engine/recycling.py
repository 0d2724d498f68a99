"""When a VM that works is replaced all the same: it has grown too large, or too old."""

from collections.abc import Callable

from mixer.engine.vm_spec import VmSpec
from mixer.proxywasm import Cancel, Scheduler, WasmVm

CHECK_S = 1.0
"""Seconds between two looks."""

_MIB = 1 << 20


class Recycling:
    """Looks at a VM from time to time, so that no stream pays for it.

    Args:
        spec: Has the bounds; without any, nothing happens.
        scheduler: Calls back later.
        clock: Seconds, monotonic.
        recycle: Called with the reason, between streams, for as long as the VM is not replaced.
    """

    def __init__(
        self,
        spec: VmSpec,
        scheduler: Scheduler,
        clock: Callable[[], float],
        recycle: Callable[[str], None],
    ) -> None:
        self._spec = spec
        self._scheduler = scheduler
        self._clock = clock
        self._recycle = recycle
        self._vm: WasmVm | None = None
        self._since = 0.0
        self._cancel: Cancel | None = None

    def watch(self, vm: WasmVm) -> None:
        """Look at this one from now on."""
        self.stop()
        self._vm, self._since = vm, self._clock()
        if self._spec.max_memory is not None or self._spec.max_age is not None:
            self._cancel = self._scheduler.schedule(CHECK_S, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._cancel is not None:
            self._cancel()
        self._cancel = self._vm = None

    def _look(self) -> None:
        vm = self._vm
        if vm is None:
            return
        if reason := self._reason(vm):
            self._recycle(reason)
        if self._vm is vm:
            self._cancel = self._scheduler.schedule(CHECK_S, self._look)

    def _reason(self, vm: WasmVm) -> str:
        size, age = vm.instance.memory.size(), self._clock() - self._since
        if self._spec.max_memory is not None and size >= self._spec.max_memory:
            return f"the old one has {size / _MIB:.1f} MiB of memory"
        if self._spec.max_age is not None and age >= self._spec.max_age:
            return f"the old one is {age:.0f} s old"
        return ""
