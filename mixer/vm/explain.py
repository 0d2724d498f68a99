"""wasmtime's words for a failed start, in the units of our configuration."""

import re

from mixer.vm.errors import ModuleError, PoolExhaustedError
from mixer.vm.model import MIB, VmLimits

_TOO_LITTLE = re.compile(r"memory minimum size of (\d+) pages exceeds memory limits")
_NONE_LEFT = re.compile(r"maximum concurrent .*limit of (\d+) ")
_PAGE = 65_536


def start_error(message: str, limits: VmLimits) -> ModuleError:
    """Say how much memory a module begins with, where that is over its limit."""
    if taken := _NONE_LEFT.search(message):
        return PoolExhaustedError(f"all {taken[1]} places for a VM of a single stream are taken")
    match = _TOO_LITTLE.search(message)
    if match is None:
        return ModuleError(message)
    needed = int(match[1]) * _PAGE / MIB
    return ModuleError(
        f"needs {needed:.2f} MiB of memory at its start; "
        f"its limit is {limits.memory_bytes / MIB:g} MiB"
    )
