"""Which plugins share a VM, and which have one of their own."""

import logging
import time
from collections.abc import Callable
from itertools import count
from typing import TypeVar

from mixer.config import WasmPlugin
from mixer.engine.fresh_vms import FreshVms, Places
from mixer.engine.restart import RestartPolicy
from mixer.engine.shared_vm import SharedVm
from mixer.engine.tenant import VmOwner
from mixer.engine.vm_spec import VmFactory, VmSpec, vm_spec
from mixer.proxywasm import ProxyWasmModule, Services
from mixer.vm import Linker

_log = logging.getLogger(__name__)

_O = TypeVar("_O", bound=VmOwner)


class VmOwners:
    """The owners of all VMs of one engine.

    Plugins share a VM, as in Envoy, if its id, its configuration and its code are the same. They
    must agree in its limits too, which Envoy has not; and their VM must have an id: whoever gave
    none has not asked for a trap of one plugin to be the trap of another.

    Args:
        services: Shared by all.
        max_isolated: How many VMs of single streams there may be at one time.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        services: Services,
        max_isolated: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._services = services
        self._places = Places(max_isolated)
        self._clock = clock
        self._shared: dict[str, list[tuple[VmSpec, SharedVm]]] = {}
        self._all: list[VmOwner] = []

    def owner(self, plugin: WasmPlugin, module: ProxyWasmModule, linker: Linker) -> VmOwner:
        """Who has the VM of a plugin."""
        spec = vm_spec(plugin)
        factory = VmFactory(module, linker, spec, self._services, self._clock)
        restart = RestartPolicy(reload_backoff=spec.reload_backoff)
        if plugin.has_vm_for_each_stream:
            return self._own(FreshVms(factory, restart, self._places))
        if plugin.is_service or not spec.vm_id:
            return self._own(SharedVm(factory, restart, always_on=plugin.is_service))
        return self._share(plugin.qualified_name, factory, restart)

    def _own(self, owner: _O) -> _O:
        self._all.append(owner)
        return owner

    def _share(self, name: str, factory: VmFactory, restart: RestartPolicy) -> SharedVm:
        same = self._shared.setdefault(factory.spec.key(factory.module), [])
        for spec, owner in same:
            if spec == factory.spec:
                return owner
        if same:
            differences = ", ".join(factory.spec.differences(same[0][0]))
            _log.warning("adapter %s: others have its vm-id and module, but another %s: it does not"
                         " share their VM", name, differences)  # fmt: skip
        owner = self._own(SharedVm(factory, restart))
        same.append((factory.spec, owner))
        return owner

    def shut_down(self, finished: Callable[[], None]) -> None:
        """End every plugin in good order; called back once all have ended."""
        left = count(len(self._all) - 1, -1)
        for owner in self._all:
            owner.shut_down(lambda: None if next(left) else finished())
        if not self._all:
            finished()

    def close(self) -> None:
        """Free every VM."""
        for owner in self._all:
            owner.close()
