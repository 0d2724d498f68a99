"""The log of decisions, the same for every front end: ``mixer serve --verbose``."""

import logging
from collections.abc import Mapping
from typing import Any

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
        request: Told by method and path as the caller asked, whatever was made of them; what is no
            HTTP request by its rate limit domain and keys, or its types of AuthZEN.
        decision: As it was sent.
        outcome: What was decided, where it is not the verdict.
    """
    _log.debug("%s", described(request, decision, outcome))


def described(request: Request, decision: Decision, outcome: str = "") -> str:
    """What `log_decision` logs."""
    return _outcome(_subject(request), decision, outcome or decision.verdict)


def log_connection(attributes: AttributeBag, decision: Decision) -> None:
    """Log who decided what about a TCP connection, where decisions are logged."""
    if is_on():
        ends = (attributes.get(f"{peer}.address") for peer in ("source", "destination"))
        source, destination = (_quoted(str(one or "-"))[1:-1] for one in ends)
        subject = f"connection {source} -> {destination}"
        _log.debug("%s", _outcome(subject, decision, decision.verdict))


def _outcome(subject: str, decision: Decision, outcome: str) -> str:
    by, rule = decision.adapter or "no adapter", decision.rule and f" (rule {decision.rule})"
    reason = decision.reason and f": {decision.reason}"
    return f"{subject}: {outcome} by {by}{rule}{reason}"


def quota_outcome(name: str, granted: int, amount: int) -> str:
    """What came of a quota, as `log_decision` is told it; no amount is a look at what is left."""
    if amount == 0:
        return f"look at quota {_quoted(name)}"
    return f"{granted} of {amount} of quota {_quoted(name)}"


def _subject(request: Request) -> str:
    if next(iter(request.headers.original(b":method")), None) is None:
        rate_limit = request.attributes.get("mixer.rate_limit")
        if isinstance(rate_limit, Mapping):
            return _rate_limited(rate_limit)
        evaluation = request.attributes.get("mixer.authzen")
        if isinstance(evaluation, Mapping):
            return _evaluated(evaluation)
    method = _quoted(_asked(request, b":method"))[1:-1]
    path = _quoted(_asked(request, b":path").partition("?")[0])
    return f"{method} {path}"


def _rate_limited(told: Mapping[str, Any]) -> str:
    """The domain, and the keys of the entries: their values may be secrets."""
    keys = ", ".join(told.get("descriptor") or told.get("bucket") or ())
    return f"rate limit {_quoted(str(told.get('domain')))} [{_quoted(keys)[1:-1]}]"


def _evaluated(told: Mapping[str, Any]) -> str:
    """Types and the name of the action: ids and properties may be secrets."""
    subject, action, resource = (
        _quoted(str(told[entity][key]))
        for entity, key in (("subject", "type"), ("action", "name"), ("resource", "type"))
    )
    return f"evaluation {subject} {action} {resource}"


def _asked(request: Request, name: bytes) -> str:
    value = next(iter(request.headers.original(name)), b"-")
    return value.decode(errors="backslashreplace")


def _quoted(text: str) -> str:
    """What a caller sent, on one line and bounded."""
    return repr(text[:_LONGEST])
