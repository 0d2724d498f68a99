"""``mixer explain``: ask a running service how it decides a request, or how it did."""

import json
import os
from typing import TYPE_CHECKING, Annotated

import typer

from mixer.cli.failure import FAILED, USAGE, fail

if TYPE_CHECKING:
    import grpc

    from mixer.wire import admin_pb2 as pb

_TIMEOUT_S = 30.0
_UNREACHED = 3
_STOPPING = "the service is stopping"  # as mixer.transport.admin, which takes long to import

_Target = Annotated[
    str, typer.Argument(help="URL or path of a request; with --id, its x-request-id or trace id.")
]
_Admin = Annotated[
    str,
    typer.Option(
        "--admin",
        "-a",
        envvar="MIXER_ADMIN",
        help="`spec.admin.address` of the service: `unix:/path` or `host:port`.",
    ),
]
_ById = Annotated[bool, typer.Option("--id", help="Look up decisions that were made.")]
_Method = Annotated[str, typer.Option("--method", "-X", help="Request method.")]
_Header = Annotated[
    list[str] | None,
    typer.Option("--header", "-H", help="`NAME: VALUE`; may be repeated."),
]
_Body = Annotated[str | None, typer.Option("--body", "-d", help="Text, or @FILE.")]
_Source = Annotated[str, typer.Option(help="Address of the client: `IP:PORT`, or `[IPv6]:PORT`.")]
_Principal = Annotated[
    str, typer.Option(help="Who the client is by its certificate, such as a SPIFFE ID.")
]
_Extension = Annotated[
    list[str] | None,
    typer.Option("--context-extension", help="`NAME=VALUE`; may be repeated."),
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def explain(
    target: _Target,
    admin: _Admin,
    by_id: _ById = False,
    method: _Method = "GET",
    header: _Header = None,
    body: _Body = None,
    source: _Source = "127.0.0.1:0",
    principal: _Principal = "",
    context_extension: _Extension = None,
    json_output: _Json = False,
) -> None:
    """Ask a running service how it decides a request, and print the whole story.

    Which adapter and rule decided and why, the time in each adapter, and what each looked at, with
    secrets masked. The request is decided as Envoy's external authorization would ask about it, by
    the adapters as they are now, without the decision cache; the adapters that are shipped neither
    charge nor record it. With --id, what the service remembers of decisions that it made.

    Exit status: 0 if the request is allowed, 1 if it is not or nothing is known of the id, 2 if the
    command is unusable, 3 if the service does not answer.

    Examples: `mixer explain /orders -H 'x-api-key: secret' -a unix:/run/mixer/admin.sock`;
    `mixer explain https://shop.example/cart -X POST -d @cart.json -a 127.0.0.1:9901`;
    `mixer explain --id 6e9f5b2a-7a6f-4d0f-9f0a-2f8f0b6f2f5e -a 127.0.0.1:9901`
    """
    from mixer.cli import explain_report as report
    from mixer.cli.explain_request import Client, check_request, check_text
    from mixer.runner.inputs import InputError
    from mixer.wire import admin_pb2 as pb

    client = Client(source, principal, tuple(context_extension or ()))
    try:
        check_text("--admin", admin)
        if by_id:
            check_text("the id", target)
            asked = pb.ExplainRequest(id=target)
        else:
            request = check_request(target, method, header or [], body, client)
            asked = pb.ExplainRequest(check_request=request)
    except InputError as error:
        fail(f"mixer explain: {error}", USAGE)
    answer = _ask(admin, asked)
    if not answer.decisions:
        fail(f"mixer explain: no decision with the id {target!r} is remembered", FAILED)
    decisions = [json.loads(one) for one in answer.decisions]
    if json_output:
        print(json.dumps(report.as_json(decisions, answer), indent=2, ensure_ascii=False))
    else:
        print(report.render(decisions, answer))
    raise typer.Exit(0 if decisions[0]["verdict"] == "allow" else FAILED)


def _ask(address: str, asked: "pb.ExplainRequest") -> "pb.ExplainResponse":
    # Else gRPC writes lines of its own beside the one that says what is wrong.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    import grpc

    from mixer.wire import admin_pb2 as pb

    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(
            "/mixer.admin.v1.Admin/Explain",
            request_serializer=pb.ExplainRequest.SerializeToString,
            response_deserializer=pb.ExplainResponse.FromString,
        )
        try:
            answer: pb.ExplainResponse = call(asked, timeout=_TIMEOUT_S)
        except grpc.RpcError as error:
            fail(f"mixer explain: {address}: {_why(error)}", _UNREACHED)
        return answer


def _why(error: "grpc.RpcError") -> str:
    import grpc

    code, details = error.code(), error.details()
    if code is grpc.StatusCode.UNAVAILABLE and details == _STOPPING:
        return _STOPPING
    if code is grpc.StatusCode.UNAVAILABLE:
        return (
            f"nobody answers ({details}). Does the service run, and is this its spec.admin.address?"
        )
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return "who answers is no admin address: give spec.admin.address, not that of a listener"
    return f"{code.name}: {details}"
