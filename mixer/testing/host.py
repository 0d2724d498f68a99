"""Where the plugins of a test run: one clock, one network, one state that they share."""

import json
import os
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from mixer.callouts.ports import Callouts
from mixer.config.module import module_path
from mixer.config.service import user_cache_directory
from mixer.proxywasm import (
    Compat,
    HostLinkers,
    LogLevel,
    ManualScheduler,
    MetricStore,
    MetricType,
    PluginSettings,
    Scheduler,
    Services,
    load_module,
    unknown_capabilities,
)
from mixer.state import MemorySharedData, MemorySharedQueues
from mixer.state.quota import MemoryQuotas, Quotas
from mixer.testing.callouts import FakeCallouts
from mixer.testing.plugin import Plugin
from mixer.vm import CompileCache, VmLimits, WasmEngine, read_module

START = 1_700_000_000
"""What the wall clock begins with unless a host is told otherwise, in seconds since the epoch."""

_BOOTED_NS = 1_000_000_000
"""What the monotonic clock begins with: Go takes one that reads 0 for a fatal error."""


class Host:
    """Runs plugins as Envoy would, without sockets; the clock moves when the test says so.

    Args:
        clusters: The names that modules may call; None for any. Answer the callouts by
            `http_calls` and its siblings.
        now: Seconds since the epoch at the start; the monotonic clock begins with 1 s.
        random: So many random bytes.
        compile_cache: A folder for compiled modules, which saves seconds for large ones; ``user``
            for that of `mixer serve` (`user_cache_directory`), None to compile each time.
        callouts: Real ones, say, in place of those that the test answers.
        scheduler: That of an event loop, which real callouts need; the clock then is its clock.

    Attributes:
        callouts: What the modules ask of the network.
        fakes: The callouts that the test answers.
        metrics: What they count.
        shared_data: What they share, by ``vm_id`` and key.
        shared_queues: Likewise.
        quotas: The counters of limits; any store may be put there before a plugin is loaded.
        time: The clock, and what waits for it, unless there is an event loop.
    """

    def __init__(
        self,
        *,
        clusters: Collection[str] | None = None,
        now: float = START,
        random: Callable[[int], bytes] = os.urandom,
        compile_cache: Path | Literal["user"] | None = "user",
        callouts: Callouts | None = None,
        scheduler: Scheduler | None = None,
    ) -> None:
        self.time = ManualScheduler()
        self._scheduler = scheduler or self.time
        self.fakes = FakeCallouts(clusters, answered=self.time.advance)
        self.callouts: Callouts = callouts or self.fakes
        self.shared_data = MemorySharedData()
        self.shared_queues = MemorySharedQueues()
        is_simulated = self._scheduler is self.time
        clock = self._passed_ns if is_simulated else time.monotonic_ns
        self.quotas: Quotas = MemoryQuotas(clock=clock)
        self.metrics = MetricStore()
        self._random = random
        self._began_ns = round(now * 1e9)
        self._plugins: list[Plugin] = []
        folder = user_cache_directory() if compile_cache == "user" else compile_cache
        self._engine = WasmEngine(CompileCache(folder) if folder else None)
        self._linkers = HostLinkers(self._engine)

    def load(
        self,
        module: Path | str | bytes,
        configuration: Mapping[str, Any] | str | bytes = b"",
        *,
        name: str = "plugin",
        root_id: str = "",
        vm_id: str = "",
        vm_configuration: bytes = b"",
        environment: Mapping[str, str] | None = None,
        allow_on_headers_stop_iteration: bool = False,
        limits: VmLimits | None = None,
        compat: Compat | str = Compat.ENVOY,
        allowed_capabilities: Collection[str] | None = None,
        log_level: LogLevel = LogLevel.TRACE,
    ) -> Plugin:
        """Start a plugin in a VM of its own.

        Args:
            module: The file of a module, its bytes, or ``builtin://NAME``.
            configuration: Of the plugin; a mapping becomes JSON.
            name: ``plugin_name``.
            root_id: ``plugin_root_id``.
            vm_id: Plugins with the same one share data and queues.
            vm_configuration: What ``proxy_on_vm_start`` reads.
            environment: Variables of the module.
            allow_on_headers_stop_iteration: As Envoy's option of that name.
            limits: Of memory and of CPU time.
            compat: ``envoy`` or ``lenient``: the statuses where SDKs do not take Envoy's.
            allowed_capabilities: The only host calls and callbacks, or None for all.
            log_level: The lowest level that is logged; the module can ask for it.

        Raises:
            ValueError: A capability is neither a host call nor a callback.
            ModuleError: The module cannot run here.
            PluginStartError: It refused to start, or its configuration.
            TrapError: It trapped while it started.
        """
        code = module if isinstance(module, bytes) else read_module(_file(module))
        allowed = _capabilities(allowed_capabilities or ())
        settings = PluginSettings(
            name,
            root_id,
            _bytes(configuration),
            allow_on_headers_stop_iteration,
            compat=Compat(compat),
        )
        plugin = Plugin(
            load_module(self._engine, code),
            self._linkers.of(allowed),
            replace(self._services(), log_level=log_level),
            settings,
            limits=limits or VmLimits(cpu=5.0),
            vm_id=vm_id,
            vm_configuration=vm_configuration,
            environment=environment or {},
            allowed=allowed,
        )
        self._plugins.append(plugin)
        return plugin

    def _services(self) -> Services:
        services = Services(
            random=self._random,
            scheduler=self._scheduler,
            shared_data=self.shared_data,
            shared_queues=self.shared_queues,
            quotas=self.quotas,
            metrics=self.metrics,
            callouts=self.callouts,
        )
        if self._scheduler is not self.time:
            return services
        return replace(
            services,
            wall_clock=lambda: self._began_ns + self._passed_ns(),
            monotonic_clock=lambda: _BOOTED_NS + self._passed_ns(),
        )

    def _passed_ns(self) -> int:
        return round(self.time.now * 1e9)

    def advance(self, seconds: float = 0.0) -> None:
        """Let time pass: ticks, messages of queues and resumed streams come in their order."""
        self.time.advance(seconds)

    @property
    def http_calls(self) -> list[Any]:
        """The HTTP callouts so far, oldest first; see `FakeHttpCall`."""
        return self.fakes.http_calls

    def counter(self, name: str) -> int:
        """The value of a counter. Raises KeyError where no module defined it."""
        return self._metric(MetricType.COUNTER, name)

    def gauge(self, name: str) -> int:
        """The value of a gauge. Raises KeyError where no module defined it."""
        return self._metric(MetricType.GAUGE, name)

    def _metric(self, kind: MetricType, name: str) -> int:
        found = {(m.type, m.name): m.value for m in self.metrics.snapshot()}
        if (kind, name) not in found:
            raise KeyError(f"no {kind.name.lower()} {name!r}; there are {sorted(found)}")
        return found[kind, name]

    def close(self) -> None:
        """Free every VM."""
        for plugin in self._plugins:
            plugin.close()
        self._linkers.close()
        self._engine.close()

    def __enter__(self) -> "Host":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _file(module: Path | str) -> Path:
    if isinstance(module, str) and module.startswith("builtin://"):
        return module_path(module, Path())
    return Path(module)


def _capabilities(names: Collection[str]) -> frozenset[str] | None:
    if unknown := unknown_capabilities(frozenset(names)):
        raise ValueError(f"capability {unknown[0]!r}: neither a host call nor a callback")
    return frozenset(names) or None


def _bytes(configuration: Mapping[str, Any] | str | bytes) -> bytes:
    if isinstance(configuration, Mapping):
        return json.dumps(configuration).encode()
    return configuration.encode() if isinstance(configuration, str) else configuration
