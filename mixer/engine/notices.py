"""What a configuration says of an adapter that may not do what was meant."""

from collections.abc import Iterator

from mixer.config import Problem, WasmPlugin
from mixer.engine.failure import CAPABILITIES, MAX_VM_MEMORY, QUOTAS, TYPE
from mixer.proxywasm import ProxyWasmModule, withheld_callbacks

_OF_HTTP = ("proxy_on_request_", "proxy_on_response_", "proxy_on_log")
_OF_TCP = ("proxy_on_new_connection", "proxy_on_downstream_", "proxy_on_upstream_", "proxy_on_log")


def notices(plugin: WasmPlugin, module: ProxyWasmModule) -> Iterator[Problem]:
    """What somebody should know of an adapter that loads all the same."""
    withheld = withheld_callbacks(module.module, plugin.allowed_capabilities)
    if withheld:
        yield plugin.problem(
            CAPABILITIES, f"the module has callbacks that are not made: {', '.join(withheld)}"
        )
    threshold, limit = plugin.metadata.annotations.max_vm_memory, plugin.limits.memory_bytes
    if threshold is not None and threshold >= limit:
        yield plugin.problem(
            MAX_VM_MEMORY, f"{threshold} bytes are never reached: the memory limit is {limit}"
        )
    yield from _of_type(plugin, module)


def _of_type(plugin: WasmPlugin, module: ProxyWasmModule) -> Iterator[Problem]:
    if plugin.is_service:
        return
    what, prefixes = (
        ("HTTP requests", _OF_HTTP) if not plugin.is_network else ("TCP connections", _OF_TCP)
    )
    if not any(export.name.startswith(prefixes) for export in module.module.exports):
        yield plugin.problem(TYPE, f"the module has no callbacks for {what}: it is told of nothing")
    if plugin.is_network and plugin.quotas:
        yield plugin.problem(QUOTAS, "is not used: quotas are allocated by adapters for HTTP")
