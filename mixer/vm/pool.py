"""A pool of places for instances: address space that is reserved once, and cleaned after each use.

Making an instance then costs no system call for its memory, whose first pages are those of the
module, copied when they are written to. It wins where instances live for one stream.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mixer.vm import capi
from mixer.vm.errors import ModuleError
from mixer.vm.model import MAX_TABLES, VmLimits

if TYPE_CHECKING:
    import wasmtime

_PAGE = 65_536
_KEPT_RESIDENT = _PAGE
"""Bytes of a memory, and of a table, that are zeroed after use rather than given back: the pages
that nearly every request writes to. More costs more than the page faults that it saves."""

_MAX_INSTANCE_BYTES = 16 << 20
_BESIDES_BYTES = 40 << 20
"""Address space of one instance beside its memory: a guard of 32 MiB, and tables."""

_TABLES_IN_USE = 2
"""For each instance, on the average; hardly a module has more than one."""


@dataclass(frozen=True, slots=True)
class InstancePool:
    """The size of a pool.

    Attributes:
        instances: How many there can be at one time.
        memory_bytes: The most linear memory of one; the limit of an instance may be lower. The
            pool reserves this much address space for each, and no memory.
    """

    instances: int
    memory_bytes: int

    @property
    def slot_bytes(self) -> int:
        """`memory_bytes` in whole pages."""
        return -(-self.memory_bytes // _PAGE) * _PAGE

    @property
    def reserved_bytes(self) -> int:
        """Address space of the whole pool, guards and tables included; rounded up."""
        return (self.instances + 1) * (self.slot_bytes + _BESIDES_BYTES)

    @property
    def settings(self) -> str:
        """What compiled modules depend on."""
        return f"reservation={self.slot_bytes}"


def use_pool(config: wasmtime.Config, pool: InstancePool) -> None:
    """Have an engine allocate from a pool.

    Reserving no more than the limit has the compiled code compare addresses with it, instead of
    leaving 4 GiB and a guard to the processor: a few per cent in code that does nothing but access
    memory, for a twentieth of the address space.

    Raises:
        ModuleError: There is not that much address space.
    """
    _check_address_space(pool)
    capi.config_memory_init_cow(config.ptr(), True)
    capi.config_memory_reservation(config.ptr(), pool.slot_bytes)
    settings = capi.pooling_config_new()
    try:
        for setting, value in _settings(pool).items():
            capi.pooling_setters[setting](settings, value)
        capi.pooling_strategy(config.ptr(), settings)
    finally:
        capi.pooling_config_delete(settings)


def _check_address_space(pool: InstancePool) -> None:
    """Reserve it for a moment: wasmtime's C API ends the process where it cannot."""
    try:
        mmap.mmap(-1, pool.reserved_bytes, flags=mmap.MAP_PRIVATE, prot=0).close()
    except (OSError, OverflowError) as error:
        gibibytes = pool.reserved_bytes / (1 << 30)
        raise ModuleError(
            f"no address space of {gibibytes:.0f} GiB for {pool.instances} instances"
        ) from error


def _settings(pool: InstancePool) -> dict[str, int]:
    return {
        "total_core_instances": pool.instances,
        "total_memories": pool.instances,
        "total_tables": pool.instances * _TABLES_IN_USE + MAX_TABLES,
        "total_stacks": 0,  # guests run on the thread's own
        "max_tables_per_module": MAX_TABLES,
        "table_elements": VmLimits().table_elements,
        "max_memory_size": pool.slot_bytes,
        "max_core_instance_size": _MAX_INSTANCE_BYTES,
        "linear_memory_keep_resident": _KEPT_RESIDENT,
        "table_keep_resident": _KEPT_RESIDENT,
    }
