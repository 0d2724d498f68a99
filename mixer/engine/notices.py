"""What a configuration says of an adapter that may not do what was meant."""

from collections.abc import Iterator

from mixer.config import Problem, WasmPlugin
from mixer.engine.failure import CAPABILITIES, MAX_VM_MEMORY
from mixer.proxywasm import ProxyWasmModule, withheld_callbacks


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
