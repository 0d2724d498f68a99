"""What of a stream a module has callbacks for."""

from enum import Flag, auto

from mixer.config import WasmPlugin
from mixer.proxywasm import ProxyWasmModule


class Sees(Flag):
    """Parts of a stream after the request's headers."""

    NOTHING = 0
    REQUEST_BODY = auto()
    REQUEST_TRAILERS = auto()
    RESPONSE_HEADERS = auto()
    RESPONSE_BODY = auto()
    RESPONSE_TRAILERS = auto()
    LOG = auto()


_CALLBACKS = {f"proxy_on_{one.name.lower()}": one for one in Sees if one.name}


def what_it_sees(module: ProxyWasmModule, plugin: WasmPlugin) -> Sees:
    """What a module has callbacks for, as far as its plugin allows them."""
    allowed = plugin.allowed_capabilities
    seen = Sees.NOTHING
    for export in module.module.exports:
        if allowed is None or export.name in allowed:
            seen |= _CALLBACKS.get(export.name, Sees.NOTHING)
    return seen
