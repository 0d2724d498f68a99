"""HTTP callouts."""

from mixer.callouts.ports import HttpCall, NotSentError, Pairs, UnknownClusterError
from mixer.proxywasm.abi import LogLevel, Status
from mixer.proxywasm.contexts import Context
from mixer.proxywasm.hostcalls.refusal import refuse
from mixer.proxywasm.hostcalls.signature import HostCall
from mixer.proxywasm.hostcalls.taking import note_volatile, take
from mixer.proxywasm.pairs import deserialize

_CALL = "proxy_http_call"
_SIGN = 1 << 31
_MAX_CLUSTER_BYTES = 4096
_REQUIRED = (b":method", b":path", b":authority")


def http_call(
    context: Context,
    cluster: int,
    cluster_size: int,
    headers: int,
    headers_size: int,
    body: int,
    body_size: int,
    trailers: int,
    trailers_size: int,
    timeout: int,
    token: int,
) -> int:
    """``proxy_http_call``: told to the plugin by ``proxy_on_http_call_response``."""
    context.require_started()
    spans = (cluster, cluster_size, headers, headers_size, body, body_size, trailers, trailers_size)
    taken = take(context, *spans)
    context.vm.instance.memory.write_u32(token, 0)
    if taken is None:
        return refuse(context, _CALL, "the stream handed over too much")
    note_volatile(context)
    if timeout & _SIGN:
        return bad_argument(context, _CALL, f"timeout {timeout - 2 * _SIGN} ms")
    name, sent, content, last = taken
    if len(name) > _MAX_CLUSTER_BYTES:
        return bad_argument(context, _CALL, f"the cluster's name has {len(name)} bytes")
    fields = _request_headers(sent, len(content))
    missing = [one.decode() for one in _REQUIRED if one not in dict(fields)]
    if missing:
        return bad_argument(context, _CALL, f"headers lack {', '.join(missing)}")
    call = HttpCall(
        name.decode("utf-8", "replace"), fields, content, tuple(deserialize(last)), seconds(timeout)
    )
    return _send(context, call, token)


def _request_headers(data: bytes, body_size: int) -> Pairs:
    fields = tuple((_name(n), v) for n, v in deserialize(data))
    if not body_size:
        return fields
    kept = (pair for pair in fields if pair[0] != b"content-length")
    return (*kept, (b"content-length", b"%d" % body_size))


def _name(name: bytes) -> bytes:
    lower = name.lower()
    return b":authority" if lower == b"host" else lower


def _send(context: Context, call: HttpCall, token: int) -> Status:
    vm = context.vm
    try:
        number = vm.callouts.http_call(context.root, call)
    except UnknownClusterError as error:
        return bad_argument(context, _CALL, f"{error}")
    except NotSentError as error:
        return refuse(context, _CALL, str(error))
    vm.instance.memory.write_u32(token, number)
    return Status.OK


def seconds(milliseconds: int) -> float | None:
    """A timeout of the ABI: 0 is none."""
    return milliseconds / 1000 if milliseconds else None


def bad_argument(context: Context, call: str, why: str) -> Status:
    """Answer BAD_ARGUMENT, and say which one it was: the status alone does not."""
    context.log(LogLevel.WARN, f"{call} answers BAD_ARGUMENT: {why}")
    return Status.BAD_ARGUMENT


CALLS = (HostCall(_CALL, "iiiiiiiiii", http_call),)
