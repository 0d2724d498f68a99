"""wasmtime's words for a failed start, in the units of our configuration."""

import re

from mixer.vm.model import MIB, VmLimits

_TOO_LITTLE = re.compile(r"memory minimum size of (\d+) pages exceeds memory limits")
_PAGE = 65_536


def explain_start(message: str, limits: VmLimits) -> str:
    """Say how much memory a module begins with, where that is over its limit."""
    match = _TOO_LITTLE.search(message)
    if match is None:
        return message
    needed = int(match[1]) * _PAGE / MIB
    return (
        f"needs {needed:.2f} MiB of memory at its start; "
        f"its limit is {limits.memory_bytes / MIB:g} MiB"
    )
