"""One VM: an instance of a module, its contexts, and how control enters and leaves it."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from mixer.proxywasm.abi import LogLevel, Status
from mixer.proxywasm.allocator import Allocator
from mixer.proxywasm.callbacks import CLOSED, bind
from mixer.proxywasm.capabilities import Capabilities
from mixer.proxywasm.contexts import Context, PluginSettings, RootContext, StartContext
from mixer.proxywasm.events import Events
from mixer.proxywasm.loading import ProxyWasmModule
from mixer.proxywasm.metrics import VmMetrics
from mixer.proxywasm.services import LogSink, Services
from mixer.proxywasm.shutdown import Shutdown
from mixer.proxywasm.starting import Unborn, run_start_code
from mixer.proxywasm.vm_callouts import VmCallouts
from mixer.proxywasm.vm_takes import VmTakes
from mixer.vm import (
    GuestFunction,
    Instance,
    Linker,
    TrapError,
    TrapKind,
    VmLimits,
)

_NO_ENVIRONMENT: Mapping[str, str] = MappingProxyType({})
_START_LOG_LINES = 5
_MAX_LIVE_CONTEXTS = 100_000


class WasmVm:
    """A VM in which one or several plugins live; entered by one thread.

    A TrapError out of any call means that the VM must not be entered again.

    Args:
        module: What it runs.
        linker: Has this host's functions.
        limits: Bounds; its CPU limit is per callback.
        start_cpu: Seconds of CPU for the module's own start and for each callback until
            `started` is called.
        services: Clocks, randomness and the log.
        vm_id: ``vm_id`` of the configuration.
        configuration: What ``proxy_on_vm_start`` can read.
        environment: The variables that the module sees.
        allowed: The only callbacks that are made, or None for all; the linker restricts the calls.

    Attributes:
        roots: The plugins, in the order of their start.
        trap: What ended this VM, and `trapped` the context in which it did; or None.
        retired: Whether it is given up once nothing lives in it any more.
        notification_lost: Called where a message of a queue is not told.
        rebuild_wanted: Called where a module asks for a new VM for later streams.

    Raises:
        ModuleError: It cannot be instantiated within the limits.
        TrapError: Its start code trapped.
    """

    def __init__(
        self,
        module: ProxyWasmModule,
        linker: Linker,
        limits: VmLimits,
        *,
        start_cpu: float,
        services: Services,
        vm_id: str = "",
        configuration: bytes = b"",
        environment: Mapping[str, str] = _NO_ENVIRONMENT,
        allowed: Capabilities | None = None,
    ) -> None:
        self.abi = module.abi
        self.services = services
        self.vm_id: str = vm_id
        self.configuration = configuration
        self.environment = [f"{k}={v}".encode() + b"\0" for k, v in environment.items()]
        self.contexts: dict[int, Context] = {}
        self.refused_calls: set[str] = set()
        self.events = Events(self)
        self.callouts = VmCallouts(self)
        self.takes = VmTakes(self)
        self.metrics = VmMetrics(services.metrics, module.module.digest)
        self.start_log: list[str] = []
        self.roots: list[RootContext] = []
        self.trap: TrapError | None = None
        self.trapped: Context | None = None
        self.shutdown: Shutdown | None = None
        self.retired = self.closed = False
        self.rebuild_wanted: Callable[[], None] | None = None
        self.notification_lost: Callable[[], None] | None = None
        self._on_idle: Callable[[], None] | None = None
        self._patience = 0.0
        self._cancel_patience: Callable[[], None] | None = None
        self._starting = True
        self._start_cpu = start_cpu
        self._last_id = 0
        self._cpu = limits.cpu
        self.allocator = Allocator(self)
        self.current: Context = StartContext(self, 0)
        self.instance: Instance = Unborn()
        first = VmLimits(limits.memory_bytes, start_cpu, limits.table_elements)
        self.instance = linker.instantiate(module.module, self.current, first)
        try:
            run_start_code(self.instance)
            self.callbacks = bind(self.instance, module.abi, allowed)
        except BaseException as error:
            self._explain(error)
            self.close()
            raise

    def start_plugin(self, settings: PluginSettings) -> RootContext:
        """Start a plugin in this VM.

        Raises:
            PluginStartError: The module refused.
            TrapError: It trapped.
        """
        if not self._starting:
            self._starting = True
            self.instance.set_cpu_limit(self._start_cpu)
        if self.roots:
            self.start_log.clear()
        root = RootContext(self, settings)
        try:
            root.start()
        except BaseException as error:
            self._explain(error)
            self.contexts.pop(root.id, None)
            self.events.set_tick_period(root, 0)
            raise
        self.roots.append(root)
        return root

    def _explain(self, error: BaseException) -> None:
        """Append what the module logged to the trap that ended its start."""
        if isinstance(error, TrapError) and self.start_log:
            error.args = (f"{error}\nit logged: {'; '.join(self.start_log)}",)

    def started(self) -> None:
        """Go over from the start's CPU limit to that of each callback."""
        self._starting = False
        self.start_log.clear()
        self.instance.set_cpu_limit(self._cpu)

    def next_context_id(self) -> int:
        """A context id that no living context has.

        Raises:
            TrapError: Too many contexts live in this VM.
        """
        if len(self.contexts) >= _MAX_LIVE_CONTEXTS:
            self.trap = TrapError(TrapKind.OTHER, f"{_MAX_LIVE_CONTEXTS} contexts live in this VM")
            raise self.trap
        self._last_id = self._last_id % 0x7FFF_FFFF + 1
        while self._last_id in self.contexts:
            self._last_id = self._last_id % 0x7FFF_FFFF + 1
        return self._last_id

    def may_resume(self, stream: Context) -> bool:
        """Whether anything will enter this VM that could resume a stream which waits in it."""
        if self.callouts or self.takes or self.events.expected:
            return True
        return any(c is not stream and c is not c.root for c in self.contexts.values())

    def call(self, context: Context, callback: GuestFunction, *args: int) -> int:
        """Enter the guest on behalf of a context. Raises TrapError."""
        instance, outer = self.instance, self.current
        self.current = instance.data = context
        try:
            return callback(*args)
        except TrapError as trap:
            self.trap, self.trapped = trap, context
            raise
        finally:
            self.current = instance.data = outer

    def give(self, data: bytes, pointer: int, size: int) -> Status:
        """Hand bytes to the guest in memory that it allocates; nothing is allocated for none."""
        memory = self.instance.memory
        target = self.allocator.place(data) if data else 0
        if target is None:
            return Status.INVALID_MEMORY_ACCESS
        memory.write_u32(pointer, target)
        memory.write_u32(size, len(data))
        return Status.OK

    def log(self, level: LogLevel, message: str, sink: LogSink | None = None) -> None:
        """Pass a message on; during the start, keep the last ones that tell of trouble."""
        if self._starting and level >= LogLevel.WARN:
            self.start_log[:] = [*self.start_log[1 - _START_LOG_LINES :], message]
        (sink or self.services.log)(level, message)

    def want_rebuild(self) -> None:
        """A module asks for a new VM for the streams to come."""
        if self.rebuild_wanted is not None:
            self.rebuild_wanted()

    def retire(self, on_idle: Callable[[], None], patience: float) -> None:
        """Have `release` call back once no stream is left, and no callout.

        Args:
            on_idle: Called once.
            patience: Seconds, after the last stream, that callouts have: they may never end.
        """
        self.retired, self._on_idle, self._patience = True, on_idle, patience

    def release(self) -> None:
        """Something that lived here has ended: tell it if it was the last."""
        if self._on_idle is None or len(self.contexts) > len(self.roots):
            return
        if not self.callouts.awaited and not self.takes:
            self._tell_idle()
        elif self._cancel_patience is None and not self.closed:
            self._cancel_patience = self.services.scheduler.schedule(
                self._patience, self._tell_idle
            )

    def _tell_idle(self) -> None:
        on_idle, self._on_idle = self._on_idle, None
        if on_idle is not None and not self.closed and self.trap is None:
            on_idle()

    def shut_down(self, finished: Callable[[], None]) -> None:
        """End the plugins in good order; the VM stays open until it is closed.

        Args:
            finished: Called once all of them have ended, which may be before this returns.

        Raises:
            TrapError: One of them trapped.
        """
        self.shutdown = Shutdown(self, finished)
        self.shutdown.begin()

    def close(self) -> None:
        """Free the VM without a further callback; streams that wait in it are told."""
        self.closed = True
        if self._cancel_patience is not None:
            self._cancel_patience()
        self.events.close()
        self.callouts.close()
        self.takes.close()
        self.callbacks = CLOSED
        self.instance.close()
        for context in self.contexts.values():
            context.vm_closed()
        self.contexts.clear()
        self.roots.clear()

    def __enter__(self) -> "WasmVm":
        return self

    def __exit__(self, *_exc: Any) -> None:
        self.close()
