"""What a decision is about, without what may be secret: no header, no query, no values."""

from collections.abc import Mapping
from typing import Any

from mixer.engine import Request

_LONGEST = 1024


def subject(request: Request) -> str:
    """The request by method and path as the caller asked, whatever was made of them.

    What is no HTTP request is told by its rate limit domain and keys, or its types of AuthZEN.
    """
    if next(iter(request.headers.original(b":method")), None) is None:
        rate_limit = request.attributes.get("mixer.rate_limit")
        if isinstance(rate_limit, Mapping):
            return _rate_limited(rate_limit)
        evaluation = request.attributes.get("mixer.authzen")
        if isinstance(evaluation, Mapping):
            return _evaluated(evaluation)
    method = quoted(asked(request, b":method"))[1:-1]
    path = quoted(asked(request, b":path").partition("?")[0])
    return f"{method} {path}"


def _rate_limited(told: Mapping[str, Any]) -> str:
    """The domain, and the keys of the entries: their values may be secrets."""
    keys = ", ".join(told.get("descriptor") or told.get("bucket") or ())
    return f"rate limit {quoted(str(told.get('domain')))} [{quoted(keys)[1:-1]}]"


def _evaluated(told: Mapping[str, Any]) -> str:
    """Types and the name of the action: ids and properties may be secrets."""
    who, action, resource = (
        quoted(str(told[entity][key]))
        for entity, key in (("subject", "type"), ("action", "name"), ("resource", "type"))
    )
    return f"evaluation {who} {action} {resource}"


def asked(request: Request, name: bytes) -> str:
    """A header as the caller sent it; ``-`` where there is none."""
    value = next(iter(request.headers.original(name)), b"-")
    return value.decode(errors="backslashreplace")


def one_line(text: str, longest: int = _LONGEST) -> str:
    """What a caller or a module said, bounded, and as it is where all of it can be printed."""
    text = text[:longest]
    return text if text.isprintable() else repr(text)[1:-1]


def quoted(text: str) -> str:
    """What a caller sent, on one line and bounded."""
    return repr(text[:_LONGEST])
