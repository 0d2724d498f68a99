"""Streams and contexts: answer, resume, close, and on whose behalf to act."""

from mixer.proxywasm.abi import BufferType, Status, StreamType
from mixer.proxywasm.contexts import Context
from mixer.proxywasm.departures import NOT_PENDING, UNKNOWN_CONTEXT
from mixer.proxywasm.hostcalls.signature import HostCall
from mixer.proxywasm.hostcalls.taking import note_volatile, take
from mixer.proxywasm.http_stream import LocalResponse
from mixer.proxywasm.pairs import deserialize

_MAX_STREAM = max(StreamType)
_SIGN = 1 << 31


def send_local_response(
    context: Context,
    status: int,
    details: int,
    details_size: int,
    body: int,
    body_size: int,
    headers: int,
    headers_size: int,
    grpc_status: int,
) -> int:
    """``proxy_send_local_response``; carried out once the callback has returned."""
    taken = take(context, details, details_size, body, body_size, headers, headers_size)
    if taken is None:
        return Status.INTERNAL_FAILURE
    reason, content, pairs = taken
    response = LocalResponse(
        status=status,
        details=reason.decode("utf-8", "replace").replace(" ", "_"),
        body=content,
        headers=tuple(deserialize(pairs)),
        grpc_status=grpc_status - 2 * _SIGN if grpc_status & _SIGN else grpc_status,
    )
    context.send_local_response(response)
    return Status.OK


def continue_stream(context: Context, stream_type: int) -> int:
    """``proxy_continue_stream``."""
    if stream_type > _MAX_STREAM:
        return Status.BAD_ARGUMENT
    return context.resume(StreamType(stream_type))


def close_stream(context: Context, stream_type: int) -> int:
    """``proxy_close_stream``."""
    if stream_type > _MAX_STREAM:
        return Status.BAD_ARGUMENT
    return context.close_stream(StreamType(stream_type))


def continue_request(context: Context) -> int:
    """``proxy_continue_request`` of ABI 0.1."""
    return context.resume(StreamType.HTTP_REQUEST)


def continue_response(context: Context) -> int:
    """``proxy_continue_response`` of ABI 0.1."""
    return context.resume(StreamType.HTTP_RESPONSE)


def clear_route_cache(context: Context) -> int:
    """``proxy_clear_route_cache`` of ABI 0.1."""
    context.require_started()
    context.clear_route_cache()
    return Status.OK


def set_effective_context(context: Context, context_id: int) -> int:
    """``proxy_set_effective_context``, until the current callback returns."""
    context.require_started()
    vm = context.vm
    target = vm.contexts.get(context_id) if context_id else vm.current
    if target is None:
        return context.departs(UNKNOWN_CONTEXT)
    if target is not context:
        note_volatile(context)  # what is read or done from now on is another stream's
    vm.instance.data = target
    return Status.OK


def done(context: Context) -> int:
    """``proxy_done``: the plugin has finished what it put off when it was shut down."""
    context.require_started()
    shutdown = context.vm.shutdown
    waited = shutdown is not None and shutdown.done(context.root)
    return Status.OK if waited else context.departs(NOT_PENDING)


def get_configuration(context: Context, data: int, size: int) -> int:
    """``proxy_get_configuration`` of ABI 0.1."""
    own = context.buffer(BufferType.PLUGIN_CONFIGURATION)  # only while it is being configured
    return context.vm.give(context.vm.configuration if own is None else own, data, size)


def get_status(context: Context, code: int, data: int, size: int) -> int:
    """``proxy_get_status``: that of the callout which the plugin is being told of."""
    context.require_started()
    callout = context.root.callout
    status, message = (0, "") if callout is None else (callout.status, callout.message)
    context.vm.instance.memory.write_u32(code, status)
    return context.vm.give(message.encode(), data, size)


VOID_IN_THE_SPECIFICATION = (
    HostCall("proxy_continue_request", "", continue_request),
    HostCall("proxy_continue_response", "", continue_response),
    HostCall("proxy_clear_route_cache", "", clear_route_cache),
)
"""Those of ABI 0.1 that return nothing in its text, and a status in Envoy: both load here."""

CALLS = (
    *VOID_IN_THE_SPECIFICATION,
    HostCall("proxy_send_local_response", "iiiiiiii", send_local_response),
    HostCall("proxy_continue_stream", "i", continue_stream),
    HostCall("proxy_close_stream", "i", close_stream),
    HostCall("proxy_set_effective_context", "i", set_effective_context),
    HostCall("proxy_done", "", done),
    HostCall("proxy_get_configuration", "ii", get_configuration),
    HostCall("proxy_get_status", "iii", get_status),
)
