"""What ``mixer run`` and ``mixer run-tcp`` have in common: their plugin, and how they end."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mixer.cli.failure import USAGE, fail

if TYPE_CHECKING:
    from mixer.cli.run_options import CompatName
    from mixer.runner import RunPlugin
    from mixer.runner.trace import Trace


def plugin_of(
    module: str,
    config: str,
    adapter: str | None,
    compat: "CompatName | None",
    allow: list[str] | None,
    *,
    stop_iteration: bool = False,
) -> "tuple[RunPlugin, bytes]":
    """What the options say of a plugin, and the code of its module.

    Raises:
        InputError: An option cannot be read.
        ModuleError: The module cannot be found or read.
    """
    from mixer.cli.module_file import locate
    from mixer.proxywasm import Compat
    from mixer.runner.inputs import capabilities
    from mixer.runner.plugin_file import run_plugin
    from mixer.vm import read_module

    file = locate(module)
    plugin = run_plugin(config, file, adapter).with_options(
        stop_iteration=stop_iteration,
        compat=Compat(compat) if compat else None,
        allowed=capabilities(allow or ()),
    )
    return plugin, read_module(file)


@contextmanager
def usable(command: str) -> Iterator[None]:
    """End the command where its options cannot be read.

    Args:
        command: As it is typed.
    """
    from mixer.runner import PropertyError
    from mixer.runner.inputs import InputError
    from mixer.vm import ModuleError

    try:
        yield
    except (InputError, PropertyError, ModuleError) as error:
        fail(f"{command}: {error}", USAGE)


@contextmanager
def starting(command: str, module: str, trace: "Trace | None") -> Iterator[None]:
    """End the command where the module does not start, with the calls until then.

    Args:
        command: As it is typed.
        module: Likewise.
        trace: Has the calls, or None.
    """
    from mixer.proxywasm import PluginStartError
    from mixer.vm import ModuleError, TrapError

    try:
        yield
    except (ModuleError, PluginStartError) as error:
        print_lines(trace.lines if trace else ())
        fail(f"{command}: {module}: {error}", USAGE)
    except TrapError as error:
        print_lines(trace.lines if trace else ())
        fail(f"{command}: {module}: trapped while it started: {error}", USAGE)


def print_json(report: Mapping[str, Any], trace: "Trace | None") -> None:
    """Print what happened, with the calls where they were wanted."""
    calls = {"trace": [line.as_json() for line in trace.lines]} if trace else {}
    print(json.dumps({**report, **calls}, indent=2, ensure_ascii=False))


def print_lines(lines: Iterable[object]) -> None:
    """Print one after the other."""
    for line in lines:
        print(line)
