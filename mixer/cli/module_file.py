"""Reading the module that a command is about."""

from pathlib import Path

from mixer.config.module import builtin_names, module_path
from mixer.vm import ModuleError, read_module


def locate(argument: str) -> Path:
    """Find a ``.wasm`` file, by path or by a URL as ``spec.url`` of a WasmPlugin takes it.

    Raises:
        ModuleError: The URL is none, or there is no such module.
    """
    if "://" not in argument:
        if argument in builtin_names() and not Path(argument).exists():
            raise ModuleError(f"{argument}: no such file; did you mean builtin://{argument}?")
        return Path(argument)
    try:
        return module_path(argument, Path.cwd())
    except ValueError as error:
        raise ModuleError(f"{argument}: {error}") from error


def read(argument: str) -> bytes:
    """Read the module that `locate` finds.

    Raises:
        ModuleError: It cannot be found or read.
    """
    return read_module(locate(argument))
