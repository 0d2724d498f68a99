"""An adapter: a plugin, and what becomes of it when its VM fails."""

import copy
import logging
import time
from collections.abc import Callable
from dataclasses import replace

from mixer.cel import Program
from mixer.config import FailStrategy, Problem, WasmPlugin
from mixer.engine.adapter_state import AdapterState, AdapterStats
from mixer.engine.failure import CONFIGURATION, URL, AdapterFailure, LoadFailure
from mixer.engine.guest_log import GuestLog
from mixer.engine.said import NOTHING, Said
from mixer.engine.sees import Sees, what_it_sees
from mixer.engine.selection.arrangement import By
from mixer.engine.selection.matching import matcher
from mixer.engine.tenant import VmOwner
from mixer.engine.token_bucket import TokenBucket
from mixer.proxywasm import (
    AccessLogContext,
    Compat,
    HttpStream,
    LogLevel,
    PluginSettings,
    PluginStartError,
    ProxyWasmModule,
    Reads,
    RootContext,
    StreamContext,
    VmClosedError,
)
from mixer.vm import TrapError

_log = logging.getLogger(__name__)

_FAILURE_LOGS_PER_SECOND = 0.2
_FAILURE_LOG_BURST = 5


_NS = 1_000_000_000


def _default_of(plugin: WasmPlugin) -> Said:
    """What its configuration says of the answers of a plugin."""
    given = plugin.metadata.annotations
    if given.valid_duration is None and given.valid_use_count is None:
        return NOTHING
    duration = given.valid_duration
    nanoseconds = None if duration is None else round(duration * _NS)
    return Said(duration=nanoseconds, use_count=given.valid_use_count)


