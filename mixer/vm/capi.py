"""Typed bindings to the few functions of wasmtime's C API that the hot path needs.

The public Python API of wasmtime builds an object for each value that crosses the boundary, which
costs tens of microseconds a call. These bindings pass addresses and raw value slots instead. Every
name below is a symbol of the shared library inside the ``wasmtime`` package; their C declarations
are in ``wasmtime/{store,func,linker,instance,memory,trap,error}.h``.

Functions that run guest code release the GIL only where the clock of the epochs needs it to tick,
and so to interrupt a guest that loops for ever; see `mixer.vm.ticker`. Accessors that return at
once keep it in any case: releasing costs more than they do.
"""

import ctypes
from ctypes import CFUNCTYPE, POINTER, PYFUNCTYPE, byref, c_size_t, c_uint8, c_uint32, c_uint64
from ctypes import c_void_p as ptr
from typing import Any

from wasmtime import _bindings
from wasmtime._ffi import dll

from mixer.vm.ticker import NEEDS_NO_LOCK

FuncStruct: type[ctypes.Structure] = _bindings.wasmtime_func_t
MemoryStruct: type[ctypes.Structure] = _bindings.wasmtime_memory_t
InstanceStruct: type[ctypes.Structure] = _bindings.wasmtime_instance
ExternStruct: type[ctypes.Structure] = _bindings.wasmtime_extern_t
ByteVec: type[ctypes.Structure] = _bindings.wasm_byte_vec_t

EXTERN_FUNC = 0
EXTERN_MEMORY = 3

SLOT_WORDS = 4
"""A ``wasmtime_val_raw_t`` is 16 bytes: four 32-bit words, the value in the first one or two."""

HostCallback = CFUNCTYPE(c_size_t, ptr, ptr, POINTER(c_uint32), c_size_t)
"""``wasmtime_func_unchecked_callback_t``: env, caller, slots, count -> trap or 0."""

EpochCallback = CFUNCTYPE(c_size_t, ptr, ptr, POINTER(c_uint64), POINTER(c_uint8))
"""Of ``wasmtime_store_epoch_deadline_callback``: context, data, delta, kind -> error or 0."""


def _accessor(name: str, result: Any, *params: Any) -> Any:
    return PYFUNCTYPE(result, *params)((name, dll))


def _enters_guest(name: str, result: Any, *params: Any) -> Any:
    if NEEDS_NO_LOCK:
        return _accessor(name, result, *params)
    return CFUNCTYPE(result, *params)((name, dll))


store_new = _accessor("wasmtime_store_new", ptr, ptr, ptr, ptr)
store_delete = _accessor("wasmtime_store_delete", None, ptr)
store_context = _accessor("wasmtime_store_context", ptr, ptr)
store_limiter = _accessor(
    "wasmtime_store_limiter",
    None,
    ptr,
    *(ctypes.c_int64,) * 5,
)
store_epoch_deadline_callback = _accessor(
    "wasmtime_store_epoch_deadline_callback", None, ptr, EpochCallback, ptr, ptr
)
set_epoch_deadline = _accessor("wasmtime_context_set_epoch_deadline", None, ptr, c_uint64)

linker_new = _accessor("wasmtime_linker_new", ptr, ptr)
linker_delete = _accessor("wasmtime_linker_delete", None, ptr)
linker_define_func_unchecked = _accessor(
    "wasmtime_linker_define_func_unchecked",
    ptr,
    ptr,
    *(ctypes.c_char_p, c_size_t) * 2,
    ptr,
    HostCallback,
    ptr,
    ptr,
)
linker_instantiate_pre = _accessor("wasmtime_linker_instantiate_pre", ptr, ptr, ptr, ptr)
instance_pre_delete = _accessor("wasmtime_instance_pre_delete", None, ptr)
instance_pre_instantiate = _enters_guest(
    "wasmtime_instance_pre_instantiate", ptr, ptr, ptr, ptr, ptr
)
instance_export_get = _accessor(
    "wasmtime_instance_export_get", ctypes.c_bool, ptr, ptr, ctypes.c_char_p, c_size_t, ptr
)
func_call_unchecked = _enters_guest(
    "wasmtime_func_call_unchecked", ptr, ptr, ptr, ptr, c_size_t, ptr
)
memory_data = _accessor("wasmtime_memory_data", ptr, ptr, ptr)
memory_data_size = _accessor("wasmtime_memory_data_size", c_size_t, ptr, ptr)

_POOLING = "wasmtime_pooling_allocation_config"
config_memory_init_cow = _accessor("wasmtime_config_memory_init_cow_set", None, ptr, ctypes.c_bool)
config_memory_reservation = _accessor("wasmtime_config_memory_reservation_set", None, ptr, c_uint64)
pooling_config_new = _accessor(f"{_POOLING}_new", ptr)
pooling_config_delete = _accessor(f"{_POOLING}_delete", None, ptr)
pooling_strategy = _accessor("wasmtime_pooling_allocation_strategy_set", None, ptr, ptr)
pooling_setters = {
    name: _accessor(f"{_POOLING}_{name}_set", None, ptr, size)
    for name, size in {
        "total_core_instances": c_uint32,
        "total_memories": c_uint32,
        "total_tables": c_uint32,
        "total_stacks": c_uint32,
        "max_tables_per_module": c_uint32,
        "table_elements": c_size_t,
        "max_memory_size": c_size_t,
        "max_core_instance_size": c_size_t,
        "linear_memory_keep_resident": c_size_t,
        "table_keep_resident": c_size_t,
    }.items()
}

_trap_new = _accessor("wasmtime_trap_new", ptr, ctypes.c_char_p, c_size_t)
_trap_delete = _accessor("wasm_trap_delete", None, ptr)
_trap_message = _accessor("wasm_trap_message", None, ptr, ptr)
_trap_code = _accessor("wasmtime_trap_code", ctypes.c_bool, ptr, ptr)
_error_new = _accessor("wasmtime_error_new", ptr, ctypes.c_char_p)
_error_delete = _accessor("wasmtime_error_delete", None, ptr)
_error_message = _accessor("wasmtime_error_message", None, ptr, ptr)
_byte_vec_delete = _accessor("wasm_byte_vec_delete", None, ptr)


def new_trap(message: bytes) -> int:
    """Return the address of a ``wasm_trap_t`` that the caller hands to wasmtime."""
    return int(_trap_new(message, len(message)))


def new_error(message: bytes) -> int:
    """Return the address of a ``wasmtime_error_t`` that the caller hands to wasmtime."""
    return int(_error_new(message))


def take_error(error: int) -> str:
    """Return the message of a ``wasmtime_error_t`` and free it."""
    vec = ByteVec()
    _error_message(error, byref(vec))
    _error_delete(error)
    return _take_text(vec)


def take_trap(trap: int) -> tuple[int | None, str]:
    """Return the code (``wasmtime_trap_code_t``) and message of a trap and free it."""
    code = c_uint8()
    known = _trap_code(trap, byref(code))
    vec = ByteVec()
    _trap_message(trap, byref(vec))
    _trap_delete(trap)
    return (code.value if known else None), _take_text(vec)


def _take_text(vec: Any) -> str:
    text = ctypes.string_at(vec.data, vec.size).rstrip(b"\0").decode("utf-8", "replace")
    _byte_vec_delete(byref(vec))
    return text
