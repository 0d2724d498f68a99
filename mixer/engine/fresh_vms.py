"""A VM for each stream: nothing that one stream leaves behind reaches another."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from mixer.engine.failure import AdapterFailure
from mixer.engine.restart import RestartPolicy
from mixer.engine.tenant import Tenant
from mixer.engine.vm_spec import VmFactory
from mixer.proxywasm import PluginStartError, RootContext, WasmVm
from mixer.vm import ModuleError, PoolExhaustedError, TrapError

MAX_LATE_S = 10.0
"""How long the callouts of a stream that has ended keep its VM, and with it a place."""


@dataclass(slots=True)
class Places:
    """What all plugins with a VM for each stream have in common.

    Attributes:
        most: How many VMs there may be at one time.
        taken: How many there are.
    """

    most: int
    taken: int = 0


class FreshVms:
    """See `mixer.engine.tenant.VmOwner`; for one plugin.

    A VM ends with its stream, or a while later with its last callout. Its plugin is then told so,
    and not waited for: whoever puts its end off would hold a place of the pool.

    Args:
        factory: Makes the VMs.
        restart: Only the failure of a start counts: a trap costs its own stream.
        places: Bounds the VMs.
    """

    def __init__(self, factory: VmFactory, restart: RestartPolicy, places: Places) -> None:
        self.factory = factory
        self.restart = restart
        self._places = places
        self._vms: set[WasmVm] = set()
        self._tenant: Tenant | None = None
        self._ended = False

    @property
    def memory_bytes(self) -> int:
        """See `VmOwner.memory_bytes`."""
        return sum(vm.instance.memory.size() for vm in self._vms)

    @property
    def lost_notifications(self) -> int:
        """See `VmOwner.lost_notifications`."""
        return self.factory.lost_notifications

    def start(self, tenant: Tenant) -> None:
        """See `VmOwner.start`; a trial, so that a module that does not start is known at once."""
        self._tenant = tenant
        try:
            root = self._make(tenant)
        except PoolExhaustedError as error:
            tenant.start_failed(error)
        else:
            if root is not None:
                self._end(root.vm)

    def acquire(self, tenant: Tenant) -> RootContext | None:
        """See `VmOwner.acquire`."""
        if self._ended or tenant.broken or not self.restart.may_start(self.factory.clock()):
            return None
        try:
            if self._places.taken >= self._places.most:
                raise PoolExhaustedError(f"there are {self._places.most} VMs of single streams")
            return self._make(tenant)
        except PoolExhaustedError as error:
            raise AdapterFailure(tenant.name, "too_many_streams", may_fail_open=False) from error

    def _make(self, tenant: Tenant) -> RootContext | None:
        try:
            root = self._started(tenant)
        except PoolExhaustedError:
            raise
        except (ModuleError, TrapError, PluginStartError) as error:
            self.restart.start_failed(self.factory.clock())
            tenant.start_failed(error)
            return None
        self.restart.recovered()
        tenant.attached(None)
        return root

    def _started(self, tenant: Tenant) -> RootContext:
        log = tenant.settings.log or self.factory.services.log
        services = replace(self.factory.services, log=log, failed=tenant.trapped_alone)
        vm = self.factory.make(services)
        try:
            root = vm.start_plugin(tenant.settings)
        except BaseException:
            vm.close()
            raise
        vm.started()
        vm.retire(partial(self._end, vm), MAX_LATE_S)
        self._vms.add(vm)
        self._places.taken += 1
        return root

    def _leave(self, vm: WasmVm) -> None:
        self._vms.remove(vm)
        self._places.taken -= 1

    def _end(self, vm: WasmVm) -> None:
        self._leave(vm)
        try:
            vm.shut_down(_nothing)
        except TrapError as trap:
            assert self._tenant is not None
            self._tenant.trapped_alone(trap)
        finally:
            vm.close()

    def crashed(self, error: TrapError) -> None:
        """See `VmOwner.crashed`; the plugin itself goes on with other VMs."""
        del error
        for vm in [vm for vm in self._vms if vm.trap is not None]:
            self._leave(vm)
            vm.close()

    def shut_down(self, finished: Callable[[], None]) -> None:
        """See `VmOwner.shut_down`."""
        self._ended = True
        for vm in list(self._vms):
            self._end(vm)
        finished()

    def close(self) -> None:
        """See `VmOwner.close`."""
        self.shut_down(_nothing)


def _nothing() -> None:
    """Nobody waits."""
