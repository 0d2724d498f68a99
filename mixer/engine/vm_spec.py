"""What a VM is made of: plugins that agree in all of it may share one."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, fields

from mixer.config import FailStrategy, WasmPlugin
from mixer.proxywasm import ProxyWasmModule, Services, WasmVm
from mixer.vm import Linker, VmLimits


@dataclass(frozen=True, slots=True)
class VmSpec:
    """The settings of a VM.

    Attributes:
        vm_id: See `mixer.proxywasm.WasmVm`, as for the next ones.
        configuration: Secret.
        environment: Secret.
        limits: Of each callback.
        start_cpu: Seconds of CPU for the start.
        reload_backoff: Seconds from one start to the next with FAIL_RELOAD, else None.
        allowed: The host calls and callbacks that are allowed, or None for all.
        max_memory: Bytes of linear memory from which on it is replaced, or None.
        max_age: Seconds after which it is replaced, or None.
    """

    vm_id: str
    configuration: bytes = field(repr=False)
    environment: tuple[tuple[str, str], ...] = field(repr=False)
    limits: VmLimits
    start_cpu: float
    reload_backoff: float | None
    allowed: frozenset[str] | None
    max_memory: int | None
    max_age: float | None

    def key(self, module: ProxyWasmModule) -> str:
        """By which Envoy tells whether two plugins share a VM: its id, configuration and code."""
        digest = hashlib.sha256()
        for part in (self.vm_id.encode(), self.configuration, module.module.digest.encode()):
            digest.update(b"%d:" % len(part) + part)
        return digest.hexdigest()

    def differences(self, other: "VmSpec") -> list[str]:
        """The names of the settings that are not the same."""
        return [f.name for f in fields(self) if getattr(self, f.name) != getattr(other, f.name)]


def vm_spec(plugin: WasmPlugin) -> VmSpec:
    """What the configuration says of a plugin's VM."""
    annotations = plugin.metadata.annotations
    reloads = plugin.fail_strategy is FailStrategy.FAIL_RELOAD
    return VmSpec(
        vm_id=plugin.vm_id,
        configuration=plugin.vm_configuration,
        environment=tuple(plugin.env.items()),
        limits=VmLimits(memory_bytes=plugin.limits.memory_bytes, cpu=plugin.limits.cpu),
        start_cpu=plugin.limits.start_cpu,
        reload_backoff=annotations.reload_backoff if reloads else None,
        allowed=plugin.allowed_capabilities,
        max_memory=annotations.max_vm_memory,
        max_age=annotations.max_vm_age,
    )


@dataclass(slots=True)
class VmFactory:
    """Makes VMs of one spec.

    Attributes:
        module: What they run.
        linker: Has this host's functions.
        spec: Their settings.
        services: What they share with others.
        clock: Seconds, monotonic.
        lost_notifications: Messages of queues that its VMs were not told of.
    """

    module: ProxyWasmModule
    linker: Linker
    spec: VmSpec
    services: Services
    clock: Callable[[], float]
    lost_notifications: int = 0

    def make(self, services: Services) -> WasmVm:
        """Make one, without a plugin in it. Raises ModuleError, TrapError."""
        vm = WasmVm(
            self.module,
            self.linker,
            self.spec.limits,
            start_cpu=self.spec.start_cpu,
            services=services,
            vm_id=self.spec.vm_id,
            configuration=self.spec.configuration,
            environment=dict(self.spec.environment),
            allowed=self.spec.allowed,
        )
        vm.notification_lost = self._notification_lost
        return vm

    def _notification_lost(self) -> None:
        self.lost_notifications += 1
