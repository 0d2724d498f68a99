"""Ticks."""

from mixer.proxywasm.abi import Status
from mixer.proxywasm.contexts import Context
from mixer.proxywasm.hostcalls.signature import HostCall


def set_tick_period(context: Context, milliseconds: int) -> int:
    """``proxy_set_tick_period_milliseconds``: of the plugin, also when a stream asks."""
    context.require_started()
    context.vm.events.set_tick_period(context.root, milliseconds)
    return Status.OK


CALLS = (HostCall("proxy_set_tick_period_milliseconds", "i", set_tick_period),)
