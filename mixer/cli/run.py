"""``mixer run``: one request through one module, without a server."""

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from mixer.cli.failure import USAGE, fail

if TYPE_CHECKING:
    from mixer.runner import RunReport
    from mixer.vm import CompileCache

_STOPPED = 1


def run(
    module: Annotated[str, typer.Argument(help="A .wasm file, or `builtin://NAME`.")],
    method: Annotated[str, typer.Option(help="Request method.")] = "GET",
    path: Annotated[str, typer.Option(help="Request path, with its query.")] = "/",
    authority: Annotated[str, typer.Option(help="Request authority (Host).")] = "example.com",
    header: Annotated[
        list[str] | None,
        typer.Option("--header", "-H", help="Request header `NAME: VALUE`; may be repeated."),
    ] = None,
    body: Annotated[
        list[str] | None,
        typer.Option(
            help="Request body, or @FILE; without it, there is none. Repeated: one piece each."
        ),
    ] = None,
    trailer: Annotated[
        list[str] | None,
        typer.Option(help="Request trailer `NAME: VALUE`; may be repeated."),
    ] = None,
    response_status: Annotated[
        int | None,
        typer.Option(
            min=100,
            max=999,
            help="Status of the upstream's response; 200 if another --response option is given. "
            "Without any, only the request's callbacks run.",
        ),
    ] = None,
    response_header: Annotated[
        list[str] | None,
        typer.Option(help="Response header `NAME: VALUE`; may be repeated."),
    ] = None,
    response_body: Annotated[
        list[str] | None,
        typer.Option(help="Response body, or @FILE. Repeated: one piece each."),
    ] = None,
    response_trailer: Annotated[
        list[str] | None,
        typer.Option(help="Response trailer `NAME: VALUE`; may be repeated."),
    ] = None,
    config: Annotated[
        str,
        typer.Option(help="The plugin's configuration, @FILE, or @FILE.yaml with its WasmPlugin."),
    ] = "",
    property_: Annotated[
        list[str] | None,
        typer.Option("--property", help="An attribute `NAME=VALUE`; may be repeated."),
    ] = None,
    adapter: Annotated[
        str | None,
        typer.Option(help="Which WasmPlugin of the file; by default the one with this module."),
    ] = None,
    allow_on_headers_stop_iteration: Annotated[
        bool,
        typer.Option("--allow-on-headers-stop-iteration", help="As Envoy's option of that name."),
    ] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Run one request through a module, and print everything that it did.

    Exit status: 0 if the request is allowed, 1 if not, 2 if the module or the call is unusable.

    Examples: `mixer run builtin://auth --config @mixer.yaml -H 'x-api-key: secret'`;
    `mixer run plugin.wasm --method POST --path /v1 --body @body.json --property source.port=80`;
    `mixer run plugin.wasm --response-status 404 --response-header 'content-type: text/html'
    --response-body '<p>' --response-body '</p>' --response-trailer 'x-checksum: 1'`
    """
    from mixer.cli.module_file import locate
    from mixer.proxywasm import PluginStartError
    from mixer.runner import PropertyError, RunRequest, parse_properties, run_request
    from mixer.runner.inputs import (
        InputError,
        content,
        header_fields,
        header_pairs,
        response,
    )
    from mixer.runner.plugin_file import run_plugin
    from mixer.vm import ModuleError, TrapError, read_module

    try:
        file = locate(module)
        plugin = run_plugin(config, file, adapter)
        if allow_on_headers_stop_iteration:
            settings = replace(plugin.settings, allow_on_headers_stop_iteration=True)
            plugin = replace(plugin, settings=settings)
        request = RunRequest(
            headers=header_pairs(method, path, authority, header or []),
            plugin=plugin,
            body=None if body is None else [content(piece) for piece in body],
            trailers=header_fields(trailer) if trailer else None,
            response=response(response_status, response_header, response_body, response_trailer),
            properties=parse_properties(property_ or []),
        )
        code = read_module(file)
    except (InputError, PropertyError, ModuleError) as error:
        fail(f"mixer run: {error}", USAGE)
    try:
        report = run_request(code, request, _cache())
    except (ModuleError, PluginStartError) as error:
        fail(f"mixer run: {module}: {error}", USAGE)
    except TrapError as error:
        fail(f"mixer run: {module}: trapped while it started: {error}", USAGE)
    _print(report, json_output=json_output)
    raise typer.Exit(0 if report.verdict == "allow" else _STOPPED)


def _cache() -> "CompileCache | None":
    from mixer.config import MixerSpec
    from mixer.vm import CompileCache

    directory = MixerSpec().compile_cache.directory
    return CompileCache(directory) if directory else None


def _print(report: "RunReport", *, json_output: bool) -> None:
    if json_output:
        print(json.dumps(report.as_json(), indent=2, ensure_ascii=False))
        return
    from rich.console import Console

    from mixer.cli.run_report import render

    Console(highlight=False).print(render(report))
