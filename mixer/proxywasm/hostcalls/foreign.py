"""Foreign functions: what an embedder offers beyond the ABI, called by name."""

from mixer.proxywasm.abi import Status
from mixer.proxywasm.contexts import Context
from mixer.proxywasm.foreign import FOREIGN_FUNCTIONS
from mixer.proxywasm.hostcalls.refusal import refuse
from mixer.proxywasm.hostcalls.signature import HostCall

MAX_ARGUMENT_BYTES = 1 << 20
"""Of what a module hands to a foreign function: a call takes some tens of milliseconds at most."""

BY_NAME = {name.encode(): function for name, function in FOREIGN_FUNCTIONS.items()}
_MAX_NAME_BYTES = max(map(len, BY_NAME))
_CALL = "proxy_call_foreign_function"


def call_foreign_function(
    context: Context, name: int, name_size: int, args: int, args_size: int, data: int, size: int
) -> int:
    """``proxy_call_foreign_function``; a null pointer is for what is not wanted of the result."""
    context.require_started()
    memory = context.vm.instance.memory
    is_known = name_size <= _MAX_NAME_BYTES
    function = BY_NAME.get(memory.read(name, name_size)) if is_known else None
    if function is None or args_size > MAX_ARGUMENT_BYTES:
        memory.check(name, name_size)
        memory.check(args, args_size)
        if function is None:
            return Status.NOT_FOUND
        return refuse(context, _CALL, f"an argument has over {MAX_ARGUMENT_BYTES} bytes")
    answer = function(context, memory.read(args, args_size))
    status, result = (Status.OK, answer) if isinstance(answer, bytes) else (answer, b"")
    handed = _hand_over(context, result, data, size)
    return status if handed is Status.OK else handed


def _hand_over(context: Context, result: bytes, data: int, size: int) -> Status:
    vm = context.vm
    if data:
        address = vm.allocator.place(result) if result else 0
        if address is None:
            return Status.INVALID_MEMORY_ACCESS
        vm.instance.memory.write_u32(data, address)
    if size:
        vm.instance.memory.write_u32(size, len(result))
    return Status.OK


CALLS = (HostCall(_CALL, "iiiiii", call_foreign_function),)
