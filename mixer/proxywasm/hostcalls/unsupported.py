"""Host calls that link, so that modules which import them load, but do nothing yet.

Each answers UNIMPLEMENTED and says so once for each VM: a module must not believe that a call was
sent.
"""

from collections.abc import Callable

from mixer.proxywasm.abi import LogLevel, Status
from mixer.proxywasm.contexts import Context
from mixer.proxywasm.hostcalls.signature import HostCall

_SIGNATURES = {
    "proxy_inject_encoded_data_to_filter_chain": "iii",
    "proxy_get_upstream_hosts": "ii",
    "proxy_set_upstream_override_host": "ii",
}


def _refusal(name: str) -> Callable[..., int]:
    def refuse(context: Context, *_args: int) -> int:
        context.require_started()
        if name not in context.vm.refused_calls:
            context.vm.refused_calls.add(name)
            context.log(LogLevel.WARN, f"{name} is not supported yet: it answers UNIMPLEMENTED")
        return Status.UNIMPLEMENTED

    return refuse


CALLS = tuple(HostCall(name, params, _refusal(name)) for name, params in _SIGNATURES.items())
NAMES = frozenset(_SIGNATURES)
