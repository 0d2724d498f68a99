"""How the server is reached over gRPC."""

from typing import Any

import grpc

from mixer.client.retry import Failure
from mixer.client.tls import TlsSettings

CHECK = "/istio.mixer.v1.Mixer/Check"
REPORT = "/istio.mixer.v1.Mixer/Report"

CLOSED = "the client is closed"

OPTIONS = (
    ("grpc.enable_retries", 0),  # those of the client carry its deduplication id
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),  # whatever http_proxy is for: not for every request's decision
)
"""A server that was away is found again within a second; gRPC's own default is two minutes."""

_UNKNOWN = 2

Option = tuple[str, int | str]


def secured(
    tls: TlsSettings | None, credentials: grpc.ChannelCredentials | None = None
) -> tuple[grpc.ChannelCredentials | None, tuple[Option, ...]]:
    """What a channel is secured with; None for plaintext.

    Args:
        tls: As it was asked for.
        credentials: Of gRPC, which go before.

    Returns:
        Credentials, and options that belong to them.

    Raises:
        ValueError: A file cannot be used.
    """
    if credentials is not None or tls is None:
        return credentials, ()
    name = tls.server_name
    options = () if name is None else (("grpc.ssl_target_name_override", name),)
    return grpc.ssl_channel_credentials(*tls.read()), options


def failure_of(error: grpc.RpcError) -> Failure:
    """What gRPC says of a call that failed."""
    code = error.code()
    return Failure(code.value[0] if code else _UNKNOWN, error.details() or "")


def reply_of(call: Any) -> Any:
    """What came of a call that is over: its answer, or why there is none."""
    if call.code() is grpc.StatusCode.OK:
        return call.result()
    return failure_of(call)
