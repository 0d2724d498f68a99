"""``mixer validate``: check without serving."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mixer.cli.failure import fail

if TYPE_CHECKING:
    from mixer.config import Configuration


def validate(
    path: Annotated[Path, typer.Argument(help="A YAML file, or a folder of them.")],
    modules: Annotated[
        bool, typer.Option(help="Also load each module and let it check its configuration.")
    ] = True,
) -> None:
    """Check a configuration, and that every adapter starts with it.

    Exit status: 0 if all is well, 1 if not, with each problem on a line of its own.

    Examples: `mixer validate mixer.yaml`; `mixer validate --no-modules /etc/mixer`
    """
    from mixer.cli.configuration import load_or_fail
    from mixer.engine.unmet import unmet

    configuration = load_or_fail(path)
    _check_expressions(configuration)
    _check_clusters(configuration)
    _check_listeners(configuration)
    for notice in unmet(configuration):
        print(f"note: {notice}", file=sys.stderr)
    _look_at_ledger(configuration)
    if modules:
        _start_adapters(configuration)
    if not configuration.plugins:
        print("note: no adapters: every request would be allowed", file=sys.stderr)
    files, plugins = len(configuration.files), len(configuration.plugins)
    rules = f"{_count(len(configuration.rules), 'rule')}, " if configuration.rules else ""
    print(f"ok: {_count(files, 'file')}, {rules}{_count(plugins, 'adapter')}, "
          f"{'each starts' if modules else 'modules not loaded'}")  # fmt: skip


def _check_expressions(configuration: "Configuration") -> None:
    from mixer.cli.configuration import refuse
    from mixer.config import ConfigError
    from mixer.engine.expressions import compile_expressions

    try:
        compile_expressions(configuration)
    except ConfigError as error:
        refuse(error)


def _look_at_ledger(configuration: "Configuration") -> None:
    from mixer.engine.ledger import obstacle_here

    obstacle = obstacle_here(configuration.mixer.ledger)
    if obstacle is not None:
        print(f"note: {obstacle}", file=sys.stderr)


def _check_clusters(configuration: "Configuration") -> None:
    from mixer.callouts.tls import TlsFilesError
    from mixer.engine.clusters import check_clusters

    try:
        check_clusters(configuration.mixer)
    except TlsFilesError as error:
        fail(f"{error}\n1 problem")


def _check_listeners(configuration: "Configuration") -> None:
    from mixer.transport import ListenError
    from mixer.transport.access import Access

    try:
        Access(configuration.mixer)
    except ListenError as error:
        fail(f"{error}\n1 problem")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _start_adapters(configuration: "Configuration") -> None:
    import logging

    from mixer.engine import Engine

    logging.getLogger("mixer").addHandler(logging.NullHandler())  # the errors are printed below
    logging.getLogger("mixer").propagate = False
    with Engine(configuration.in_memory()) as engine:
        broken = [str(adapter.problem) for adapter in engine.broken]
        for notice in engine.notices:
            print(f"note: {notice}", file=sys.stderr)
    if broken:
        fail("\n".join((*broken, _count(len(broken), "problem"))))
