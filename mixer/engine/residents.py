"""A VM and the plugins that were started in it."""

from collections.abc import Iterable

from mixer.engine.tenant import Tenant
from mixer.proxywasm import PluginSettings, PluginStartError, RootContext, WasmVm


class Residents:
    """One VM; tenants that get the same settings have one root context.

    Args:
        vm: Without a plugin in it.

    Attributes:
        vm: As given.
        roots: By the tenants that were started.
        refused: Why those were not that were tried.
    """

    def __init__(self, vm: WasmVm) -> None:
        self.vm = vm
        self.roots: dict[Tenant, RootContext] = {}
        self.refused: dict[Tenant, PluginStartError] = {}
        self._by_settings: dict[PluginSettings, RootContext] = {}

    def start(self, tenant: Tenant) -> RootContext:
        """Start one.

        Raises:
            PluginStartError: The module refused.
            TrapError: It trapped.
        """
        root = self._by_settings.get(tenant.settings)
        if root is None:
            root = self._by_settings[tenant.settings] = self.vm.start_plugin(tenant.settings)
        self.roots[tenant] = root
        return root

    def start_all(self, tenants: Iterable[Tenant]) -> None:
        """Start several; one that the module refuses is noted. Raises TrapError."""
        for tenant in tenants:
            try:
                self.start(tenant)
            except PluginStartError as error:
                self.refused[tenant] = error
        self.vm.started()

    def expecting(self) -> set[Tenant]:
        """Those that asked for ticks or the messages of a queue, ever."""
        return {tenant for tenant, root in self.roots.items() if self.vm.events.asked_by(root)}
