"""Higress's calls about the upstream, of which this host knows nothing."""

from mixer.proxywasm.contexts import Context
from mixer.proxywasm.hostcalls.signature import HostCall
from mixer.proxywasm.pairs import serialize

_NO_HOSTS = serialize([])


def get_upstream_hosts(context: Context, data: int, size: int) -> int:
    """``proxy_get_upstream_hosts``: the hosts that the request could go to; none is known."""
    context.require_started()
    return context.vm.give(_NO_HOSTS, data, size)


CALLS = (HostCall("proxy_get_upstream_hosts", "ii", get_upstream_hosts),)
