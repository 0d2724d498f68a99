"""How commands compile a module: once for the user, and not in silence if it takes long."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mixer.vm import CompileCache

_LARGE_BYTES = 1 << 20


def user_cache() -> "CompileCache | None":
    """Where `mixer serve` keeps compiled modules by default; None for a user without a home."""
    from mixer.config.service import user_cache_directory
    from mixer.vm import CompileCache

    directory = user_cache_directory()
    return CompileCache(directory) if directory else None


def announced(name: str) -> Callable[[int], None]:
    """What is told before a module is compiled: a large one takes many seconds.

    Args:
        name: The module, as it was typed.
    """

    def announce(size: int) -> None:
        if size > _LARGE_BYTES:
            print(f"compiling {name} ({size:,} bytes)", file=sys.stderr, flush=True)

    return announce
