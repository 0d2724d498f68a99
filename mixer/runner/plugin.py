"""The plugin of a run: how it is configured, and the VM in which it starts."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from mixer.proxywasm import (
    Capabilities,
    Compat,
    LogLevel,
    PluginSettings,
    ProxyWasmModule,
    RootContext,
    Services,
    WasmVm,
    load_module,
    restricted,
)
from mixer.runner.trace import Trace
from mixer.vm import CompileCache, Linker, VmLimits, WasmEngine, make_linker


@dataclass(frozen=True, slots=True)
class RunPlugin:
    """The plugin and its VM.

    Attributes:
        settings: Name, configuration, and Envoy's options.
        vm_id: ``plugin_vm_id``.
        environment: Variables that the module sees.
        log_level: The lowest level to record.
        limits: Bounds of the VM.
        start_cpu: Seconds of CPU for the start.
        allowed: The only host calls and callbacks, or None for all.
    """

    settings: PluginSettings
    vm_id: str = ""
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    log_level: LogLevel = LogLevel.TRACE
    limits: VmLimits = field(default_factory=VmLimits)
    start_cpu: float = 10.0
    allowed: Capabilities | None = None

    def with_options(
        self,
        *,
        stop_iteration: bool = False,
        compat: Compat | None = None,
        allowed: Capabilities | None = None,
    ) -> "RunPlugin":
        """The same with what was said beside its file; what was not stays as it is."""
        settings = replace(
            self.settings,
            allow_on_headers_stop_iteration=(
                stop_iteration or self.settings.allow_on_headers_stop_iteration
            ),
            compat=compat or self.settings.compat,
        )
        return replace(self, settings=settings, allowed=allowed or self.allowed)


@contextmanager
def linked(
    plugin: RunPlugin,
    code: bytes,
    cache: CompileCache | None,
    trace: Trace | None,
    compiling: Callable[[int], None],
) -> Iterator[tuple[ProxyWasmModule, Linker]]:
    """A module, compiled, and the host's functions as far as the plugin may call them.

    Args:
        plugin: Says what is allowed.
        code: The module's bytes.
        cache: Where compiled modules are kept.
        trace: Told of every host call.
        compiling: See `WasmEngine`.

    Raises:
        ModuleError: The module cannot run here.
    """
    with WasmEngine(cache, compiling=compiling) as engine:
        functions = restricted(plugin.allowed)
        linker = make_linker(engine, functions if trace is None else trace.functions(functions))
        try:
            yield load_module(engine, code), linker
        finally:
            linker.close()


@contextmanager
def started_plugin(
    plugin: RunPlugin,
    module: ProxyWasmModule,
    linker: Linker,
    services: Services,
    trace: Trace | None,
) -> Iterator[RootContext]:
    """A plugin that has started, in a VM of its own.

    Args:
        plugin: How it is configured.
        module: What it runs.
        linker: Has the host's functions.
        services: Of the VM.
        trace: Told of every callback.

    Raises:
        ModuleError: The module cannot be instantiated within the limits.
        PluginStartError: It refused to start.
        TrapError: It trapped while it started.
    """
    with WasmVm(
        module,
        linker,
        plugin.limits,
        start_cpu=plugin.start_cpu,
        services=services,
        vm_id=plugin.vm_id,
        environment=plugin.environment,
        allowed=plugin.allowed,
    ) as vm:
        if trace is not None:
            vm.callbacks = trace.callbacks(vm.callbacks)
        root = vm.start_plugin(plugin.settings)
        vm.started()
        yield root
