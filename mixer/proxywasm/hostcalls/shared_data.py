"""Shared data."""

from mixer.proxywasm.abi import Status
from mixer.proxywasm.contexts import Context
from mixer.proxywasm.hostcalls.refusal import refuse
from mixer.proxywasm.hostcalls.signature import HostCall
from mixer.proxywasm.hostcalls.taking import note_volatile, take
from mixer.state import SetResult, StoreUnavailableError

_STATUSES = {SetResult.OK: Status.OK, SetResult.CAS_MISMATCH: Status.CAS_MISMATCH}


def get_shared_data(
    context: Context, key: int, key_size: int, value: int, value_size: int, cas: int
) -> int:
    """``proxy_get_shared_data``: a value of this ``vm_id``, and the number to compare it by."""
    context.require_started()
    vm = context.vm
    name = vm.instance.memory.read(key, key_size)
    note_volatile(context)
    try:
        found = vm.services.shared_data.get(vm.vm_id, name)
    except StoreUnavailableError:  # the store logs why, once for each outage
        return Status.INTERNAL_FAILURE
    if found is None:
        return Status.NOT_FOUND
    status = vm.give(found.value, value, value_size)
    if status is Status.OK:
        vm.instance.memory.write_u32(cas, found.cas)
    return status


def set_shared_data(
    context: Context, key: int, key_size: int, value: int, value_size: int, cas: int
) -> int:
    """``proxy_set_shared_data``: in any case, or only if nobody did since."""
    context.require_started()
    taken = take(context, key, key_size, value, value_size)
    if taken is None:
        return Status.INTERNAL_FAILURE
    note_volatile(context)
    name, content = taken
    try:
        result = context.vm.services.shared_data.set(context.vm.vm_id, name, content, cas)
    except StoreUnavailableError:
        return Status.INTERNAL_FAILURE
    if result is SetResult.FULL:
        return refuse(context, "proxy_set_shared_data", "the shared data of this vm_id is full")
    return _STATUSES[result]


CALLS = (
    HostCall("proxy_get_shared_data", "iiiii", get_shared_data),
    HostCall("proxy_set_shared_data", "iiiii", set_shared_data),
)
