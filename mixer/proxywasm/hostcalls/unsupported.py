"""Host calls that link, so that modules which import them load, but do nothing yet.

Each answers UNIMPLEMENTED and says so once for each VM: a module must not believe that a call was
sent.
"""

from collections.abc import Callable

from mixer.proxywasm.contexts import Context
from mixer.proxywasm.hostcalls.refusal import unimplemented
from mixer.proxywasm.hostcalls.signature import HostCall

_SIGNATURES = {
    "proxy_inject_encoded_data_to_filter_chain": "iii",
    "proxy_set_upstream_override_host": "ii",
}


def _refusal(name: str) -> Callable[..., int]:
    def answer(context: Context, *_args: int) -> int:
        context.require_started()
        return unimplemented(context, name)

    return answer


CALLS = tuple(HostCall(name, params, _refusal(name)) for name, params in _SIGNATURES.items())
NAMES = frozenset(_SIGNATURES)
