"""The limits of gRPC listeners, as options of gRPC's core."""

from mixer.config import ServiceLimits

LEAST_PING_INTERVAL_S = 10
"""A peer that pings more often, three times, is disconnected."""

Options = tuple[tuple[str, int], ...]

_FOR_EVER_MS = 2**31 - 1


def server_options(limits: ServiceLimits) -> Options:
    """What a server is made with."""
    one = limits.connections
    return (
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", limits.max_message_bytes),
        ("grpc.max_allowed_incoming_connections", one.max_connections),
        ("grpc.max_concurrent_streams", one.max_concurrent_streams),
        # It counts calls that are over until all of them is freed, which is later than their client
        # knows, and refuses a client that keeps to the limit; a proxy may let requests pass then.
        ("grpc.http.overload_protection", 0),
        # Between the first and the second of them gRPC refuses at random.
        ("grpc.max_metadata_size", one.max_metadata_bytes),
        ("grpc.absolute_max_metadata_size", one.max_metadata_bytes),
        ("grpc.server_handshake_timeout_ms", _ms(one.handshake_timeout)),
        ("grpc.max_connection_idle_ms", _ms(one.idle_timeout)),
        ("grpc.max_connection_age_ms", _ms(one.max_age)),
        ("grpc.max_connection_age_grace_ms", _ms(one.max_age_grace)),
        ("grpc.keepalive_time_ms", _ms(one.keepalive_interval)),
        # It is the second of them that ends a connection whose peer answers no ping.
        ("grpc.keepalive_timeout_ms", _ms(one.keepalive_timeout)),
        ("grpc.http2.ping_timeout_ms", _ms(one.keepalive_timeout)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", _ms(LEAST_PING_INTERVAL_S)),
    )


def _ms(seconds: float | None) -> int:
    return _FOR_EVER_MS if seconds is None else min(round(seconds * 1000), _FOR_EVER_MS)
