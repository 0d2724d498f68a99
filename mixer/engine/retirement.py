"""VMs that have been replaced: each lives until its last stream has ended, and ends in order."""

import logging
from collections.abc import Callable
from functools import partial

from mixer.proxywasm import Scheduler, WasmVm
from mixer.vm import TrapError

_log = logging.getLogger(__name__)

MAX_PENDING_S = 5.0
"""How long a plugin that puts its end off is waited for."""

MAX_LATE_S = 60.0
"""How long callouts keep a VM that has no streams any more."""


class Retirement:
    """Retired VMs.

    Args:
        scheduler: Ends what takes too long.

    Attributes:
        vms: Those that are still open.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self.vms: list[WasmVm] = []
        self._scheduler = scheduler
        self._finished: Callable[[], None] | None = None

    def add(self, vm: WasmVm) -> None:
        """Take a VM over; its plugins end once its last stream has."""
        self.vms.append(vm)
        vm.retire(partial(self._end_in_time, vm), MAX_LATE_S)

    def begin(self, vm: WasmVm) -> None:
        """Take a VM over, which may have no streams any more."""
        self.add(vm)
        vm.release()

    def _end_in_time(self, vm: WasmVm) -> None:
        if vm.shutdown is None:
            self._end(vm)
            if vm in self.vms:  # a plugin puts it off
                self._scheduler.schedule(MAX_PENDING_S, partial(self._free, vm))

    def _end(self, vm: WasmVm) -> None:
        try:
            vm.shut_down(partial(self._free, vm))
        except TrapError as trap:
            _log.error("a plugin trapped as it was shut down: %s", trap)
            self._free(vm)

    def _free(self, vm: WasmVm) -> None:
        if vm in self.vms:
            self.vms.remove(vm)
            vm.close()
            self._tell()

    def drop_trapped(self) -> None:
        """Close those that must not be entered again."""
        for vm in [vm for vm in self.vms if vm.trap is not None]:
            self._free(vm)

    def when_empty(self, finished: Callable[[], None]) -> None:
        """End those that are left, streams or not, and tell when all are gone."""
        self._finished = finished
        for vm in list(self.vms):
            self._end_in_time(vm)
        self._tell()

    def _tell(self) -> None:
        if self._finished is not None and not self.vms:
            finished, self._finished = self._finished, None
            finished()

    def close(self) -> None:
        """End those that are left, and free them all without waiting for any."""
        for vm in list(self.vms):
            if vm.shutdown is None:
                self._end(vm)
            self._free(vm)
