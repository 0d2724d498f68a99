"""The Lua scripts beside this file, each of which the server runs as a whole or not at all."""

from importlib import resources


def script(name: str) -> str:
    """The text of one script."""
    return script_of(__package__, name)


def script_of(package: str, name: str) -> str:
    """The text of a script of another package."""
    return (resources.files(package) / f"{name}.lua").read_text(encoding="utf-8")