class Adapter:
    """One configured adapter; the `mixer.engine.tenant.Tenant` of a VM.

    Args:
        plugin: Its configuration.
        module: What it runs, or the reason why there is nothing to run.
        owner: Has its VM; None where there is nothing to run.
        expression: Its ``mixer.dev/match``.
        configuration: What the module gets in place of the plugin's, or None.
        by: The rule that says so, or None.
        on_change: Called when its state changes.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        plugin: WasmPlugin,
        module: ProxyWasmModule | LoadFailure,
        owner: VmOwner | None,
        *,
        expression: Program | None = None,
        configuration: bytes | None = None,
        by: By | None = None,
        on_change: Callable[["Adapter"], None] = lambda _adapter: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.plugin = plugin
        self.name = plugin.qualified_name
        self.by = by
        self.rule = "" if by is None else by.rule
        self.lazy = False
        self.module = module if isinstance(module, ProxyWasmModule) else None
        self.sees = what_it_sees(self.module, plugin) if self.module else Sees.NOTHING
        self.owner = owner
        self.error = ""
        self.state = AdapterState.FAILED
        self._failed_field = URL
        self.stats = AdapterStats()
        self.matches = matcher(plugin.spec, expression)
        self.says = _default_of(plugin)
        self.fails_open = plugin.fail_strategy is FailStrategy.FAIL_OPEN
        self._on_change = on_change
        self._clock = clock
        self._failure_logs = TokenBucket(_FAILURE_LOGS_PER_SECOND, _FAILURE_LOG_BURST, clock)
        self.settings = PluginSettings(
            name=plugin.plugin_name,
            root_id=plugin.root_id,
            configuration=plugin.configuration if configuration is None else configuration,
            allow_on_headers_stop_iteration=plugin.allow_on_headers_stop_iteration,
            log=GuestLog(self.name),
            log_level=LogLevel[plugin.log_level.name],
            compat=Compat(plugin.compat),
        )
        self._root: RootContext | None = None
        self._began = False
        if isinstance(module, LoadFailure):
            self._refused(module)

    def arranged(self, by: By, settings: PluginSettings, owner: VmOwner | None) -> "Adapter":
        """The same adapter as a rule configures it, not started: one more plugin of its module.

        All they have in common is counted and logged as one adapter.

        Args:
            by: The rule.
            settings: Made by `configured`, or those of another one that gets the same.
            owner: Has its VM.
        """
        other = copy.copy(self)
        other.by, other.rule, other.settings, other.owner = by, by.rule, settings, owner
        other.lazy = True
        other._on_change = lambda _adapter: None
        return other

    def configured(self, configuration: bytes) -> PluginSettings:
        """Its settings but for what the module gets."""
        return replace(self.settings, configuration=configuration)

    def start(self) -> None:
        """Start the plugin in its VM; afterwards `state` and `error` tell how it went.

        A module that is refused at its first start is broken: it would be refused again.
        """
        if self.owner is not None:
            self.owner.start(self)

    @property
    def broken(self) -> bool:
        """Whether its module or configuration was refused at the first start."""
        return self.state is AdapterState.BROKEN

    def attached(self, root: RootContext | None) -> None:
        """See `mixer.engine.tenant.Tenant`, as for the next ones."""
        self._note_start()
        self._root = root
        self._enter(AdapterState.READY, "")

    def detached(self) -> None:
        """See `mixer.engine.tenant.Tenant`."""
        self._root = None

    def resumed(self, root: RootContext) -> None:
        """See `mixer.engine.tenant.Tenant`."""
        self._root = root

    def start_failed(self, error: Exception) -> None:
        """See `mixer.engine.tenant.Tenant`."""
        refused = isinstance(error, PluginStartError)
        why = str(error) if refused else f"{self.plugin.module_path}: {error}"
        self._refused(LoadFailure(CONFIGURATION if refused else URL, why))
        self._note_start()

    def _note_start(self) -> None:
        """Count a start of the VM; one more plugin in it is none."""
        self._began = True
        self.stats.starts += not self.lazy

    def _refused(self, failure: LoadFailure) -> None:
        first = not self._began
        self.stats.failed_starts += self.module is not None
        self._root = None
        self._failed_field = failure.field
        self._enter(AdapterState.BROKEN if first else AdapterState.FAILED, failure.reason)
        if not first:  # the first is told by whoever loads the configuration
            _log.error("adapter %s does not start again: %s", self.name, failure.reason)

    def lost(self, error: TrapError) -> None:
        """See `mixer.engine.tenant.Tenant`."""
        self._root = None
        self._enter(AdapterState.FAILED, str(error).splitlines()[0])

    def trapped_alone(self, error: TrapError) -> None:
        """See `mixer.engine.tenant.Tenant`."""
        self.crashed(error)

    @property
    def problem(self) -> Problem:
        """The `error`, with the place in the configuration that it is about."""
        told, path = f"adapter {self.name}: {self.error}", self._failed_field
        if path is not CONFIGURATION:
            return self.plugin.problem(path, told)
        if self.by is not None:
            return self.by.problem(told)
        return self.plugin.problem(("spec", self.plugin.configuration_field), told)

    def _enter(self, state: AdapterState, error: str) -> None:
        changed, self.state, self.error = self.state is not state, state, error
        if changed:
            self._on_change(self)

    def open(self, stream: HttpStream, reads: Reads | None = None) -> StreamContext:
        """Begin a stream in this adapter, starting its VM anew if that is due.

        Args:
            stream: The request.
            reads: Told of what the module reads, or None.

        Raises:
            AdapterFailure: There is no VM now.
            TrapError: The module trapped; tell `crashed`.
        """
        return StreamContext(self._root or self.living_root(), stream, reads)

    def open_log(self, stream: HttpStream) -> StreamContext | AccessLogContext:
        """Begin to tell it of a stream that is over; raises as `open` does."""
        opened = AccessLogContext if self.plugin.is_access_logger else StreamContext
        return opened(self.living_root(), stream)

    def living_root(self) -> RootContext:
        """The plugin, in a VM that is started anew if that is due.

        Raises:
            AdapterFailure: There is no VM now.
        """
        root = self._root
        if root is None:
            root = self.owner.acquire(self) if self.owner is not None else None
            if root is None:
                raise self.failure(f"adapter_{self.state}")
        return root

    def crashed(self, error: TrapError) -> AdapterFailure:
        """Give up the VM after a trap, and return the failure to answer with."""
        assert self.owner is not None
        if isinstance(error, VmClosedError):
            self.note_failure(str(error))
            return self.failure("lost_its_vm")
        self.stats.traps[error.kind] += 1
        self.owner.crashed(error)
        self.note_failure(f"trap: {error.kind}; {self._next_start()}\n{error}")
        return self.failure(f"trap_{error.kind}")

    def failure(self, reason: str) -> AdapterFailure:
        """That its module broke, or was not there."""
        return AdapterFailure(self.name, reason, may_fail_open=True, rule=self.rule)

    def _next_start(self) -> str:
        assert self.owner is not None
        down = self.state is AdapterState.FAILED
        wait = self.owner.restart.wait(self._clock()) if down else 0.0
        return f"its VM stays down for {wait:.3f} s" if wait else "the next request gets a new VM"

    def note_failure(self, what: str) -> None:
        """Count a failure, and log it where there were not too many."""
        self.stats.failures += 1
        if self._failure_logs.take():
            left_out = self._failure_logs.take_refused()
            more = f" ({left_out} failures before were not logged)" if left_out else ""
            _log.error("adapter %s: %s%s", self.name, what, more)

    @property
    def memory_bytes(self) -> int:
        """Linear memory in use; that of a VM which it shares counts for each plugin there."""
        return self.owner.memory_bytes if self.owner is not None else 0

    @property
    def lost_notifications(self) -> int:
        """Messages of queues that its VMs were not told of, since too many waited."""
        return self.owner.lost_notifications if self.owner is not None else 0

    def close(self) -> None:
        """End the plugin, and free its VM."""
        if self.owner is not None:
            self.owner.close()
