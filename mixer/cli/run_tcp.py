"""``mixer run-tcp``: one TCP connection through one module, without a server."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from mixer.cli import run_options as options
from mixer.cli.running import plugin_of, print_json, print_lines, starting, usable

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
    from mixer.runner import parse_properties
    from mixer.runner.tcp import RunConnection, pieces, run_connection
    from mixer.runner.trace import Trace

    with usable("mixer run-tcp"):
        plugin, code = plugin_of(module, config, adapter, compat, allow)
        sent = pieces(downstream or (), upstream or ())
        connection = RunConnection(plugin, sent, properties=parse_properties(property_ or []))
    calls = Trace() if trace else None
    with starting("mixer run-tcp", module, calls):
        report = run_connection(
            code,
            connection,
            user_cache(),
            trace=calls,
            compiling=announced(module),
        )
    if json_output:
        print_json(report.as_json(), calls)
    else:
        print_lines((*(calls.lines if calls else ()), *_lines(report)))
    raise typer.Exit(0 if report.verdict == "carried" else _STOPPED)


def _lines(report: "ConnectionReport") -> Iterator[str]:
    from mixer.runner.report import text

    yield f"{report.verdict}: {report.reason}" if report.reason else report.verdict
    yield from report.trap.splitlines()
    yield f"to the upstream  {text(report.to_upstream)}"
    yield f"to the client    {text(report.to_downstream)}"
    if report.held_back:
        yield f"held back        {report.held_back} bytes"
    yield from (f"log {level.name.lower():8} {message}" for level, message in report.logs)
