"""The log of decisions, the same for every front end: ``mixer serve --verbose``."""

import logging

from mixer.attributes import AttributeBag
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
    method = _quoted(_asked(request, b":method"))[1:-1]
    path = _quoted(_asked(request, b":path").partition("?")[0])
    _log_outcome(f"{method} {path}", decision, outcome or decision.verdict)


def log_connection(attributes: AttributeBag, decision: Decision) -> None:
    """Log who decided what about a TCP connection, where decisions are logged."""
    if is_on():
        ends = (attributes.get(f"{peer}.address") for peer in ("source", "destination"))
        source, destination = (_quoted(str(one or "-"))[1:-1] for one in ends)
        _log_outcome(f"connection {source} -> {destination}", decision, decision.verdict)


def _log_outcome(subject: str, decision: Decision, outcome: str) -> None:
    by, rule = decision.adapter or "no adapter", decision.rule and f" (rule {decision.rule})"
    reason = decision.reason and f": {decision.reason}"
    _log.debug("%s: %s by %s%s%s", subject, outcome, by, rule, reason)


def quota_outcome(name: str, granted: int, amount: int) -> str:
    """What came of a quota, as `log_decision` is told it."""
    return f"{granted} of {amount} of quota {_quoted(name)}"


def _asked(request: Request, name: bytes) -> str:
    value = next(iter(request.headers.original(name)), b"-")
    return value.decode(errors="backslashreplace")


def _quoted(text: str) -> str:
    """What a caller sent, on one line and bounded."""
    return repr(text[:_LONGEST])
