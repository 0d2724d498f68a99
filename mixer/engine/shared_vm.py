"""One VM for all streams of its plugins, replaced when it trapped, grew or aged."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

from mixer.engine.recycling import CHECK_S, Recycling
from mixer.engine.residents import Residents
from mixer.engine.restart import RestartPolicy
from mixer.engine.retirement import Retirement
from mixer.engine.tenant import Tenant
from mixer.engine.vm_spec import VmFactory
from mixer.proxywasm import Cancel, PluginStartError, RootContext, WasmVm
from mixer.vm import ModuleError, TrapError

_log = logging.getLogger(__name__)

MAX_RETIRED = 8
"""VMs with streams or callouts that were replaced; until one has ended, none is replaced."""


class SharedVm:
    """See `mixer.engine.tenant.VmOwner`.

    Args:
        factory: Makes its VMs.
        restart: When one may be made.
        always_on: Whether it is to be started again without a request that asks for it.
    """

    def __init__(
        self, factory: VmFactory, restart: RestartPolicy, *, always_on: bool = False
    ) -> None:
        self.factory = factory
        self.restart = restart
        self.tenants: list[Tenant] = []
        self._always_on = always_on
        self._residents: Residents | None = None
        self._started: set[Tenant] = set()
        self._expecting: set[Tenant] = set()
        self._scheduler = factory.services.scheduler
        self._retirement = Retirement(self._scheduler)
        self._recycling = Recycling(factory.spec, self._scheduler, factory.clock, self._recycle)
        self._cancel_alone: Cancel = _nothing
        self._cancel_rebuild: Cancel = _nothing
        self._rebuild_due = self._ended = False

    @property
    def vm(self) -> WasmVm | None:
        """The one that streams open in."""
        return None if self._residents is None else self._residents.vm

    @property
    def _roots(self) -> dict[Tenant, RootContext]:
        return {} if self._residents is None else self._residents.roots

    @property
    def memory_bytes(self) -> int:
        """See `VmOwner.memory_bytes`."""
        return self.vm.instance.memory.size() if self.vm else 0

    @property
    def lost_notifications(self) -> int:
        """See `VmOwner.lost_notifications`."""
        return self.factory.lost_notifications

    def start(self, tenant: Tenant) -> None:
        """See `VmOwner.start`."""
        self.tenants.append(tenant)
        if self._residents is None:
            self._start()
        else:
            self._join(self._residents, tenant)

    def _start(self, asking: Tenant | None = None) -> None:
        """Make a VM with the plugins in it; one that refuses leaves it to the others."""
        began = self.factory.clock()
        try:
            made = self._make(self.tenants, asking)
        except (ModuleError, TrapError) as error:
            self._refused(dict.fromkeys(self.tenants, error))
            return
        self._took(began)
        if made.roots:
            self._move_in(made)
        else:
            made.vm.close()
        if made.refused:
            self._refused(made.refused)

    def _took(self, began: float) -> None:
        now = self.factory.clock()
        self.restart.started(now, now - began)

    def _make(self, tenants: list[Tenant], asking: Tenant | None = None) -> Residents:
        first = tenants[0].settings
        log = first.log or self.factory.services.log
        services = replace(self.factory.services, log=log, failed=self._trapped_alone)
        made = Residents(self.factory.make(services))
        try:
            made.start_all(t for t in tenants if t is asking or not self._may_wait(t))
        except BaseException:
            made.vm.close()
            raise
        return made

    def _may_wait(self, tenant: Tenant) -> bool:
        """Whether it need not be there before its next stream."""
        return tenant.lazy and tenant in self._started and tenant not in self._expecting

    def _move_in(self, made: Residents) -> None:
        self._residents, self._rebuild_due = made, False
        made.vm.rebuild_wanted = self._rebuild_wanted
        self._cancel_rebuild()
        self._recycling.watch(made.vm)
        for tenant in self.tenants:
            if tenant in made.roots:
                self._attach(tenant, made.roots[tenant])
            elif self._may_wait(tenant):
                tenant.attached(None)

    def _attach(self, tenant: Tenant, root: RootContext) -> None:
        self._started.add(tenant)
        tenant.attached(root)

    def _refused(self, errors: Mapping[Tenant, Exception]) -> None:
        self.restart.start_failed(self.factory.clock())
        for tenant, error in errors.items():
            tenant.start_failed(error)
        self.tenants = [t for t in self.tenants if not t.broken]

    def _join(self, residents: Residents, tenant: Tenant) -> None:
        """Start a plugin in a VM that runs: its trap is that of all."""
        began = self.factory.clock()
        try:
            root = residents.start(tenant)
        except PluginStartError as error:
            residents.vm.started()
            residents.refused[tenant] = error
            self._refused({tenant: error})
        except TrapError as error:
            self._refused({tenant: error})
            self.crashed(error)
        else:
            residents.vm.started()
            self._joined(tenant, began)
            self._attach(tenant, root)

    def _joined(self, tenant: Tenant, began: float) -> None:
        now = self.factory.clock()
        again = tenant in self._started
        (self.restart.joined if again else self.restart.started)(now, now - began)

    def acquire(self, tenant: Tenant) -> RootContext | None:
        """See `VmOwner.acquire`."""
        if self._rebuild_due:
            self._rebuild()
        if tenant not in self._roots and tenant in self.tenants and not self._ended:
            self._start_again(tenant)
        return self._roots.get(tenant)

    def _start_again(self, tenant: Tenant) -> None:
        residents, may = self._residents, self.restart.may_start(self.factory.clock())
        if residents is None:
            if may:
                self._start(tenant)
        elif may or (self._may_wait(tenant) and tenant not in residents.refused):
            self._join(residents, tenant)

    def crashed(self, error: TrapError) -> None:
        """See `VmOwner.crashed`."""
        self._retirement.drop_trapped()
        vm = self.vm
        if vm is None or vm.trap is None:
            return
        self._recycling.stop()
        self._note_expecting()
        vm.close()
        self._residents = None
        for tenant in self.tenants:
            tenant.lost(error)
        if self._always_on or vm.events.used:
            self._start_alone_later()

    def _note_expecting(self) -> None:
        """Remember who is to be there at once in the next VM: no stream would ask for it."""
        if self._residents is not None:
            self._expecting |= self._residents.expecting()

    def _start_alone_later(self) -> None:
        if not self._ended:
            self._cancel_alone()
            wait = self.restart.wait_alone(self.factory.clock())
            self._cancel_alone = self._scheduler.schedule(wait, self._start_alone)

    def _start_alone(self) -> None:
        if self.vm is not None or self._ended or not self.tenants:
            return
        self._start()
        if self.vm is None:
            self._start_alone_later()

    def _trapped_alone(self, error: TrapError) -> None:
        vms = [*self._retirement.vms, *([self.vm] if self.vm else [])]
        for root in [vm.trapped.root for vm in vms if vm.trap is not None and vm.trapped]:
            tenant = next((t for t in self.tenants if t.settings is root.settings), None)
            if tenant is not None:
                tenant.trapped_alone(error)
        self.crashed(error)  # whoever it was

    def _rebuild_wanted(self) -> None:
        """From within a callback: the next stream sees to it."""
        self._rebuild_due = True
        for tenant in self._roots:
            tenant.detached()

    def _rebuild(self) -> None:
        if self.vm is not None and self._may_replace():
            self._recycle("its module asked for it")
        elif self.vm is not None:
            self._cancel_rebuild()
            wait = self.restart.wait(self.factory.clock()) or CHECK_S
            self._cancel_rebuild = self._scheduler.schedule(wait, self._rebuild_wanted)
        self._rebuild_due = False
        for tenant, root in self._roots.items():
            tenant.resumed(root)

    def _may_replace(self) -> bool:
        """Whether another start may be now, and the VMs before it are not too many."""
        few = len(self._retirement.vms) < MAX_RETIRED
        return few and self.restart.may_start(self.factory.clock())

    def _recycle(self, why: str) -> None:
        """Start another VM first; then the old one lives until its streams have ended."""
        old, began = self.vm, self.factory.clock()
        if old is None or not self._may_replace():
            return
        self._note_expecting()
        try:
            started = self._make_all(list(self._roots))
        except (ModuleError, TrapError, PluginStartError) as error:
            self.restart.start_failed(self.factory.clock())
            old.events.register_again()
            _log.error("%s: its VM is to be replaced (%s), but another does not start: %s",
                       self._names(), why, error)  # fmt: skip
            return
        self._took(began)
        _log.info("%s: a new VM takes over: %s", self._names(), why)
        self._move_in(started)
        self._retirement.begin(old)

    def _make_all(self, tenants: list[Tenant]) -> Residents:
        started = self._make(tenants)
        for error in started.refused.values():
            started.vm.close()
            raise error
        return started

    def _names(self) -> str:
        return "adapter " + ", ".join(dict.fromkeys(tenant.name for tenant in self.tenants))

    def shut_down(self, finished: Callable[[], None]) -> None:
        """See `VmOwner.shut_down`."""
        self._leave()
        self._retirement.when_empty(finished)

    def close(self) -> None:
        """See `VmOwner.close`."""
        self._leave()
        self._retirement.close()

    def _leave(self) -> None:
        self._ended = True
        self._recycling.stop()
        self._cancel_alone()
        self._cancel_rebuild()
        for tenant in self._roots:
            tenant.detached()
        if self.vm is not None:
            self._retirement.add(self.vm)
        self._residents = None


def _nothing() -> None:
    """Nobody waits."""
