"""What a module exports, checked and ready to be called."""

from dataclasses import dataclass
from typing import NoReturn

from mixer.proxywasm.abi import AbiVersion
from mixer.proxywasm.durations import timed
from mixer.vm import (
    GuestFunction,
    Instance,
    Module,
    ModuleError,
    Signature,
    TrapError,
    TrapKind,
    ValueType,
)

_I32 = ValueType.I32
_NONE, _ACTION = 0, 1

# Name, parameters, results, and what an absent export answers.
_CALLBACKS = {
    "on_context_create": (2, _NONE, 0),
    "on_vm_start": (2, _ACTION, 1),
    "on_configure": (2, _ACTION, 1),
    "on_request_headers": (3, _ACTION, 0),
    "on_request_body": (3, _ACTION, 0),
    "on_request_trailers": (2, _ACTION, 0),
    "on_response_headers": (3, _ACTION, 0),
    "on_response_body": (3, _ACTION, 0),
    "on_response_trailers": (2, _ACTION, 0),
    "on_request_metadata": (2, _ACTION, 0),
    "on_response_metadata": (2, _ACTION, 0),
    "on_log": (1, _NONE, 0),
    "on_done": (1, _ACTION, 1),
    "on_delete": (1, _NONE, 0),
    "on_tick": (1, _NONE, 0),
    "on_queue_ready": (2, _NONE, 0),
    "on_http_call_response": (5, _NONE, 0),
    "on_grpc_receive_initial_metadata": (3, _NONE, 0),
    "on_grpc_receive": (3, _NONE, 0),
    "on_grpc_receive_trailing_metadata": (3, _NONE, 0),
    "on_grpc_close": (3, _NONE, 0),
    "on_redis_call_response": (4, _NONE, 0),
    "on_resolve_dns": (3, _NONE, 0),
    "on_foreign_function": (3, _NONE, 0),
    "on_new_connection": (1, _ACTION, 0),
    "on_downstream_data": (3, _ACTION, 0),
    "on_upstream_data": (3, _ACTION, 0),
    "on_downstream_connection_close": (2, _NONE, 0),
    "on_upstream_connection_close": (2, _NONE, 0),
}
_NEVER = {
    "validate_configuration": (2, _ACTION),
}
_START = {
    "_initialize": Signature((), ()),
    "_start": Signature((), ()),
    "main": Signature((_I32, _I32), (_I32,)),
    "__main_void": Signature((), (_I32,)),
}
_STATS = {"envoy_on_stats_update": Signature((_I32,) * 2, ())}
_OF_ENVOY = frozenset({"on_resolve_dns"})
_WITH_END_OF_STREAM = ("on_request_headers", "on_response_headers")
_OF_RESPONSES = ("on_response_headers", "on_response_body", "on_response_trailers")
NEVER_CALLED = frozenset(f"proxy_{name}" for name in _NEVER) | frozenset(_STATS)
"""Callbacks that are checked and never made: they are for stats sinks, or nothing makes them."""

ALLOCATORS = ("malloc", "proxy_on_memory_allocate")


@dataclass(frozen=True, slots=True)
class Callbacks:
    """The callbacks of one instance; those that the module lacks answer what Envoy assumes.

    Attributes:
        sees_responses: Whether the module has any callback for responses.
    """

    on_context_create: GuestFunction
    on_vm_start: GuestFunction
    on_configure: GuestFunction
    on_request_headers: GuestFunction
    on_request_body: GuestFunction
    on_request_trailers: GuestFunction
    on_response_headers: GuestFunction
    on_response_body: GuestFunction
    on_response_trailers: GuestFunction
    on_request_metadata: GuestFunction
    on_response_metadata: GuestFunction
    on_log: GuestFunction
    on_done: GuestFunction
    on_delete: GuestFunction
    on_tick: GuestFunction
    on_queue_ready: GuestFunction
    on_http_call_response: GuestFunction
    on_grpc_receive_initial_metadata: GuestFunction
    on_grpc_receive: GuestFunction
    on_grpc_receive_trailing_metadata: GuestFunction
    on_grpc_close: GuestFunction
    on_redis_call_response: GuestFunction
    on_resolve_dns: GuestFunction
    on_foreign_function: GuestFunction
    on_new_connection: GuestFunction
    on_downstream_data: GuestFunction
    on_upstream_data: GuestFunction
    on_downstream_connection_close: GuestFunction
    on_upstream_connection_close: GuestFunction
    allocate: GuestFunction
    sees_responses: bool

    def makes(self, name: str) -> bool:
        """Whether a callback is made: the module has it, and it is allowed."""
        return getattr(self, name) is not _closed


def detect_abi(module: Module) -> AbiVersion:
    """Tell the ABI version by the marker that the module exports.

    Raises:
        ModuleError: It exports none, or one that is not known.
    """
    markers = [e.name for e in module.exports if e.name.startswith("proxy_abi_version_")]
    for version in AbiVersion:
        if version.traits.marker in markers:
            return version
    known = ", ".join(map(str, AbiVersion))
    if markers:
        raise ModuleError(f"exports {', '.join(markers)}; this host knows the ABI versions {known}")
    raise ModuleError(
        "exports no proxy_abi_version_*: it is WebAssembly, but not a Proxy-Wasm module"
    )


