"""Where a server listens, as a user writes it."""

import re

_HOST_PORT = re.compile(
    r"(?:dns:(?://[^/\s]*/)?)?(?:\[[\w:.%]+\]|[^\s:/\[\]@]+):(?P<port>[0-9]{1,5})"
)
_MOST_PORT = 65535


def check_target(text: str) -> None:
    """Refuse what gRPC would read as another address than it looks like.

    gRPC itself takes a port modulo 65536, 443 where there is none, and a URL for a name of DNS.

    Args:
        text: ``HOST:PORT``, ``[IPv6]:PORT``, ``dns:///HOST:PORT`` or ``unix:/path``.

    Raises:
        ValueError: It is none of these; the message says what to write.
    """
    if not (text.isprintable() and (_is_socket(text) or _has_port(text))):
        raise ValueError(
            f"write HOST:PORT with 0 < PORT < {_MOST_PORT + 1}, or unix:/path, not {text!r}"
        )


def _is_socket(text: str) -> bool:
    return len(text) > len("unix:") and text.startswith("unix:")


def _has_port(text: str) -> bool:
    match = _HOST_PORT.fullmatch(text)
    return match is not None and 0 < int(match["port"]) <= _MOST_PORT
