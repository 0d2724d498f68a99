"""Where modules are compiled and instances made: VMs that stay, and VMs of a single stream."""

import logging
from functools import cached_property

from mixer.config import Configuration, WasmPlugin
from mixer.proxywasm import HostLinkers, ProxyWasmModule, load_module
from mixer.vm import CompileCache, InstancePool, ModuleError, WasmEngine

_log = logging.getLogger(__name__)


class LoadedModules:
    """One engine of wasmtime, with what it has compiled.

    Attributes:
        linkers: Have this host's functions.
        modules: By the digest of their code.
    """

    def __init__(self, engine: WasmEngine) -> None:
        self._engine = engine
        self.linkers = HostLinkers(engine)
        self.modules: dict[str, ProxyWasmModule] = {}

    def load(self, digest: str, code: bytes) -> None:
        """Compile a module. Raises ModuleError."""
        self.modules[digest] = load_module(self._engine, code)

    def close(self) -> None:
        """Free all of it; its instances must be closed before."""
        self.linkers.close()
        self._engine.close()


class WasmEngines:
    """The engine for VMs that stay and, once there is a plugin for it, the one with a pool.

    Args:
        configuration: Has the compile cache, and the bounds of the pool.
    """

    def __init__(self, configuration: Configuration) -> None:
        directory = configuration.mixer.compile_cache.directory
        self._cache = CompileCache(directory) if directory else None
        isolated = [p.limits.memory_bytes for p in configuration.plugins if _is_isolated(p)]
        limits = configuration.mixer.limits
        self._pool = InstancePool(limits.max_isolated_streams, max(isolated, default=0))
        self._used: list[LoadedModules] = []

    def for_plugin(self, plugin: WasmPlugin) -> LoadedModules:
        """The one that a plugin is for."""
        return self._pooled if _is_isolated(plugin) else self._staying

    @cached_property
    def _staying(self) -> LoadedModules:
        return self._use(WasmEngine(self._cache))

    @cached_property
    def _pooled(self) -> LoadedModules:
        try:
            return self._use(WasmEngine(self._cache, self._pool))
        except ModuleError as error:
            _log.warning("isolation: request goes without a pool, and is slower: %s", error)
            return self._staying

    def _use(self, engine: WasmEngine) -> LoadedModules:
        self._used.append(LoadedModules(engine))
        return self._used[-1]

    def close(self) -> None:
        """Free all of them; their instances must be closed before."""
        for loaded in self._used:
            loaded.close()


def _is_isolated(plugin: WasmPlugin) -> bool:
    return plugin.has_vm_for_each_stream
