"""``set_envoy_filter_state``: objects of the filter state that Envoy itself reads.

Here nothing reads them but modules; a proxy that asks is not told.
"""

import ipaddress
from collections.abc import Callable

from mixer.proxywasm.abi import Status
from mixer.proxywasm.contexts import Context
from mixer.proxywasm.foreign.function import ForeignFunction
from mixer.proxywasm.foreign.messages import SetEnvoyFilterStateArguments, parse

_SPANS = (1, 2)  # of the request, of the connection; any other is of the filter chain
_MAX_U32 = (1 << 32) - 1


def _span(number: int) -> int:
    return number if number in _SPANS else 0


def _number(text: str) -> str | None:
    return text if text.isascii() and text.isdigit() and int(text[:11]) <= _MAX_U32 else None


def _address(text: str) -> str | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return f"[{address}]:0" if address.version == 6 else f"{address}:0"


_OBJECTS: dict[str, Callable[[str], str | None]] = {
    "envoy.string": str,
    "envoy.network.upstream_server_name": str,
    "envoy.network.upstream_subject_alt_names": str,
    "envoy.network.application_protocols": str,
    "envoy.network.ip": _address,
    "envoy.ratelimit.hits_addend": _number,
    "envoy.tcp_proxy.cluster": str,
    "envoy.upstream.dynamic_host": str,
    "envoy.upstream.dynamic_port": _number,
}
"""How the value of each kind of object looks when it is read; None for a bad one."""


def set_envoy_filter_state(context: Context, arguments: bytes) -> Status:
    """Set an object of a kind that Envoy knows."""
    message = parse(SetEnvoyFilterStateArguments, arguments)
    if message is None:
        return Status.BAD_ARGUMENT
    shown = _OBJECTS.get(message.path)
    if shown is None:
        return Status.NOT_FOUND
    value = shown(message.value)
    if value is None:
        return Status.BAD_ARGUMENT
    return context.set_filter_state_object(message.path, value, _span(message.span))


FUNCTIONS: dict[str, ForeignFunction] = {"set_envoy_filter_state": set_envoy_filter_state}
