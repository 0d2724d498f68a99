"""From the configuration to adapters: modules, VMs, and what rules make of each."""

import hashlib
from collections.abc import Callable, Iterator, Sequence

from mixer.config import WasmPlugin
from mixer.engine.adapter import Adapter
from mixer.engine.expressions import Expressions
from mixer.engine.failure import CAPABILITIES, DIGEST, URL, LoadFailure
from mixer.engine.selection import Arrangement, Condition, Ordered, Slot
from mixer.engine.selection.higress import arrangements_of, rules_for_host
from mixer.engine.tenant import VmOwner
from mixer.engine.vm_owners import VmOwners
from mixer.engine.wasm_engines import WasmEngines
from mixer.proxywasm import ProxyWasmModule, unknown_capabilities
from mixer.vm import ModuleError, read_module


class AdapterLoader:
    """Makes the adapters of one configuration; none is started.

    Args:
        wasm: Compiles modules.
        owners: Have the VMs.
        expressions: Of adapters and rules.
        progress: Told in a few words what is going on.
        on_change: Told when the state of an adapter changes.
    """

    def __init__(
        self,
        wasm: WasmEngines,
        owners: VmOwners,
        expressions: Expressions,
        progress: Callable[[str], None],
        on_change: Callable[[Adapter], None],
    ) -> None:
        self._wasm = wasm
        self._owners = owners
        self._matches = expressions.matches
        self._arrangements = expressions.arrangements
        self._progress = progress
        self._on_change = on_change

    def load(self, plugin: WasmPlugin) -> Slot:
        """Make an adapter, and one for each rule that configures it.

        Where only rules configure it, the first of them has the adapter itself: what is told of the
        adapter as a whole is then true of that one.
        """
        host_rules = rules_for_host(plugin)
        own = plugin.configuration if host_rules is None else host_rules.default
        said = (
            *self._arrangements.get(plugin.qualified_name, ()),
            *arrangements_of(plugin, host_rules),
        )
        alone = plugin.runs_by_default and own is not None
        first = None if alone else next((one for one in said if one.runs), None)
        adapter = self._adapter(plugin, own or b"", first)
        ruled = self._ruled(adapter, own or b"", said, first)
        return Slot(adapter, adapter if alone else None, Ordered([*ruled]))

    def _adapter(self, plugin: WasmPlugin, own: bytes, first: Arrangement | None) -> Adapter:
        module = self._module(plugin)
        return Adapter(
            plugin,
            module,
            None if isinstance(module, LoadFailure) else self._owner(plugin, module),
            expression=self._matches.get(plugin.qualified_name),
            configuration=own if first is None else _given(first, own),
            by=None if first is None else first.by,
            on_change=self._on_change,
        )

    def _ruled(
        self, adapter: Adapter, own: bytes, said: Sequence[Arrangement], first: Arrangement | None
    ) -> Iterator[tuple[Condition, Adapter | None]]:
        """What runs under which condition; those that get the same have one plugin of the VM."""
        settings = {adapter.settings.configuration: adapter.settings}
        for one in said:
            if not one.runs:
                yield one.condition, None
            elif one is first or adapter.module is None:
                yield one.condition, adapter
            else:
                given = _given(one, own)
                if given not in settings:
                    settings[given] = adapter.configured(given)
                owner = self._owner_beside(adapter, adapter.module)
                yield one.condition, adapter.arranged(one.by, settings[given], owner)

    def _owner_beside(self, adapter: Adapter, module: ProxyWasmModule) -> VmOwner | None:
        """The VM of the adapter, where not each of its streams has one of its own."""
        own = adapter.plugin.has_vm_for_each_stream
        return self._owner(adapter.plugin, module) if own else adapter.owner

    def _owner(self, plugin: WasmPlugin, module: ProxyWasmModule) -> VmOwner:
        linker = self._wasm.for_plugin(plugin).linkers.of(plugin.allowed_capabilities)
        return self._owners.owner(plugin, module, linker)

    def _module(self, plugin: WasmPlugin) -> ProxyWasmModule | LoadFailure:
        try:
            code = read_module(plugin.module_path)
        except ModuleError as error:
            return LoadFailure(URL, str(error))
        if unknown := unknown_capabilities(plugin.allowed_capabilities or frozenset()):
            names = ", ".join(unknown)
            return LoadFailure(CAPABILITIES, f"{names}: neither a host call nor a callback")
        digest = hashlib.sha256(code).hexdigest()
        if plugin.expected_sha256 not in (None, digest):
            return LoadFailure(DIGEST, f"the SHA-256 of {plugin.module_path} is {digest}")
        loaded = self._wasm.for_plugin(plugin)
        try:
            if digest not in loaded.modules:
                self._progress(f"loading {plugin.qualified_name} ({len(code):,} bytes)")
                loaded.load(digest, code)
            return loaded.modules[digest]
        except ModuleError as error:
            return LoadFailure(URL, f"{plugin.module_path}: {error}")


def _given(said: Arrangement, own: bytes) -> bytes:
    return own if said.configuration is None else said.configuration
