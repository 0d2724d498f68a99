"""DNS: a host call of Envoy's own, beyond the ABI."""

from mixer.callouts.ports import NotSentError, UnknownClusterError
from mixer.proxywasm.abi import Status
from mixer.proxywasm.contexts import Context
from mixer.proxywasm.hostcalls.http_calls import bad_argument
from mixer.proxywasm.hostcalls.refusal import refuse
from mixer.proxywasm.hostcalls.signature import HostCall
from mixer.proxywasm.hostcalls.taking import note_volatile, take

_CALL = "envoy_resolve_dns"


def resolve_dns(context: Context, name: int, name_size: int, token: int) -> int:
    """``envoy_resolve_dns``: told to the plugin by ``envoy_on_resolve_dns``."""
    context.require_started()
    taken = take(context, name, name_size)
    memory = context.vm.instance.memory
    memory.write_u32(token, 0)
    if taken is None:
        return refuse(context, _CALL, "the stream handed over too much")
    note_volatile(context)
    host = taken[0].decode("utf-8", "replace")
    try:
        number = context.vm.callouts.resolve_dns(context.root, host)
    except UnknownClusterError as error:
        return bad_argument(context, _CALL, str(error))
    except NotSentError as error:
        return refuse(context, _CALL, str(error))
    memory.write_u32(token, number)
    return Status.OK


CALLS = (HostCall(_CALL, "iii", resolve_dns),)
