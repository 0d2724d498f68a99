"""The options of ``mixer run``, in the groups in which its help shows them."""

from enum import StrEnum
from typing import Annotated

import typer

_REQUEST, _RESPONSE, _PLUGIN = "Request", "The upstream's response", "Plugin"
_CALLOUTS = "Callouts and time"

Module = Annotated[str, typer.Argument(help="A .wasm file, or `builtin://NAME`.")]

Method = Annotated[str, typer.Option(help="Request method.", rich_help_panel=_REQUEST)]
Path = Annotated[str, typer.Option(help="Path, with its query.", rich_help_panel=_REQUEST)]
Authority = Annotated[str, typer.Option(help="Authority (Host).", rich_help_panel=_REQUEST)]
Header = Annotated[
    list[str] | None,
    typer.Option(
        "--header", "-H", help="`NAME: VALUE`; may be repeated.", rich_help_panel=_REQUEST
    ),
]
Body = Annotated[
    list[str] | None,
    typer.Option(
        help="Text, or @FILE; without it, there is none. Repeated: one piece each.",
        rich_help_panel=_REQUEST,
    ),
]
Trailer = Annotated[
    list[str] | None,
    typer.Option(help="`NAME: VALUE`; may be repeated.", rich_help_panel=_REQUEST),
]
Metadata = Annotated[
    list[str] | None,
    typer.Option(
        help="`NAME: VALUE` of an HTTP/2 METADATA frame, before the body; may be repeated.",
        rich_help_panel=_REQUEST,
    ),
]
Property = Annotated[
    list[str] | None,
    typer.Option(
        "--property",
        help="An attribute `NAME=VALUE`; may be repeated.",
        rich_help_panel=_REQUEST,
    ),
]

ResponseStatus = Annotated[
    int | None,
    typer.Option(
        min=100,
        max=999,
        help="200 if another --response option is given. Without any, only the request's "
        "callbacks run.",
        rich_help_panel=_RESPONSE,
    ),
]
ResponseHeader = Annotated[
    list[str] | None,
    typer.Option(help="`NAME: VALUE`; may be repeated.", rich_help_panel=_RESPONSE),
]
ResponseBody = Annotated[
    list[str] | None,
    typer.Option(help="Text, or @FILE. Repeated: one piece each.", rich_help_panel=_RESPONSE),
]
ResponseTrailer = Annotated[
    list[str] | None,
    typer.Option(help="`NAME: VALUE`; may be repeated.", rich_help_panel=_RESPONSE),
]

ResponseMetadata = Annotated[
    list[str] | None,
    typer.Option(help="As `--metadata`, of the response.", rich_help_panel=_RESPONSE),
]

Config = Annotated[
    str,
    typer.Option(
        help="The plugin's configuration, @FILE, or @FILE.yaml or @FOLDER with its WasmPlugin.",
        rich_help_panel=_PLUGIN,
    ),
]
Adapter = Annotated[
    str | None,
    typer.Option(
        help="Which WasmPlugin of --config; by default the one with this module.",
        rich_help_panel=_PLUGIN,
    ),
]
AllowOnHeadersStopIteration = Annotated[
    bool,
    typer.Option(
        "--allow-on-headers-stop-iteration",
        help="As Envoy's option of that name.",
        rich_help_panel=_PLUGIN,
    ),
]


class CompatName(StrEnum):
    """The values of ``--compat``; `mixer.proxywasm.Compat` is not imported before it is needed."""

    ENVOY = "envoy"
    LENIENT = "lenient"


Compat = Annotated[
    CompatName | None,
    typer.Option(help="The answers where SDKs do not take Envoy's.", rich_help_panel=_PLUGIN),
]
Allow = Annotated[
    list[str] | None,
    typer.Option(
        help="The only host calls and callbacks, as `mixer inspect` prints them: separated by "
        "commas, or repeated.",
        rich_help_panel=_PLUGIN,
    ),
]

Cluster = Annotated[
    list[str] | None,
    typer.Option(
        help="`NAME=HOST:PORT`: call it for real, in plaintext; may be repeated. Without any, "
        "callouts are refused.",
        rich_help_panel=_CALLOUTS,
    ),
]
Callouts = Annotated[
    bool,
    typer.Option(
        "--callouts",
        help="Call the clusters of the --config file for real.",
        rich_help_panel=_CALLOUTS,
    ),
]
Wait = Annotated[
    float,
    typer.Option(
        min=0.0,
        max=600.0,
        help="Seconds that a paused request may wait.",
        rich_help_panel=_CALLOUTS,
    ),
]

Advance = Annotated[
    float,
    typer.Option(
        min=0.0,
        max=86_400.0,
        help="Seconds that pass before the request: ticks and messages of queues come.",
        rich_help_panel=_CALLOUTS,
    ),
]

Trace = Annotated[
    bool,
    typer.Option("--trace", help="Print each callback and host call, what it gave, and its time."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
