"""The engine: a configuration, loaded, and the decisions made with it."""

import hashlib
import logging
from collections.abc import Callable
from types import TracebackType

from mixer.callouts.ports import Callouts, NoCallouts
from mixer.config import Configuration, WasmPlugin
from mixer.engine.adapter import Adapter, AdapterState
from mixer.engine.chain import Chain
from mixer.engine.decision import Decision, VerdictCounts
from mixer.engine.failure import DIGEST, URL, LoadFailure
from mixer.engine.pending import PendingDecision, decide
from mixer.engine.request import Request
from mixer.engine.scheduling import scheduler_of_this_thread
from mixer.engine.sharing import open_stores, shared_services
from mixer.proxywasm import (
    ProxyWasmModule,
    Scheduler,
    host_functions,
    load_module,
)
from mixer.vm import CompileCache, ModuleError, WasmEngine, make_linker, read_module

_log = logging.getLogger(__name__)

Progress = Callable[[str], None]


class Engine:
    """Every adapter of one configuration, in one thread.

    Loading never raises for an adapter: one that does not load is kept with its error, answers by
    its failStrategy, and is told by `broken`.

    Args:
        configuration: What to load.
        progress: Told in a few words what is going on while it loads.
        on_change: Told when the state of an adapter changes.
        scheduler: Has ticks and the messages of queues delivered. Unless it is given, the running
            event loop; without one of either nothing of that happens.
        callouts: Opens callouts in the same thread; unless it is given, there are no clusters.

    Attributes:
        adapters: In the order in which they run.
        decisions: How many were made or begun.
        decision_timeout: Seconds that a front end waits for a pending decision at the most.
        verdicts: How many of them came to which verdict.
        services: What the adapters share: data, queues, metrics. It outlives their VMs.

    Raises:
        StoreError: The configured store of shared state cannot be opened.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        progress: Progress = _log.info,
        on_change: Callable[[Adapter], None] = lambda _adapter: None,
        scheduler: Scheduler | None = None,
        callouts: Callouts | None = None,
    ) -> None:
        scheduler = scheduler or scheduler_of_this_thread()
        self._stores = open_stores(configuration.mixer.state, scheduler)
        directory = configuration.mixer.compile_cache.directory
        self._wasm = WasmEngine(CompileCache(directory) if directory else None)
        self._linker = make_linker(self._wasm, host_functions())
        self._progress = progress
        self._modules: dict[str, ProxyWasmModule] = {}
        self.services = shared_services(self._stores, scheduler, callouts or NoCallouts())
        self.adapters = tuple(
            Adapter(
                plugin,
                self._linker,
                self._module(plugin),
                on_change=on_change,
                services=self.services,
            )
            for plugin in configuration.plugins
        )
        self.decisions = 0
        self.decision_timeout = configuration.mixer.limits.decision_timeout
        self.verdicts = VerdictCounts()
        for adapter in self.adapters:
            adapter.start()

    def _module(self, plugin: WasmPlugin) -> ProxyWasmModule | LoadFailure:
        try:
            code = read_module(plugin.module_path)
        except ModuleError as error:
            return LoadFailure(URL, str(error))
        digest = hashlib.sha256(code).hexdigest()
        if plugin.expected_sha256 not in (None, digest):
            return LoadFailure(DIGEST, f"the SHA-256 of {plugin.module_path} is {digest}")
        try:
            if digest not in self._modules:
                self._progress(f"loading {plugin.qualified_name} ({len(code):,} bytes)")
                self._modules[digest] = load_module(self._wasm, code)
            return self._modules[digest]
        except ModuleError as error:
            return LoadFailure(URL, f"{plugin.module_path}: {error}")

    @property
    def broken(self) -> tuple[Adapter, ...]:
        """The adapters that did not load or start."""
        return tuple(a for a in self.adapters if a.state is AdapterState.BROKEN)

    def decide(self, request: Request) -> Decision | PendingDecision:
        """Run a request through the adapters; never raises for what an adapter does.

        Returns:
            The decision; a pending one only where an adapter waits for a callout.
        """
        self.decisions += 1
        return decide(Chain(self.adapters, request), self.verdicts)

    def close(self) -> None:
        """Free every VM, and give back what they shared."""
        for adapter in self.adapters:
            adapter.close()
        self._stores.close()
        self._linker.close()
        self._wasm.close()

    def __enter__(self) -> "Engine":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
