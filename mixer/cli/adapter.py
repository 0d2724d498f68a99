"""``mixer adapter``: for authors of plugins."""

from pathlib import Path
from typing import Annotated

import typer

from mixer.cli.failure import USAGE, fail
from mixer.templates import Language

adapter = typer.Typer(
    name="adapter",
    help="For authors of plugins.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

_Name = Annotated[str, typer.Argument(help="Of the plugin: a-z, 0-9 and '-'.")]
_Lang = Annotated[
    str,
    typer.Option("--lang", "-l", metavar=f"[{'|'.join(Language)}]", help="What it is written in."),
]
_Directory = Annotated[
    Path | None,
    typer.Option("--directory", "-d", help="Where to write it; by default a folder of its name."),
]


@adapter.callback()
def _group() -> None:
    """For authors of plugins."""


@adapter.command()
def new(name: _Name, lang: _Lang, directory: _Directory = None) -> None:
    """Write a small project for a plugin: it builds, and has a test that passes.

    Exit status: 0 once it is written, 2 if the name or the folder cannot be used.

    Examples: `mixer adapter new --lang rust team-header`;
    `mixer adapter new -l go team-header -d plugins/team`
    """
    from mixer.templates import ProjectError, new_project

    folder = Path(name) if directory is None else directory
    try:
        written = new_project(_language(lang), name, folder)
    except ProjectError as error:
        fail(f"mixer adapter new: {error}", USAGE)
    for file in written:
        print(file)
    print(f"\nnext: cd {folder} && make test")


def _language(given: str) -> Language:
    known = [str(one) for one in Language]
    if given not in known:
        fail(f"mixer adapter new: --lang must be one of {', '.join(known)}, not {given!r}", USAGE)
    return Language(given)
