"""The log of decisions, the same for every front end: ``mixer serve --verbose``."""

import logging

from mixer.engine import Decision, Request

_log = logging.getLogger(__name__)

_LONGEST = 1024


def is_on() -> bool:
    """Whether decisions are logged."""
    return _log.isEnabledFor(logging.DEBUG)


def log_decision(request: Request, decision: Decision, outcome: str = "") -> None:
    """Log who decided what and why; no header of the request and no query: those hold secrets.

    Args:
        request: Told by method and path as the caller asked, whatever was made of them.
        decision: As it was sent.
        outcome: What was decided, where it is not the verdict.
    """
    _log.debug(
        "%s %s: %s by %s%s",
        _quoted(_asked(request, b":method"))[1:-1],
        _quoted(_asked(request, b":path").partition("?")[0]),
        outcome or decision.verdict,
        decision.adapter or "no adapter",
        decision.reason and f": {decision.reason}",
    )


def quota_outcome(name: str, granted: int, amount: int) -> str:
    """What came of a quota, as `log_decision` is told it."""
    return f"{granted} of {amount} of quota {_quoted(name)}"


def _asked(request: Request, name: bytes) -> str:
    value = next(iter(request.headers.original(name)), b"-")
    return value.decode(errors="backslashreplace")


def _quoted(text: str) -> str:
    """What a caller sent, on one line and bounded."""
    return repr(text[:_LONGEST])
