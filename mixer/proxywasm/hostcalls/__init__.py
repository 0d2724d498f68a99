"""The codec between the ABI and the contexts: pointers and statuses here, values there.

One file for each topic; each ends with the table of its calls.
"""

from mixer.proxywasm.hostcalls import (
    buffers,
    dns,
    foreign,
    grpc_calls,
    headers,
    http_calls,
    logging,
    metrics,
    properties,
    redis_calls,
    shared_data,
    shared_queues,
    streams,
    ticks,
    unsupported,
    upstream,
)
from mixer.vm import I32, HostFunction, Signature

UNSUPPORTED = unsupported.NAMES
"""Calls that link but answer UNIMPLEMENTED."""


def _nothing(_context: object, _value: int) -> None:
    """``emscripten_notify_memory_growth``: the memory's size is asked for when it matters."""


def _equal(_context: object, left: int, right: int) -> int:
    return int(left == right)


def host_calls() -> list[HostFunction]:
    """Every function that a module can import from ``env``."""
    topics = (
        logging,
        headers,
        buffers,
        properties,
        streams,
        shared_data,
        shared_queues,
        metrics,
        ticks,
        http_calls,
        grpc_calls,
        redis_calls,
        dns,
        foreign,
        upstream,
        unsupported,
    )
    return [
        *(call.function() for topic in topics for call in topic.CALLS),
        *(call.without_result() for call in streams.VOID_IN_THE_SPECIFICATION),
        HostFunction("env", "emscripten_notify_memory_growth", Signature((I32,), ()), _nothing),
        HostFunction("env", "pthread_equal", Signature((I32, I32), (I32,)), _equal),
    ]
