"""Ticks."""

from mixer.proxywasm.abi import Status
from mixer.proxywasm.contexts import Context
from mixer.proxywasm.hostcalls.signature import HostCall
from mixer.proxywasm.hostcalls.taking import note_volatile


def set_tick_period(context: Context, milliseconds: int) -> int:
    """``proxy_set_tick_period_milliseconds``: of the plugin, also when a stream asks."""
    context.require_started()
    note_volatile(context)
    context.vm.events.set_tick_period(context.root, milliseconds)
    return Status.OK


CALLS = (HostCall("proxy_set_tick_period_milliseconds", "i", set_tick_period),)
