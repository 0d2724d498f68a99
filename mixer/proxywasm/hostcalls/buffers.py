"""Buffers: bodies and configurations."""

from mixer.proxywasm.abi import BufferType, Status
from mixer.proxywasm.contexts import Context
from mixer.proxywasm.departures import CHANGE_ABSENT_BUFFER, CHANGE_READ_ONLY_BUFFER
from mixer.proxywasm.hostcalls.signature import HostCall
from mixer.proxywasm.hostcalls.taking import take

_BUFFERS = tuple(BufferType)
_MAX_BUFFER = len(_BUFFERS) - 1


def get_buffer_bytes(
    context: Context, buffer_type: int, start: int, max_size: int, data: int, size: int
) -> int:
    """``proxy_get_buffer_bytes``: a part of a buffer; nothing past its end."""
    if buffer_type > _MAX_BUFFER:
        return Status.BAD_ARGUMENT
    content = _read(context, _BUFFERS[buffer_type])
    if content is None:
        return Status.NOT_FOUND
    return context.vm.give(content[start : start + max_size], data, size)


def get_buffer_status(context: Context, buffer_type: int, size: int, flags: int) -> int:
    """``proxy_get_buffer_status``: the length; there are no flags."""
    if buffer_type > _MAX_BUFFER:
        return Status.BAD_ARGUMENT
    content = _read(context, _BUFFERS[buffer_type])
    if content is None:
        return Status.NOT_FOUND
    memory = context.vm.instance.memory
    memory.write_u32(size, len(content))
    memory.write_u32(flags, 0)
    return Status.OK


def _read(context: Context, kind: BufferType) -> bytes | None:
    if context.reads is not None:
        context.reads.saw_buffer(kind)
    return context.buffer(kind)


def set_buffer_bytes(
    context: Context, buffer_type: int, start: int, size: int, data: int, data_size: int
) -> int:
    """``proxy_set_buffer_bytes``: at the front, in place of the front, or at the end."""
    if buffer_type > _MAX_BUFFER:
        return Status.BAD_ARGUMENT
    kind = _BUFFERS[buffer_type]
    old = _read(context, kind)
    if old is None:
        return context.departs(CHANGE_ABSENT_BUFFER)
    taken = take(context, data, data_size)
    if not context.is_writable(kind):
        return context.departs(CHANGE_READ_ONLY_BUFFER)
    if taken is None:
        return Status.INTERNAL_FAILURE
    (new,) = taken
    if 0 < start < len(old):
        return Status.BAD_ARGUMENT  # Envoy does not replace in the middle, whatever the text says
    return context.set_buffer(kind, old + new if start else new + old[size:], data_size)


CALLS = (
    HostCall("proxy_get_buffer_bytes", "iiiii", get_buffer_bytes),
    HostCall("proxy_get_buffer_status", "iii", get_buffer_status),
    HostCall("proxy_set_buffer_bytes", "iiiii", set_buffer_bytes),
)
