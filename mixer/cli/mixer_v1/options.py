"""The options of ``mixer check``, ``mixer quota`` and ``mixer report``: ``mixc``'s, and more."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import typer

_ATTRIBUTES, _CALLS, _TLS = "Attributes", "Calls", "TLS"


def _attributes(*names: str, such_as: str) -> Any:
    return typer.Option(
        *names, help=f"Such as `{such_as}`.", rich_help_panel=_ATTRIBUTES, metavar="LIST"
    )


def _tls(name: str, what: str) -> Any:
    return typer.Option(name, help=what, rich_help_panel=_TLS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """The options that all three commands have."""

    attributes: Annotated[
        list[str] | None,
        typer.Option(
            "--attributes", "-a", metavar="LIST", rich_help_panel=_ATTRIBUTES,
            help="`NAME=VALUE,...` (as for each of these; may be repeated) of the first type that "
            "fits: int64, double, bool, timestamp, duration, bytes, string map, string.",
        ),
    ] = None  # fmt: skip
    string_attributes: Annotated[
        list[str] | None,
        _attributes("--string_attributes", "-s", such_as="source.name=reviews"),
    ] = None
    int64_attributes: Annotated[
        list[str] | None,
        _attributes("--int64_attributes", "-i", such_as="response.code=200"),
    ] = None
    double_attributes: Annotated[
        list[str] | None,
        _attributes("--double_attributes", "-d", such_as="order.total=12.5"),
    ] = None
    bool_attributes: Annotated[
        list[str] | None,
        _attributes("--bool_attributes", "-b", such_as="connection.mtls=true"),
    ] = None
    timestamp_attributes: Annotated[
        list[str] | None,
        _attributes(
            "--timestamp_attributes", "-t",
            such_as="request.time=2019-10-02T15:04:05Z",
        ),
    ] = None  # fmt: skip
    duration_attributes: Annotated[
        list[str] | None,
        _attributes("--duration_attributes", such_as="response.duration=5ms"),
    ] = None
    bytes_attributes: Annotated[
        list[str] | None,
        _attributes("--bytes_attributes", such_as="source.ip=c0:00:00:02"),
    ] = None
    stringmap_attributes: Annotated[
        list[str] | None,
        _attributes("--stringmap_attributes", such_as="request.headers=k1:v1;k2:v2"),
    ] = None
    file: Annotated[
        Path | None,
        typer.Option(
            help="A YAML or JSON file whose fields are called as these flags; a flag's attribute "
            "takes the place of the file's.",
            rich_help_panel=_ATTRIBUTES,
        ),
    ] = None
    mixer: Annotated[
        str,
        typer.Option(
            "--mixer", "-m", metavar="HOST:PORT", help="Where Mixer listens, or `unix:PATH`.",
            rich_help_panel=_CALLS,
        ),
    ] = "localhost:9091"  # fmt: skip
    tls: Annotated[
        bool,
        typer.Option(
            "--tls", rich_help_panel=_TLS,
            help="Speak TLS, and trust whom gRPC does. Each of the following implies it.",
        ),
    ] = False  # fmt: skip
    ca_file: Annotated[
        Path | None, _tls("--ca-file", "PEM of the authorities to trust instead.")
    ] = None
    cert_file: Annotated[
        Path | None, _tls("--cert-file", "PEM of the certificate to show Mixer.")
    ] = None
    key_file: Annotated[Path | None, _tls("--key-file", "PEM of its key.")] = None
    server_name: Annotated[
        str | None,
        _tls("--server-name", "DNS name that Mixer's certificate must have; by default the host."),
    ] = None
    timeout: Annotated[
        float,
        typer.Option(
            min=0.001, max=86_400, help="Seconds to wait for each answer.", rich_help_panel=_CALLS
        ),
    ] = 10.0
    repeat: Annotated[
        int,
        typer.Option(
            "--repeat", "-r", min=1, max=10_000_000, help="How often each worker sends it.",
            rich_help_panel=_CALLS,
        ),
    ] = 1  # fmt: skip
    concurrency: Annotated[
        int,
        typer.Option(
            "--concurrency", "-c", min=1, max=1000, help="Workers, each a thread.",
            rich_help_panel=_CALLS,
        ),
    ] = 1  # fmt: skip
    rate: Annotated[
        int,
        typer.Option(help="Calls a second of each worker; -1: no limit.", rich_help_panel=_CALLS),
    ] = -1
    print_response: Annotated[
        str,
        typer.Option(
            "--print_response", metavar="BOOL", help="Whether to print the first answer.",
            rich_help_panel=_CALLS,
        ),
    ] = "true"  # fmt: skip
    global_dictionary: Annotated[
        bool,
        typer.Option(
            "--global-dictionary",
            help="Send indices for the words of the global dictionary, as a proxy does; Mixer "
            "must know as many.",
            rich_help_panel=_CALLS,
        ),
    ] = False
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False


Quotas = Annotated[
    list[str] | None,
    typer.Option(
        "--quotas",
        "-q",
        metavar="LIST",
        help="Quotas to allocate: `NAME=AMOUNT,...`; may be repeated.",
    ),
]
BestEffort = Annotated[
    bool, typer.Option(help="Whether less than the amount is welcome where there is not enough.")
]
DeduplicationId = Annotated[
    str | None,
    typer.Option(
        "--deduplication-id",
        help="The same for all calls. Without it, each call has one of its own.",
    ),
]
ReportBatchSize = Annotated[
    int,
    typer.Option(
        "--report_batch_size", min=1, max=100_000, help="Records in each call, at most.",
        rich_help_panel=_CALLS,
    ),
]  # fmt: skip


def asking(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the fields of `Asking`, its first parameter, as options."""
    shared = [field.name for field in fields(Asking)]

    def called(**options: Any) -> None:
        command(Asking(**{name: options.pop(name) for name in shared}), **options)

    parameters = [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type
        )
        for field in fields(Asking)
    ]
    _, *own = inspect.signature(command).parameters.values()
    own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    called.__signature__ = inspect.Signature([*own, *parameters])  # type: ignore[attr-defined]
    called.__annotations__ = {one.name: one.annotation for one in (*own, *parameters)}
    called.__name__, called.__doc__ = command.__name__, command.__doc__
    return called
