"""How a connection to Redis begins: who logs in, and which database is meant."""

import re
from urllib.parse import parse_qsl

from mixer.callouts.ports import RedisTarget

_MOST_SHOWN = 200
_ECHO = re.compile(rb"[`'\"]")


def cluster_name(service: str) -> str:
    """The cluster's name, without the settings behind it."""
    return service.partition("?")[0]


def login_queries(target: RedisTarget) -> list[tuple[str, bytes]]:
    """What is sent before all calls, as Higress does: AUTH and SELECT, each if asked for.

    The settings behind the name that Higress knows are ``db``, ``buffer_flush_timeout`` and
    ``max_buffer_size_before_flush``. The last two say how long queries are held back, which this
    client never does: queries of one turn of the event loop are written together.

    Returns:
        The name of each command, and its raw RESP.
    """
    queries = []
    if target.username:
        queries.append(("AUTH", encode("AUTH", target.username, target.password)))
    elif target.password:
        queries.append(("AUTH", encode("AUTH", target.password)))
    settings = dict(parse_qsl(target.service.partition("?")[2]))
    if "db" in settings:
        queries.append(("SELECT", encode("SELECT", settings["db"])))
    return queries


def encode(*arguments: str) -> bytes:
    """One command in RESP."""
    parts = [argument.encode(errors="surrogateescape") for argument in arguments]
    strings = b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
    return b"*%d\r\n%s" % (len(parts), strings)


def shown_error(reply: bytes, target: RedisTarget) -> str:
    """What may be logged of an error reply to a login.

    A server that does not know a command quotes its arguments: nothing from the first quotation
    mark on is shown, and neither user nor password wherever they are.
    """
    text = _ECHO.split(reply[1:])[0].strip().decode(errors="replace")
    for secret in filter(None, (target.password, target.username)):
        text = text.replace(secret, "***")
    return "".join(c if c.isprintable() else "?" for c in text[:_MOST_SHOWN])
