"""``mixer run``: one request through one module, without a server."""

from typing import TYPE_CHECKING

import typer

from mixer.cli import run_options as options
from mixer.cli.running import plugin_of, print_json, print_lines, starting, usable

if TYPE_CHECKING:
    from mixer.config import MixerSpec
    from mixer.runner import RunReport, RunRequest
    from mixer.runner.trace import Trace

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
    from mixer.cli.run_callouts import called_clusters
    from mixer.runner import RunRequest, parse_properties
    from mixer.runner.inputs import content, header_fields, header_pairs, metadata_blocks, response
    from mixer.runner.trace import Trace

    with usable("mixer run"):
        plugin, code = plugin_of(
            module,
            config,
            adapter,
            compat,
            allow,
            stop_iteration=allow_on_headers_stop_iteration,
        )
        request = RunRequest(
            headers=header_pairs(method, path, authority, header or []),
            plugin=plugin,
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
    calls = Trace() if trace else None
    report = _run(module, code, request, clusters, calls)
    if json_output:
        print_json(report.as_json(), calls)
    else:
        _print(report, calls)
    raise typer.Exit(0 if report.verdict == "allow" else _STOPPED)


def _run(
    module: str,
    code: bytes,
    request: "RunRequest",
    clusters: "MixerSpec | None",
    trace: "Trace | None",
) -> "RunReport":
    from mixer.cli.compiling import announced, user_cache
    from mixer.cli.run_callouts import network
    from mixer.runner import run_request

    with starting("mixer run", module, trace), network(clusters) as waiter:
        return run_request(
            code,
            request,
            user_cache(),
            waiter=waiter,
            trace=trace,
            compiling=announced(module),
        )


def _print(report: "RunReport", trace: "Trace | None") -> None:
    from rich.console import Console

    from mixer.cli.run_report import render

    print_lines(trace.lines if trace else ())
    Console(highlight=False).print(render(report), soft_wrap=True)
