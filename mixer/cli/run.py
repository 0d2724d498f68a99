"""``mixer run``: one request through one module, without a server."""

import json
from typing import TYPE_CHECKING

import typer

from mixer.cli import run_options as options
from mixer.cli.failure import USAGE, fail

if TYPE_CHECKING:
    from mixer.config import MixerSpec
    from mixer.runner import RunReport, RunRequest
    from mixer.runner.trace import TraceLine

_STOPPED = 1


def run(
    module: options.Module,
    method: options.Method = "GET",
    path: options.Path = "/",
    authority: options.Authority = "example.com",
    header: options.Header = None,
    body: options.Body = None,
    trailer: options.Trailer = None,
    metadata: options.Metadata = None,
    property_: options.Property = None,
    response_status: options.ResponseStatus = None,
    response_header: options.ResponseHeader = None,
    response_body: options.ResponseBody = None,
    response_trailer: options.ResponseTrailer = None,
    response_metadata: options.ResponseMetadata = None,
    config: options.Config = "",
    adapter: options.Adapter = None,
    allow_on_headers_stop_iteration: options.AllowOnHeadersStopIteration = False,
    cluster: options.Cluster = None,
    callouts: options.Callouts = False,
    advance: options.Advance = 0.0,
    wait: options.Wait = 15.0,
    trace: options.Trace = False,
    compat: options.Compat = None,
    allow: options.Allow = None,
    json_output: options.Json = False,
) -> None:
    """Run one request through a module, and print everything that it did.

    Exit status: 0 if the request is allowed, 1 if not, 2 if the module or the call is unusable.

    Examples: `mixer run builtin://auth --config @mixer.yaml -H 'x-api-key: secret'`;
    `mixer run plugin.wasm --method POST --path /v1 --body @body.json --property source.port=80`;
    `mixer run plugin.wasm --response-status 404 --response-header 'content-type: text/html'
    --response-body '<p>' --response-body '</p>' --response-trailer 'x-checksum: 1'`;
    `mixer run plugin.wasm --cluster auth=127.0.0.1:8000 --trace`
    """
    from mixer.cli.module_file import locate
    from mixer.cli.run_callouts import called_clusters
    from mixer.proxywasm import Compat
    from mixer.runner import PropertyError, RunRequest, parse_properties
    from mixer.runner.inputs import (
        InputError,
        capabilities,
        content,
        header_fields,
        header_pairs,
        metadata_blocks,
        response,
    )
    from mixer.runner.plugin_file import run_plugin
    from mixer.vm import ModuleError, read_module

    try:
        file = locate(module)
        plugin = run_plugin(config, file, adapter)
        request = RunRequest(
            headers=header_pairs(method, path, authority, header or []),
            plugin=plugin.with_options(
                stop_iteration=allow_on_headers_stop_iteration,
                compat=Compat(compat) if compat else None,
                allowed=capabilities(allow or ()),
            ),
            body=None if body is None else [content(piece) for piece in body],
            trailers=header_fields(trailer) if trailer else None,
            metadata=metadata_blocks(metadata or ()),
            response=response(
                response_status, response_header, response_body, response_trailer, response_metadata
            ),
            properties=parse_properties(property_ or []),
            advance=advance,
            wait=wait,
        )
        clusters = called_clusters(cluster or (), config, all_of_config=callouts)
        code = read_module(file)
    except (InputError, PropertyError, ModuleError) as error:
        fail(f"mixer run: {error}", USAGE)
    report, lines = _run_or_fail(module, code, request, clusters, trace=trace)
    _print(report, lines, json_output=json_output)
    raise typer.Exit(0 if report.verdict == "allow" else _STOPPED)


def _run_or_fail(
    module: str, code: bytes, request: "RunRequest", clusters: "MixerSpec | None", *, trace: bool
) -> "tuple[RunReport, list[TraceLine] | None]":
    from mixer.cli.compiling import announced, user_cache
    from mixer.cli.run_callouts import network
    from mixer.proxywasm import PluginStartError
    from mixer.runner import run_request
    from mixer.runner.trace import Trace
    from mixer.vm import ModuleError, TrapError

    calls = Trace() if trace else None
    lines = calls.lines if calls else None
    try:
        with network(clusters) as waiter:
            report = run_request(
                code,
                request,
                user_cache(),
                waiter=waiter,
                trace=calls,
                compiling=announced(module),
            )
            return report, lines
    except (ModuleError, PluginStartError) as error:
        _print_trace(lines)
        fail(f"mixer run: {module}: {error}", USAGE)
    except TrapError as error:
        _print_trace(lines)
        fail(f"mixer run: {module}: trapped while it started: {error}", USAGE)


def _print_trace(lines: "list[TraceLine] | None") -> None:
    for line in lines or ():
        print(line)


def _print(report: "RunReport", trace: "list[TraceLine] | None", *, json_output: bool) -> None:
    if json_output:
        calls = {} if trace is None else {"trace": [line.as_json() for line in trace]}
        print(json.dumps(report.as_json() | calls, indent=2, ensure_ascii=False))
        return
    _print_trace(trace)
    from rich.console import Console

    from mixer.cli.run_report import render

    Console(highlight=False).print(render(report), soft_wrap=True)
