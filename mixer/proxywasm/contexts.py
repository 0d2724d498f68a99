"""Contexts: on whose behalf a host call is made.

`Context` answers every host call as Envoy does outside of a stream. A plugin's root context and an
HTTP stream context say where they differ. The codec of the ABI is in `mixer.proxywasm.hostcalls`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from mixer.proxywasm import departures
from mixer.proxywasm.abi import BufferType, LogLevel, MapType, Status, StreamType
from mixer.proxywasm.departures import Compat, Departure
from mixer.proxywasm.durations import CallbackDurations
from mixer.proxywasm.expressions import Expressions, PluginActivation
from mixer.proxywasm.property_codec import encode_known, split
from mixer.vm import HostCallError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mixer.attributes import HeaderMap, Value
    from mixer.cel import Activation
    from mixer.proxywasm.callout_view import CalloutView
    from mixer.proxywasm.filter_state import Prototype
    from mixer.proxywasm.http_stream import LocalResponse
    from mixer.proxywasm.property_plan import Found, PropertyPlan
    from mixer.proxywasm.reads import Reads
    from mixer.proxywasm.services import LogSink
    from mixer.proxywasm.wasm_vm import WasmVm
    from mixer.vm import GuestFunction


@dataclass(frozen=True, slots=True)
class PluginSettings:
    """What makes a plugin of a module; see `RootContext` for the fields.

    Plugins that share a VM have a log each; one without is logged as the VM itself.
    """

    name: str
    root_id: str = ""
    configuration: bytes = field(default=b"", repr=False)
    allow_on_headers_stop_iteration: bool = False
    log: LogSink | None = None
    log_level: LogLevel | None = None
    compat: Compat = Compat.ENVOY
    durations: CallbackDurations = field(
        default_factory=CallbackDurations, repr=False, compare=False
    )


class Context:
    """The answers of a context that is no stream.

    Attributes:
        id: The context id within its VM.
        vm: The VM that it lives in.
        root: The plugin, once there is one; a root context is its own.
        reads: Where reads are recorded, or None.
    """

    __slots__ = ("_prototypes", "id", "reads", "vm")

    root: RootContext

    def __init__(self, vm: WasmVm, context_id: int) -> None:
        self.vm = vm
        self.id = context_id
        self.reads: Reads | None = None
        self._prototypes: dict[bytes, Prototype] | None = None

    @property
    def prototypes(self) -> dict[bytes, Prototype]:
        """What was declared in this context of properties, by path."""
        if self._prototypes is None:
            self._prototypes = {}
        return self._prototypes

    @property
    def log_level(self) -> LogLevel:
        """The lowest level that is logged."""
        return self.vm.services.log_level

    def log(self, level: LogLevel, message: str) -> None:
        """``proxy_log``."""
        self.vm.log(level, message)

    def require_started(self) -> None:
        """Raise HostCallError within the module's start code, and within its allocator."""

    def require_no_allocation(self) -> None:
        """Raise HostCallError within the module's allocator."""

    def charge(self, size: int) -> bool:
        """Count bytes that the module hands over to be kept; whether it may."""
        del size
        return True

    def note_recorded(self) -> None:
        """Note that the ledger took something on; nothing outside of a stream waits for that."""

    def note_unrecorded(self) -> None:
        """Note that the ledger had no room; nobody asks for that outside of a stream."""

    def clear_route_cache(self) -> None:
        """``clear_route_cache``; there is no route outside of a stream."""

    def header_map(self, map_type: MapType) -> HeaderMap | None:
        """The map, where the current phase can read it: outside of a stream, that of a callout."""
        callout = self.root.callout
        return None if callout is None else callout.maps.get(map_type)

    def writable_header_map(self, map_type: MapType) -> HeaderMap | None:
        """The map, where the current phase can change it."""
        del map_type
        return None

    def departs(self, departure: Departure) -> Status:
        """The status where Envoy and SDKs do not agree."""
        return departure.lenient if self.root.compat is Compat.LENIENT else departure.envoy

    def absent_map(self) -> Status:
        """How a look-up in a map that is not there ends."""
        return self.departs(departures.READ_ABSENT_MAP)

    def buffer(self, buffer_type: BufferType) -> bytes | None:
        """The content of a buffer; empty outside its phase, None where Envoy says NOT_FOUND."""
        if buffer_type is BufferType.VM_CONFIGURATION:
            return self.vm.configuration
        callout = self.root.callout
        if callout is not None and buffer_type in callout.buffers:
            return callout.buffers[buffer_type]
        if buffer_type in (BufferType.HTTP_CALL_RESPONSE_BODY, BufferType.PLUGIN_CONFIGURATION):
            return None
        return b""

    def set_buffer(self, buffer_type: BufferType, content: bytes, handed_over: int) -> Status:
        """Replace the content of a buffer.

        Args:
            buffer_type: Which one.
            content: All of it.
            handed_over: How many bytes of that are new: what `charge` was told.
        """
        del buffer_type, content, handed_over
        return Status.BAD_ARGUMENT

    def is_writable(self, buffer_type: BufferType) -> bool:
        """Whether the current phase can change a buffer."""
        del buffer_type
        return False

    def get_property(self, path: bytes) -> bytes | None:
        """The serialized property, or None. Raises NotALeaf."""
        parts = split(path)
        return encode_known(self.plugin_property(parts[0])) if len(parts) == 1 else None

    def get_properties(self, plan: PropertyPlan) -> list[Found]:
        """Many at once; a context without a stream has no attributes."""
        return plan.read(lambda _name: None, self.get_property)

    def plugin_property(self, name: str) -> Value | None:
        """What a module can know of itself."""
        del name
        return None

    def set_property(self, path: bytes, value: bytes) -> Status:
        """``proxy_set_property``."""
        del path, value
        return self.departs(departures.SET_PROPERTY_OUTSIDE_STREAM)

    def vm_closed(self) -> None:
        """Be told that no callback will be made any more."""

    def set_filter_state_object(self, name: str, value: str, span: int) -> Status:
        """Foreign function ``set_envoy_filter_state``, the value as it reads."""
        del name, value, span
        return Status.NOT_FOUND

    def activation(self) -> Activation:
        """What an expression can name."""
        return PluginActivation(self.root)

    def send_local_response(self, response: LocalResponse) -> None:
        """``proxy_send_local_response``; nothing happens outside of a stream."""

    def resume(self, stream_type: StreamType) -> Status:
        """``proxy_continue_stream``."""
        upstream = stream_type is StreamType.UPSTREAM
        return self.departs(departures.CONTINUE_UPSTREAM) if upstream else Status.OK

    def close_stream(self, stream_type: StreamType) -> Status:
        """``proxy_close_stream``."""
        del stream_type
        return Status.OK


