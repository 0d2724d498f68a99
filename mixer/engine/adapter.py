"""An adapter: a plugin in its VM, and what becomes of it when it fails."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from mixer.config import FailStrategy, Problem, WasmPlugin
from mixer.engine.failure import CONFIGURATION, URL, AdapterFailure, LoadFailure
from mixer.engine.guest_log import GuestLog
from mixer.engine.match import matcher
from mixer.engine.restart import RestartPolicy
from mixer.engine.token_bucket import TokenBucket
from mixer.proxywasm import (
    HttpStream,
    LogLevel,
    PluginSettings,
    PluginStartError,
    ProxyWasmModule,
    RootContext,
    Services,
    StreamContext,
    WasmVm,
)
from mixer.vm import Linker, ModuleError, TrapError, VmLimits

_log = logging.getLogger(__name__)

_FAILURE_LOGS_PER_SECOND = 0.2
_FAILURE_LOG_BURST = 5


class AdapterState(StrEnum):
    """The life of an adapter.

    ``BROKEN`` is final for a configuration: the module or its configuration was refused. ``FAILED``
    is left by the next start.
    """

    READY = "ready"
    FAILED = "failed"
    BROKEN = "broken"


@dataclass(slots=True)
class AdapterStats:
    """Counts since the start of the service.

    Attributes:
        requests: Streams that were opened in it.
        denied: Requests that it answered.
        failures: Traps, and other ways to let a request down.
        starts: Of its VM, failed ones included.
        failed_starts: Those that failed.
        lost_notifications: Messages of queues that VMs which are gone were not told of.
    """

    requests: int = 0
    denied: int = 0
    failures: int = 0
    starts: int = 0
    failed_starts: int = 0
    lost_notifications: int = 0

    def __str__(self) -> str:
        return (
            f"{self.requests} requests, {self.denied} denied, {self.failures} failures, "
            f"VM started {self.starts} times"
        )


class Adapter:
    """One configured adapter.

    Args:
        plugin: Its configuration.
        linker: Has the host's functions.
        module: What it runs, or the reason why there is nothing to run.
        on_change: Called when its state changes.
        services: What it shares with the other adapters; the log and the failures are its own.
        clock: Seconds, monotonic.
        restart: When it may start again.
    """

    def __init__(
        self,
        plugin: WasmPlugin,
        linker: Linker,
        module: ProxyWasmModule | LoadFailure,
        *,
        on_change: Callable[["Adapter"], None] = lambda _adapter: None,
        services: Services | None = None,
        clock: Callable[[], float] = time.monotonic,
        restart: RestartPolicy | None = None,
    ) -> None:
        self.plugin = plugin
        self.name = plugin.qualified_name
        self.module = module if isinstance(module, ProxyWasmModule) else None
        self.error = ""
        self.state = AdapterState.FAILED
        self._failed_field = URL
        self.stats = AdapterStats()
        self.matches = matcher(plugin.spec.match)
        self.fails_open = plugin.fail_strategy is FailStrategy.FAIL_OPEN
        self._linker = linker
        self._on_change = on_change
        self._clock = clock
        self._restart = restart or RestartPolicy()
        self._failure_logs = TokenBucket(_FAILURE_LOGS_PER_SECOND, _FAILURE_LOG_BURST, clock)
        self._services = replace(
            services or Services(),
            log=GuestLog(self.name),
            log_level=LogLevel[plugin.log_level.name],
            failed=self._failed_alone,
        )
        self._settings = PluginSettings(
            name=plugin.plugin_name,
            root_id=plugin.root_id,
            configuration=plugin.configuration,
            allow_on_headers_stop_iteration=plugin.allow_on_headers_stop_iteration,
        )
        self._limits = VmLimits(memory_bytes=plugin.limits.memory_bytes, cpu=plugin.limits.cpu)
        self._vm: WasmVm | None = None
        self._root: RootContext | None = None
        if isinstance(module, LoadFailure):
            self._start_failed(module)

    def start(self) -> None:
        """Start the VM and configure the plugin; afterwards `state` and `error` tell how it went.

        A module that is refused at its first start is broken: it would be refused again.
        """
        if self.module is None:
            return
        began = self._clock()
        try:
            vm, root = self._start_vm(self.module)
        except (ModuleError, TrapError) as error:
            self._start_failed(LoadFailure(URL, f"{self.plugin.module_path}: {error}"))
        except PluginStartError as error:
            self._start_failed(LoadFailure(CONFIGURATION, str(error)))
        else:
            self._vm, self._root = vm, root
            self._restart.started(self._clock(), self._clock() - began)
            self._enter(AdapterState.READY, "")
        finally:
            self.stats.starts += 1

    def _start_vm(self, module: ProxyWasmModule) -> tuple[WasmVm, RootContext]:
        vm = WasmVm(
            module,
            self._linker,
            self._limits,
            start_cpu=self.plugin.limits.start_cpu,
            services=self._services,
            vm_id=self.plugin.vm_id,
            environment=self.plugin.env,
        )
        try:
            root = vm.start_plugin(self._settings)
        except BaseException:
            vm.close()
            raise
        vm.started()
        return vm, root

    def _start_failed(self, failure: LoadFailure) -> None:
        first = self.stats.starts == 0
        self.stats.failed_starts += self.module is not None
        self._restart.start_failed(self._clock())
        self._failed_field = failure.field
        self._enter(AdapterState.BROKEN if first else AdapterState.FAILED, failure.reason)
        if not first:  # the first is told by whoever loads the configuration
            _log.error("adapter %s does not start again: %s", self.name, failure.reason)

    @property
    def problem(self) -> Problem:
        """The `error`, with the place in the configuration that it is about."""
        return self.plugin.problem(self._failed_field, f"adapter {self.name}: {self.error}")

    def _enter(self, state: AdapterState, error: str) -> None:
        changed, self.state, self.error = self.state is not state, state, error
        if changed:
            self._on_change(self)

    def open(self, stream: HttpStream) -> StreamContext:
        """Begin a stream in this adapter, starting its VM anew if that is due.

        Raises:
            AdapterFailure: There is no VM now.
            TrapError: The module trapped; tell `crashed`.
        """
        if self._root is None:
            if self.state is AdapterState.FAILED and self._restart.may_start(self._clock()):
                self.start()
            if self._root is None:
                raise AdapterFailure(self.name, f"adapter_{self.state}", may_fail_open=True)
        return StreamContext(self._root, stream)

    def crashed(self, error: TrapError) -> AdapterFailure:
        """Give up the VM after a trap, and return the failure to answer with."""
        self._close_vm()
        self._enter(AdapterState.FAILED, str(error).splitlines()[0])
        self.note_failure(f"trap: {error.kind}; {self._next_start()}\n{error}")
        return AdapterFailure(self.name, f"trap_{error.kind}", may_fail_open=True)

    def _next_start(self) -> str:
        wait = self._restart.wait(self._clock())
        return f"its VM stays down for {wait:.3f} s" if wait else "the next request gets a new VM"

    def _failed_alone(self, error: TrapError) -> None:
        """A tick or the message of a queue trapped: no request waits for an answer."""
        self.crashed(error)

    def note_failure(self, what: str) -> None:
        """Count a failure, and log it where there were not too many."""
        self.stats.failures += 1
        if self._failure_logs.take():
            left_out = self._failure_logs.take_refused()
            more = f" ({left_out} failures before were not logged)" if left_out else ""
            _log.error("adapter %s: %s%s", self.name, what, more)

    @property
    def memory_bytes(self) -> int:
        """Linear memory in use."""
        return self._vm.instance.memory.size() if self._vm else 0

    @property
    def lost_notifications(self) -> int:
        """Messages of queues that its VMs were not told of, since too many waited."""
        return self.stats.lost_notifications + (self._vm.events.dropped if self._vm else 0)

    def _close_vm(self) -> None:
        if self._vm is not None:
            self.stats.lost_notifications += self._vm.events.dropped
            self._vm.close()
        self._vm = self._root = None

    def close(self) -> None:
        """Free the VM."""
        self._close_vm()
