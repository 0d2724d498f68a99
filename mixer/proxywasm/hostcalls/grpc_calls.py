"""gRPC callouts: unary calls and streams."""

from collections.abc import Callable

from mixer.callouts.ports import GrpcMethod, NotSentError, UnknownClusterError
from mixer.proxywasm.abi import LogLevel, Status
from mixer.proxywasm.contexts import Context
from mixer.proxywasm.grpc_stream import OpenStream
from mixer.proxywasm.hostcalls.refusal import refuse
from mixer.proxywasm.hostcalls.signature import HostCall
from mixer.proxywasm.hostcalls.taking import note_volatile, take
from mixer.proxywasm.pairs import deserialize
from mixer.proxywasm.vm_callouts import CalloutKind

_TOKEN_BYTES = 4  # left as they are where there is no call, as in Envoy
_CALL, _STREAM, _SEND = "proxy_grpc_call", "proxy_grpc_stream", "proxy_grpc_send"


def grpc_call(
    context: Context,
    target: int,
    target_size: int,
    service: int,
    service_size: int,
    method: int,
    method_size: int,
    metadata: int,
    metadata_size: int,
    message: int,
    message_size: int,
    timeout: int,
    token: int,
) -> int:
    """``proxy_grpc_call``: ends in ``proxy_on_grpc_receive`` or ``proxy_on_grpc_close``."""
    context.require_started()
    spans = (target, target_size, service, service_size, method, method_size)
    taken = take(context, *spans, metadata, metadata_size, message, message_size)
    context.vm.instance.memory.check(token, _TOKEN_BYTES)
    if taken is None:
        return refuse(context, _CALL, "the stream handed over too much")
    called = _method(taken, timeout / 1000)
    note_volatile(context)
    try:
        number = context.vm.callouts.grpc_call(context.root, called, taken[4])
    except UnknownClusterError as error:
        return _unknown(context, _CALL, error)
    except NotSentError as error:
        return refuse(context, _CALL, str(error))
    context.vm.instance.memory.write_u32(token, number)
    return Status.OK


def grpc_stream(
    context: Context,
    target: int,
    target_size: int,
    service: int,
    service_size: int,
    method: int,
    method_size: int,
    metadata: int,
    metadata_size: int,
    token: int,
) -> int:
    """``proxy_grpc_stream``: its messages and its end are told by ``proxy_on_grpc_*``."""
    context.require_started()
    spans = (target, target_size, service, service_size, method, method_size)
    taken = take(context, *spans, metadata, metadata_size)
    context.vm.instance.memory.check(token, _TOKEN_BYTES)
    if taken is None:
        return refuse(context, _STREAM, "the stream handed over too much")
    note_volatile(context)
    try:
        stream = OpenStream(context.root, _method(taken, None))
    except UnknownClusterError as error:
        return _unknown(context, _STREAM, error)
    except NotSentError as error:
        return refuse(context, _STREAM, str(error))
    context.vm.instance.memory.write_u32(token, stream.token)
    return Status.OK


def _method(taken: list[bytes], timeout: float | None) -> GrpcMethod:
    target, service, method, metadata = taken[:4]
    return GrpcMethod(
        target,
        service.decode("utf-8", "replace"),
        method.decode("utf-8", "replace"),
        tuple((name.lower(), value) for name, value in deserialize(metadata)),
        timeout,
    )


def _unknown(context: Context, call: str, error: UnknownClusterError) -> Status:
    context.log(LogLevel.WARN, f"{call} answers PARSE_FAILURE: {error}")
    return Status.PARSE_FAILURE


def grpc_send(context: Context, token: int, message: int, size: int, end: int) -> int:
    """``proxy_grpc_send``: a message on a stream."""
    context.require_started()
    note_volatile(context)
    taken = take(context, message, size)
    if CalloutKind.of(token) is not CalloutKind.GRPC_STREAM:
        return Status.BAD_ARGUMENT
    stream = context.vm.callouts.streams.get(token)
    if stream is None:
        return Status.NOT_FOUND
    if taken is None:
        return refuse(context, _SEND, "the stream handed over too much")
    try:
        stream.send(taken[0], end_of_stream=bool(end))
    except NotSentError as error:
        return refuse(context, _SEND, str(error))
    return Status.OK


def grpc_cancel(context: Context, token: int) -> int:
    """``proxy_grpc_cancel``: give a call or a stream up."""
    return _end(context, token, OpenStream.reset)


def grpc_close(context: Context, token: int) -> int:
    """``proxy_grpc_close``: send no more on a stream; give a call up."""
    return _end(context, token, OpenStream.close)


def _end(context: Context, token: int, end: Callable[[OpenStream], None]) -> Status:
    context.require_started()
    note_volatile(context)
    callouts = context.vm.callouts
    kind = CalloutKind.of(token)
    if kind is CalloutKind.GRPC_CALL:
        return Status.OK if callouts.cancel(token) else Status.NOT_FOUND
    if kind is not CalloutKind.GRPC_STREAM:
        return Status.BAD_ARGUMENT
    stream = callouts.streams.get(token)
    if stream is None:
        return Status.NOT_FOUND
    end(stream)
    return Status.OK


CALLS = (
    HostCall(_CALL, "iiiiiiiiiiii", grpc_call),
    HostCall(_STREAM, "iiiiiiiii", grpc_stream),
    HostCall(_SEND, "iiii", grpc_send),
    HostCall("proxy_grpc_cancel", "i", grpc_cancel),
    HostCall("proxy_grpc_close", "i", grpc_close),
)
