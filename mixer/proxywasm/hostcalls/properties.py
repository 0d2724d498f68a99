"""Properties."""

from mixer.proxywasm.abi import Status
from mixer.proxywasm.contexts import Context
from mixer.proxywasm.hostcalls.signature import HostCall
from mixer.proxywasm.hostcalls.taking import take
from mixer.proxywasm.property_codec import MAX_PATH_BYTES, NotALeaf


def get_property(context: Context, path: int, path_size: int, data: int, size: int) -> int:
    """``proxy_get_property``."""
    memory = context.vm.instance.memory
    if path_size > MAX_PATH_BYTES:
        memory.check(path, path_size)
        return Status.BAD_ARGUMENT
    name = memory.read(path, path_size)
    try:
        value = context.get_property(name)
    except NotALeaf:
        return Status.SERIALIZATION_FAILURE
    if context.reads is not None:
        context.reads.saw_property(name, value)
    if value is None:
        return Status.NOT_FOUND
    return context.vm.give(value, data, size)


def set_property(context: Context, path: int, path_size: int, data: int, size: int) -> int:
    """``proxy_set_property``."""
    if path_size > MAX_PATH_BYTES:
        context.vm.instance.memory.check(path, path_size)
        return Status.BAD_ARGUMENT
    taken = take(context, path, path_size, data, size)
    return Status.INTERNAL_FAILURE if taken is None else context.set_property(*taken)


CALLS = (
    HostCall("proxy_get_property", "iiii", get_property),
    HostCall("proxy_set_property", "iiii", set_property),
)
