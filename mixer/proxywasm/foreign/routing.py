"""``clear_route_cache``."""

from mixer.proxywasm.abi import Status
from mixer.proxywasm.contexts import Context
from mixer.proxywasm.foreign.function import ForeignFunction


def clear_route_cache(_context: Context, _arguments: bytes) -> Status:
    """Nothing to do: a proxy that asks selects the route anew when a header was changed."""
    return Status.OK


FUNCTIONS: dict[str, ForeignFunction] = {"clear_route_cache": clear_route_cache}
