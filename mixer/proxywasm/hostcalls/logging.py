"""Logging and time."""

from mixer.proxywasm.abi import LogLevel, Status
from mixer.proxywasm.contexts import Context
from mixer.proxywasm.hostcalls.signature import HostCall

MAX_LOG_BYTES = 16 * 1024
"""What is kept of one message."""


def log(context: Context, level: int, message: int, size: int) -> int:
    """``proxy_log``."""
    if level > LogLevel.CRITICAL:
        return Status.BAD_ARGUMENT
    vm = context.vm
    vm.instance.memory.check(message, size)
    if level >= context.log_level:
        text = vm.instance.memory.read(message, min(size, MAX_LOG_BYTES))
        context.log(LogLevel(level), text.decode("utf-8", "replace"))
    return Status.OK


def get_log_level(context: Context, level: int) -> int:
    """``proxy_get_log_level``."""
    context.require_started()
    context.vm.instance.memory.write_u32(level, context.log_level)
    return Status.OK


def get_current_time(context: Context, time: int) -> int:
    """``proxy_get_current_time_nanoseconds``."""
    context.require_started()
    if context.reads is not None:
        context.reads.saw_clock()
    context.vm.instance.memory.write_u64(time, context.vm.services.wall_clock())
    return Status.OK


CALLS = (
    HostCall("proxy_log", "iii", log),
    HostCall("proxy_get_log_level", "i", get_log_level),
    HostCall("proxy_get_current_time_nanoseconds", "i", get_current_time),
)