class StartContext(Context):
    """While the module's own start code runs, before any context: only logging and WASI."""

    where = "before proxy_on_context_create"

    def _refuse(self, *_: object) -> NoReturn:
        raise HostCallError(f"host call {self.where}: only proxy_log is allowed")

    require_started = _refuse
    header_map = writable_header_map = buffer = _refuse  # type: ignore[assignment]
    set_buffer = is_writable = _refuse  # type: ignore[assignment]
    get_property = get_properties = set_property = _refuse  # type: ignore[assignment]
    send_local_response = resume = close_stream = _refuse  # type: ignore[assignment]


class AllocationContext(StartContext):
    """While the module's allocator runs within a host call: only logging, WASI's clock and poll."""

    where = "within the module's allocator"
    require_no_allocation = StartContext._refuse


class RootContext(Context):
    """A plugin: its name, its configuration, and the parent of its streams.

    Attributes:
        name: The plugin's name (``plugin_name``).
        root_id: ``plugin_root_id``.
        configuration: What `proxy_on_configure` can read.
        allow_on_headers_stop_iteration: Whether a headers callback that stops the iteration still
            lets body callbacks come, as Envoy's option of that name.
        callout: The one that the plugin is being told of.
        settings: All of what makes it this plugin.
        compat: What it is answered where Envoy and SDKs do not agree.
        durations: How long its callbacks took, those of its streams too.
    """

    __slots__ = (
        "_configuring",
        "allow_on_headers_stop_iteration",
        "callout",
        "compat",
        "configuration",
        "durations",
        "expressions",
        "name",
        "root",
        "root_id",
        "settings",
    )

    def __init__(self, vm: WasmVm, plugin: PluginSettings) -> None:
        super().__init__(vm, vm.next_context_id())
        self.root = self
        self.name = plugin.name
        self.root_id = plugin.root_id
        self.configuration = plugin.configuration
        self.allow_on_headers_stop_iteration = plugin.allow_on_headers_stop_iteration
        self.callout: CalloutView | None = None
        self.expressions = Expressions()
        self.compat = plugin.compat
        self.durations = plugin.durations
        self._configuring = False
        self.settings = plugin
        vm.contexts[self.id] = self

    @property
    def log_level(self) -> LogLevel:
        """See `Context.log_level`."""
        own = self.settings.log_level
        return super().log_level if own is None else own

    def log(self, level: LogLevel, message: str) -> None:
        """See `Context.log`."""
        self.vm.log(level, message, self.settings.log)

    def start(self) -> None:
        """Create the root context in the guest, start it and configure it.

        Raises:
            PluginStartError: The module refused.
            TrapError: It trapped.
        """
        call, callbacks = self.vm.call, self.vm.callbacks
        self._with_configuration(callbacks.on_context_create, 0)
        if not call(self, callbacks.on_vm_start, self.id, len(self.vm.configuration)):
            raise PluginStartError("proxy_on_vm_start returned false", self.vm)
        if not self._with_configuration(callbacks.on_configure, len(self.configuration)):
            raise PluginStartError("the module refused its configuration", self.vm)

    def _with_configuration(self, callback: GuestFunction, argument: int) -> int:
        """Make a callback that can read the configuration: no other can."""
        self._configuring = True
        try:
            return self.vm.call(self, callback, self.id, argument)
        finally:
            self._configuring = False

    def buffer(self, buffer_type: BufferType) -> bytes | None:
        """See `Context.buffer`."""
        if buffer_type is BufferType.PLUGIN_CONFIGURATION and self._configuring:
            return self.configuration
        return super().buffer(buffer_type)

    def plugin_property(self, name: str) -> Value | None:
        """See `Context.plugin_property`."""
        find = _OF_PLUGIN.get(name)
        return None if find is None else find(self)


_OF_PLUGIN: dict[str, Callable[[RootContext], Value]] = {
    "plugin_name": lambda root: root.name,
    "plugin_root_id": lambda root: root.root_id,
    "plugin_vm_id": lambda root: root.vm.vm_id,
    "plugin_vm_memory": lambda root: root.vm.instance.memory.size(),
}


class PluginStartError(Exception):
    """A module refused to start; the message carries what it logged about it."""

    def __init__(self, reason: str, vm: WasmVm) -> None:
        said = "; ".join(vm.start_log)
        super().__init__(f"{reason}: {said}" if said else f"{reason}, and logged no reason")
