"""The part of WASI preview 1 that Envoy gives to modules; the rest links and refuses.

A module gets standard output and error (as log lines), clocks, randomness and the environment that
its configuration names. There are no files and no sockets.
"""

import struct
from collections.abc import Callable
from contextlib import suppress
from itertools import accumulate
from operator import methodcaller
from typing import Any

from mixer.proxywasm.abi import LogLevel
from mixer.proxywasm.contexts import Context
from mixer.proxywasm.hostcalls.signature import signature
from mixer.proxywasm.wasi_files import BADF, FILES, NOTSUP, SUCCESS, Table, constant
from mixer.vm import I32, HostFunction, MemoryAccessError, Signature

MODULES = ("wasi_snapshot_preview1", "wasi_unstable")

FAULT, INVAL = 21, 28
MAX_RANDOM_BYTES = 65_536
MAX_WRITE_BYTES = 64 * 1024
_STDOUT, _STDERR = 1, 2
_LEVELS = {_STDOUT: LogLevel.INFO, _STDERR: LogLevel.ERROR}
_REALTIME, _MONOTONIC = 0, 1
_FDSTAT_BYTES = 24
_RIGHT_WRITE = 64
_MAX_VECTORS = 1024


def fd_write(context: Context, fd: int, vectors: int, count: int, written: int) -> int:
    """Log what is written to standard output or error."""
    if fd not in _LEVELS:
        return BADF
    memory = context.vm.instance.memory
    text, total = b"", 0
    for index in range(min(count, _MAX_VECTORS)):
        pointer, size = struct.unpack("<II", memory.read(vectors + 8 * index, 8))
        text += memory.read(pointer, min(size, max(MAX_WRITE_BYTES - len(text), 0)))
        total += size
    memory.write_u32(written, total & 0xFFFF_FFFF)
    level = _LEVELS[fd]
    if text and level >= context.log_level:
        context.log(level, text.decode("utf-8", "replace").removesuffix("\n"))
    return SUCCESS


def fd_pwrite(
    context: Context, fd: int, vectors: int, count: int, _offset: int, written: int
) -> int:
    """The same: output has no places to write at."""
    return fd_write(context, fd, vectors, count, written)


def clock_time_get(context: Context, clock: int, _precision: int, time: int) -> int:
    """The wall clock or the monotonic clock."""
    services = context.vm.services
    if clock not in (_REALTIME, _MONOTONIC):
        return NOTSUP
    if context.reads is not None:
        context.reads.saw_clock()
    now = services.wall_clock() if clock == _REALTIME else services.monotonic_clock()
    context.vm.instance.memory.write_u64(time, now)
    return SUCCESS


def clock_res_get(context: Context, clock: int, resolution: int) -> int:
    """Both clocks have a resolution of one nanosecond."""
    if clock not in (_REALTIME, _MONOTONIC):
        return NOTSUP
    context.vm.instance.memory.write_u64(resolution, 1)
    return SUCCESS


def random_get(context: Context, buffer: int, size: int) -> int:
    """Random bytes, bounded for one call."""
    if size > MAX_RANDOM_BYTES:
        return INVAL
    if context.reads is not None:
        context.reads.saw_random()
    if size:
        context.vm.instance.memory.write(buffer, context.vm.services.random(size))
    return SUCCESS


def environ_sizes_get(context: Context, count: int, size: int) -> int:
    """How much the environment needs."""
    entries = context.vm.environment
    context.vm.instance.memory.write_u32(count, len(entries))
    context.vm.instance.memory.write_u32(size, sum(map(len, entries)))
    return SUCCESS


def environ_get(context: Context, pointers: int, buffer: int) -> int:
    """Write the environment."""
    memory, entries = context.vm.instance.memory, context.vm.environment
    if not entries:
        return SUCCESS
    memory.write(buffer, b"".join(entries))
    for index, offset in enumerate(accumulate(map(len, entries[:-1]), initial=0)):
        memory.write_u32(pointers + 4 * index, buffer + offset)
    return SUCCESS


def args_sizes_get(context: Context, count: int, size: int) -> int:
    """There are no arguments."""
    context.vm.instance.memory.write_u32(count, 0)
    context.vm.instance.memory.write_u32(size, 0)
    return SUCCESS


def poll_oneoff(context: Context, _in: int, _out: int, _count: int, events: int) -> int:
    """Report no event at once: Go's scheduler polls, and must neither wait nor fail."""
    context.vm.instance.memory.write_u32(events, 0)
    return SUCCESS


def fd_fdstat_get(context: Context, fd: int, result: int) -> int:
    """Standard output and error can be written to."""
    if fd not in _LEVELS:
        return BADF
    stat = bytearray(_FDSTAT_BYTES)
    struct.pack_into("<Q", stat, 8, _RIGHT_WRITE)
    with suppress(MemoryAccessError):  # Envoy does not look where it writes this
        context.vm.instance.memory.write(result, bytes(stat))
    return SUCCESS


def proc_exit(context: Context, code: int) -> None:
    """Log it and return, as Envoy does; what follows is a trap of the guest's own."""
    context.log(LogLevel.ERROR, f"proc_exit({code}): the module ended itself")


_CALLS: Table = {
    "fd_write": ("iiii", fd_write),
    "clock_time_get": ("iLi", clock_time_get),
    "clock_res_get": ("ii", clock_res_get),
    "random_get": ("ii", random_get),
    "environ_sizes_get": ("ii", environ_sizes_get),
    "environ_get": ("ii", environ_get),
    "args_sizes_get": ("ii", args_sizes_get),
    "poll_oneoff": ("iiii", poll_oneoff),
    "fd_fdstat_get": ("ii", fd_fdstat_get),
    "fd_pwrite": ("iiiLi", fd_pwrite),
    "args_get": ("ii", constant(SUCCESS)),
    "sched_yield": ("", constant(SUCCESS)),
}


def wasi_functions() -> list[HostFunction]:
    """Every function of WASI preview 1, under both of its module names."""
    table = _CALLS | FILES
    functions = []
    for module in MODULES:
        for name, (params, call) in table.items():
            functions.append(
                HostFunction(module, name, signature(params), _guarded(name, call), fault=FAULT)
            )
        functions.append(
            HostFunction(
                module, "proc_exit", Signature((I32,), ()), _guarded("proc_exit", proc_exit)
            )
        )
    return functions


_WITHIN_THE_ALLOCATOR = frozenset({"fd_write", "clock_time_get", "poll_oneoff"})
_NOT_AT_START = frozenset(
    {"fd_read", "fd_seek", "fd_close", "sched_yield", "path_open", "proc_exit", "proc_raise"}
)


def _guarded(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """Allow a function only where Envoy does."""
    if name in _WITHIN_THE_ALLOCATOR:
        return call
    require = methodcaller("require_started" if name in _NOT_AT_START else "require_no_allocation")

    def guarded(context: Context, *args: int) -> Any:
        require(context)
        return call(context, *args)

    return guarded
