"""``mixer --version``."""

from typing import Annotated

import typer


def _print(wanted: bool) -> None:
    if not wanted:
        return
    from importlib.metadata import version

    from mixer.vm import wasmtime_version

    print(f"mixer {version('wasm-mixer')} (wasmtime {wasmtime_version()})")
    raise typer.Exit


def show_version(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Set the options that come before a subcommand."""
