"""Telling what was decided, the same for every front end: to the log, and to the decision log.

The log has lines for people, with ``mixer serve --verbose``; the decision log is
``spec.telemetry.decisionLog``.
"""

import logging
from collections.abc import Callable
from typing import NamedTuple

from mixer.attributes import AttributeBag
from mixer.engine import Decision, Engine, Request
from mixer.telemetry.decision_log import one_line, quoted, subject

_log = logging.getLogger(__name__)


class Told(NamedTuple):
    """What is told of a decision.

    Attributes:
        request: As it was asked.
        decision: As it was sent.
        outcome: What was decided, where it is not the verdict.
    """

    request: Request
    decision: Decision
    outcome: str = ""


def log_decision(
    engine: Engine, front_end: str, decision: Decision, told: Callable[[], Told]
) -> None:
    """Tell who decided what and why; no header of the request and no query: those hold secrets.

    Args:
        engine: That decided.
        front_end: By which protocol it was asked for.
        decision: As it was made.
        told: Makes what is told; called only where somebody wants to know.
    """
    log = engine.decision_log
    is_wanted = log is not None and log.wants(decision)
    is_logged = _log.isEnabledFor(logging.DEBUG)
    if not (is_wanted or is_logged):
        return
    request, sent, outcome = told()
    if is_logged:
        _log.debug("%s", described(request, sent, outcome))
    if is_wanted and log is not None:
        log.tell(front_end, request, sent, outcome)


def described(request: Request, decision: Decision, outcome: str = "") -> str:
    """What `log_decision` logs."""
    return _outcome(subject(request), decision, outcome or decision.verdict)


def log_connection(attributes: AttributeBag, decision: Decision) -> None:
    """Log who decided what about a TCP connection, where decisions are logged."""
    if _log.isEnabledFor(logging.DEBUG):
        ends = (attributes.get(f"{peer}.address") for peer in ("source", "destination"))
        source, destination = (quoted(str(one or "-"))[1:-1] for one in ends)
        told = f"connection {source} -> {destination}"
        _log.debug("%s", _outcome(told, decision, decision.verdict))


def _outcome(told: str, decision: Decision, outcome: str) -> str:
    by, rule = decision.adapter or "no adapter", decision.rule and f" (rule {decision.rule})"
    reason = decision.reason and f": {one_line(decision.reason)}"
    return f"{told}: {outcome} by {by}{rule}{reason}"


def quota_outcome(name: str, granted: int, amount: int) -> str:
    """What came of a quota, as `log_decision` is told it; no amount is a look at what is left."""
    if amount == 0:
        return f"look at quota {quoted(name)}"
    return f"{granted} of {amount} of quota {quoted(name)}"
