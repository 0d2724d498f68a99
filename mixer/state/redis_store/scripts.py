"""The Lua scripts beside this file, each of which the server runs as a whole or not at all."""

from importlib import resources


def script(name: str) -> str:
    """The text of one script."""
    return (resources.files(__package__) / f"{name}.lua").read_text(encoding="utf-8")
