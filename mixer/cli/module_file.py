"""Reading the module that a command is about."""

from pathlib import Path

from mixer.config.module import module_path
from mixer.vm import ModuleError, read_module


def read(argument: str) -> bytes:
    """Read a ``.wasm`` file, or a module that is shipped with the service (``builtin://NAME``).

    Raises:
        ModuleError: There is no such file or module.
    """
    if not argument.startswith("builtin://"):
        return read_module(Path(argument))
    try:
        return read_module(module_path(argument, Path()))
    except ValueError as error:
        raise ModuleError(f"{argument}: {error}") from error
