"""``clear_route_cache``."""

from mixer.proxywasm.abi import Status
from mixer.proxywasm.contexts import Context
from mixer.proxywasm.foreign.function import ForeignFunction


def clear_route_cache(context: Context, _arguments: bytes) -> Status:
    """Have the proxy select the route anew, if it asks in a way that lets it be told."""
    context.clear_route_cache()
    return Status.OK


FUNCTIONS: dict[str, ForeignFunction] = {"clear_route_cache": clear_route_cache}
