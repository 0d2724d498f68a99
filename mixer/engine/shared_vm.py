"""One VM for all streams of its plugins, replaced when it trapped, grew or aged."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from mixer.engine.recycling import CHECK_S, Recycling
from mixer.engine.restart import RestartPolicy
from mixer.engine.retirement import Retirement
from mixer.engine.tenant import Tenant
from mixer.engine.vm_spec import VmFactory
from mixer.proxywasm import Cancel, PluginStartError, RootContext, WasmVm
from mixer.vm import ModuleError, TrapError

_log = logging.getLogger(__name__)

MAX_RETIRED = 8
"""VMs with streams or callouts that were replaced; until one has ended, none is replaced."""


@dataclass(slots=True)
class _Started:
    """A VM, and what came of its plugins."""

    vm: WasmVm
    roots: dict[Tenant, RootContext]
    refused: dict[Tenant, PluginStartError]


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
        self.vm: WasmVm | None = None
        self._always_on = always_on
        self._roots: dict[Tenant, RootContext] = {}
        self._scheduler = factory.services.scheduler
        self._retirement = Retirement(self._scheduler)
        self._recycling = Recycling(factory.spec, self._scheduler, factory.clock, self._recycle)
        self._cancel_alone: Cancel = _nothing
        self._cancel_rebuild: Cancel = _nothing
        self._rebuild_due = self._ended = False

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
        if self.vm is None:
            self._start()
        else:
            self._join(self.vm, tenant)

    def _start(self) -> None:
        """Make a VM with all plugins in it; one that refuses leaves it to the others."""
        began = self.factory.clock()
        try:
            started = self._make(self.tenants)
        except (ModuleError, TrapError) as error:
            self._refused(dict.fromkeys(self.tenants, error))
            return
        self._took(began)
        if started.roots:
            self._move_in(started)
        else:
            started.vm.close()
        if started.refused:
            self._refused(started.refused)

    def _took(self, began: float) -> None:
        now = self.factory.clock()
        self.restart.started(now, now - began)

    def _make(self, tenants: list[Tenant]) -> _Started:
        first = tenants[0].settings
        log = first.log or self.factory.services.log
        services = replace(self.factory.services, log=log, failed=self._trapped_alone)
        started = _Started(self.factory.make(services), {}, {})
        try:
            for tenant in tenants:
                try:
                    started.roots[tenant] = started.vm.start_plugin(tenant.settings)
                except PluginStartError as error:
                    started.refused[tenant] = error
        except BaseException:
            started.vm.close()
            raise
        started.vm.started()
        return started

    def _move_in(self, started: _Started) -> None:
        self.vm, self._roots, self._rebuild_due = started.vm, started.roots, False
        self.vm.rebuild_wanted = self._rebuild_wanted
        self._cancel_rebuild()
        self._recycling.watch(self.vm)
        for tenant, root in self._roots.items():
            tenant.attached(root)

    def _refused(self, errors: Mapping[Tenant, Exception]) -> None:
        self.restart.start_failed(self.factory.clock())
        for tenant, error in errors.items():
            tenant.start_failed(error)
        self.tenants = [t for t in self.tenants if not t.broken]

    def _join(self, vm: WasmVm, tenant: Tenant) -> None:
        """Start a plugin in a VM that runs: its trap is that of all."""
        began = self.factory.clock()
        try:
            root = self._roots[tenant] = vm.start_plugin(tenant.settings)
        except PluginStartError as error:
            vm.started()
            self._refused({tenant: error})
        except TrapError as error:
            self._refused({tenant: error})
            self.crashed(error)
        else:
            vm.started()
            self._took(began)
            tenant.attached(root)

    def acquire(self, tenant: Tenant) -> RootContext | None:
        """See `VmOwner.acquire`."""
        if self._rebuild_due:
            self._rebuild()
        if tenant not in self._roots and tenant in self.tenants and not self._ended:
            self._start_again(tenant)
        return self._roots.get(tenant)

    def _start_again(self, tenant: Tenant) -> None:
        if not self.restart.may_start(self.factory.clock()):
            return
        if self.vm is None:
            self._start()
        else:
            self._join(self.vm, tenant)

    def crashed(self, error: TrapError) -> None:
        """See `VmOwner.crashed`."""
        self._retirement.drop_trapped()
        vm = self.vm
        if vm is None or vm.trap is None:
            return
        self._recycling.stop()
        vm.close()
        self.vm, self._roots = None, {}
        for tenant in self.tenants:
            tenant.lost(error)
        if self._always_on or vm.events.used:
            self._start_alone_later()

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
        roots = [vm.trapped.root for vm in vms if vm.trap is not None and vm.trapped]
        for tenant in self.tenants:
            if any(root.settings is tenant.settings for root in roots):
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

    def _make_all(self, tenants: list[Tenant]) -> _Started:
        started = self._make(tenants)
        for error in started.refused.values():
            started.vm.close()
            raise error
        return started

    def _names(self) -> str:
        return "adapter " + ", ".join(tenant.name for tenant in self.tenants)

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
        self.vm, self._roots = None, {}


def _nothing() -> None:
    """Nobody waits."""
