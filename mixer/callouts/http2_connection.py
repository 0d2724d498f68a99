"""A connection of HTTP/2 to an upstream, with the bounds that it has for every kind of callout."""

import h2.config
import h2.connection
import h2.exceptions
import h2.settings
from h2.errors import ErrorCodes

MOST_AT_FIRST = 100
"""Exchanges at a time until the upstream tells its own bound: what RFC 9113 recommends."""

_WINDOW_BYTES = 1 << 20
_CONNECTION_WINDOW_BYTES = 16 << 20
_MAX_HEAD_BYTES = 64 * 1024
_HIGHEST_STREAM = (1 << 31) - 1
_SETTINGS = {
    h2.settings.SettingCodes.ENABLE_PUSH: 0,
    h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: _WINDOW_BYTES,
    h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: _MAX_HEAD_BYTES,
}


def connect() -> h2.connection.H2Connection:
    """Begin a connection, whose first bytes are to be sent."""
    config = h2.config.H2Configuration(client_side=True, header_encoding=None)
    protocol = h2.connection.H2Connection(config)
    # Not updated later: they would count only once the upstream has acknowledged them.
    protocol.local_settings = h2.settings.Settings(client=True, initial_values=_SETTINGS)
    protocol.initiate_connection()
    protocol.increment_flow_control_window(_CONNECTION_WINDOW_BYTES)
    return protocol


def is_used_up(protocol: h2.connection.H2Connection) -> bool:
    """Whether there is no number left for a further exchange."""
    return protocol.highest_outbound_stream_id >= _HIGHEST_STREAM - 2


def cancel(protocol: h2.connection.H2Connection, stream: int) -> None:
    """Give an exchange up, if it has not ended from the other side."""
    try:
        protocol.reset_stream(stream, ErrorCodes.CANCEL)
    except (h2.exceptions.StreamClosedError, h2.exceptions.ProtocolError):
        return