def check_exports(module: Module, abi: AbiVersion) -> None:
    """Refuse a module whose callbacks could not be called.

    Raises:
        ModuleError: A callback has another signature, or there is no allocator.
    """
    exports = {e.name: e.signature for e in module.exports}
    for name, (params, results, *_) in (_CALLBACKS | _NEVER).items():
        if name == "on_foreign_function" and abi is AbiVersion.V0_1_0:
            continue  # there it is an export like any other
        count = params - (name in _WITH_END_OF_STREAM and not _has_end_of_stream(abi))
        _check(exports, export_of(name), Signature((_I32,) * count, (_I32,) * results))
    for name, signature in (_START | _STATS).items():
        _check(exports, name, signature)
    allocator = next((name for name in ALLOCATORS if name in exports), None)
    if allocator is None:
        raise ModuleError(f"exports no allocator: {' or '.join(ALLOCATORS)}")
    _check(exports, allocator, Signature((_I32,), (_I32,)))


def export_of(callback: str) -> str:
    """What a module exports a callback as, by its name here."""
    return f"envoy_{callback}" if callback in _OF_ENVOY else f"proxy_{callback}"


_EXPORTS = {name: export_of(name) for name in _CALLBACKS}
CALLBACKS = frozenset(_EXPORTS.values()) | NEVER_CALLED
"""Every callback that a module can export."""


def _has_end_of_stream(abi: AbiVersion) -> bool:
    return abi.traits.headers_have_end_of_stream


def _check(exports: dict[str, Signature | None], name: str, expected: Signature) -> None:
    if name in exports and exports[name] != expected:
        raise ModuleError(f"export {name} has the signature {exports[name]}; must be {expected}")


class _Lazy(Callbacks):
    """Looks a callback up when it is made for the first time: a VM of one stream makes few."""

    __slots__ = ("_abi", "_allowed", "_instance")
    _abi: AbiVersion
    _allowed: frozenset[str] | None
    _instance: Instance

    def __init__(self, instance: Instance, abi: AbiVersion, allowed: frozenset[str] | None) -> None:
        object.__setattr__(self, "_instance", instance)
        object.__setattr__(self, "_abi", abi)
        object.__setattr__(self, "_allowed", allowed)

    def __getattr__(self, name: str) -> GuestFunction | bool:
        """What the slot of that name is to hold, from now on."""
        found = self._look_up(name)
        object.__setattr__(self, name, found)
        return found

    def _look_up(self, name: str) -> GuestFunction | bool:
        if name == "sees_responses":
            return any(self._exported(callback) for callback in _OF_RESPONSES)
        if name == "allocate":
            return next(f for one in ALLOCATORS if (f := self._instance.function(one)))
        callback = self._exported(name)
        if callback is None:
            return _ABSENT[name]
        if name in _WITH_END_OF_STREAM and not _has_end_of_stream(self._abi):
            callback = _without_end_of_stream(callback)
        return timed(callback, name, self._instance)

    def makes(self, name: str) -> bool:
        """See `Callbacks.makes`."""
        return self._exported(name) is not None

    def _exported(self, name: str) -> GuestFunction | None:
        export = _EXPORTS[name]
        if name == "on_foreign_function" and self._abi is AbiVersion.V0_1_0:
            return None  # an export like any other, of whatever signature
        if self._allowed and name not in _OF_ENVOY and export not in self._allowed:
            return None
        return self._instance.function(export)


def bind(instance: Instance, abi: AbiVersion, allowed: frozenset[str] | None = None) -> Callbacks:
    """The callbacks of an instance.

    Args:
        instance: Of the module.
        abi: Its version of the ABI.
        allowed: The only callbacks that are made, or None for all.
    """
    return _Lazy(instance, abi, allowed)


class VmClosedError(TrapError):
    """A callback into a VM that is closed already, after a trap in another stream of it."""

    def __init__(self) -> None:
        super().__init__(TrapKind.OTHER, "its VM was closed, by a trap in another stream")


def _closed(*_args: int) -> NoReturn:
    raise VmClosedError


def _constant(value: int) -> GuestFunction:
    return lambda *_args: value


_ABSENT = {name: _constant(default) for name, (_, _, default) in _CALLBACKS.items()}
"""What is called where the module has no such callback."""


def _without_end_of_stream(callback: GuestFunction) -> GuestFunction:
    return lambda context, count, _end_of_stream: callback(context, count)


def _closed_callbacks() -> Callbacks:
    found = dict.fromkeys(_CALLBACKS, _closed)
    ends = {name: _constant(_CALLBACKS[name][2]) for name in ("on_log", "on_done", "on_delete")}
    return Callbacks(**(found | ends), allocate=_closed, sees_responses=True)


CLOSED = _closed_callbacks()
"""Those of a closed VM: nothing can be made there, and nothing is told at a stream's end."""
