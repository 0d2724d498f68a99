"""``mixer run-tcp``: one TCP connection through one module, without a server."""

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from mixer.cli import run_options as options
from mixer.cli.failure import USAGE, fail

if TYPE_CHECKING:
    from mixer.runner.tcp import ConnectionReport

_STOPPED = 1


def run_tcp(
    module: options.Module,
    downstream: Annotated[
        list[str] | None,
        typer.Option(help="What the client sends: text, or @FILE. Repeated: one piece each."),
    ] = None,
    upstream: Annotated[
        list[str] | None,
        typer.Option(help="What the upstream sends, after all that the client does."),
    ] = None,
    property_: options.Property = None,
    config: options.Config = "",
    adapter: options.Adapter = None,
    trace: options.Trace = False,
    compat: options.Compat = None,
    allow: options.Allow = None,
    json_output: options.Json = False,
) -> None:
    """Run one TCP connection through a module, as Envoy's network filter does, and print it.

    Each side ends with its last piece. Exit status: 0 if the data was carried, 1 if not, 2 if the
    module or the call is unusable.

    Example: `mixer run-tcp plugin.wasm --downstream HELO --downstream QUIT --upstream '250 OK'`
    """
    from mixer.cli.compiling import announced, user_cache
    from mixer.cli.module_file import locate
    from mixer.proxywasm import Compat, PluginStartError
    from mixer.runner import PropertyError, parse_properties
    from mixer.runner.inputs import InputError, capabilities
    from mixer.runner.plugin_file import run_plugin
    from mixer.runner.tcp import RunConnection, pieces, run_connection
    from mixer.runner.trace import Trace
    from mixer.vm import ModuleError, TrapError, read_module

    calls = Trace()
    try:
        file = locate(module)
        plugin = run_plugin(config, file, adapter).with_options(
            compat=Compat(compat) if compat else None, allowed=capabilities(allow or ())
        )
        sent = pieces(downstream or (), upstream or ())
        connection = RunConnection(plugin, sent, properties=parse_properties(property_ or []))
        code = read_module(file)
    except (InputError, PropertyError, ModuleError) as error:
        fail(f"mixer run-tcp: {error}", USAGE)
    try:
        report = run_connection(
            code,
            connection,
            user_cache(),
            trace=calls if trace else None,
            compiling=announced(module),
        )
    except (ModuleError, PluginStartError) as error:
        _print(calls.lines)
        fail(f"mixer run-tcp: {module}: {error}", USAGE)
    except TrapError as error:
        _print(calls.lines)
        fail(f"mixer run-tcp: {module}: trapped while it started: {error}", USAGE)
    if json_output:
        lines = {"trace": [line.as_json() for line in calls.lines]} if trace else {}
        print(json.dumps(report.as_json() | lines, indent=2, ensure_ascii=False))
    else:
        _print((*calls.lines, *_lines(report)))
    raise typer.Exit(0 if report.verdict == "carried" else _STOPPED)


def _print(lines: Iterable[object]) -> None:
    for line in lines:
        print(line)


def _lines(report: "ConnectionReport") -> Iterator[str]:
    from mixer.runner.report import text

    yield f"{report.verdict}: {report.reason}" if report.reason else report.verdict
    yield from report.trap.splitlines()
    yield f"to the upstream  {text(report.to_upstream)}"
    yield f"to the client    {text(report.to_downstream)}"
    if report.held_back:
        yield f"held back        {report.held_back} bytes"
    yield from (f"log {level.name.lower():8} {message}" for level, message in report.logs)
