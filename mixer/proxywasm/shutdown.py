"""The end of the plugins of a VM: done, perhaps put off, and deleted, as in Envoy."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mixer.vm import TrapError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mixer.proxywasm.contexts import RootContext
    from mixer.proxywasm.wasm_vm import WasmVm


class Shutdown:
    """The plugins of one VM on their way out.

    Unlike a stream, a plugin may put its end off: its ``proxy_on_done`` returns false, and it is
    deleted after it has called ``proxy_done``. How long that may take is up to the owner of the VM.

    Args:
        vm: Where they live.
        finished: Called once all of them are deleted.
    """

    def __init__(self, vm: WasmVm, finished: Callable[[], None]) -> None:
        self._vm = vm
        self._finished = finished
        self._pending: set[int] = set()

    def begin(self) -> None:
        """Ask each plugin whether it is done, then delete those that are. Raises TrapError."""
        call, on_done = self._vm.call, self._vm.callbacks.on_done
        roots = list(self._vm.roots)
        late = [root.id for root in roots if not call(root, on_done, root.id)]
        self._pending.update(late)
        for root in roots:
            if root.id not in late:
                self._delete(root)
        self._tell()

    def done(self, root: RootContext) -> bool:
        """Delete a plugin that put its end off, after the current callback.

        Returns:
            Whether it did.
        """
        if root.id not in self._pending:
            return False
        self._pending.remove(root.id)
        self._vm.services.scheduler.defer(partial(self._delete_late, root))
        return True

    def _delete_late(self, root: RootContext) -> None:
        if self._vm.closed:
            return
        try:
            self._delete(root)
            self._tell()
        except TrapError as trap:
            self._vm.close()
            self._vm.services.failed(trap)

    def _delete(self, root: RootContext) -> None:
        vm = self._vm
        vm.events.set_tick_period(root, 0)
        vm.call(root, vm.callbacks.on_delete, root.id)
        vm.contexts.pop(root.id, None)
        vm.roots.remove(root)

    def _tell(self) -> None:
        if not self._vm.roots:
            self._finished()
