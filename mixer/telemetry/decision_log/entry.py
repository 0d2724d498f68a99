"""One decision as an entry of the log: what can be written as JSON."""

import re
import time
from typing import Any

from mixer.engine import Decision, Request
from mixer.engine.story import Story
from mixer.telemetry.decision_log.looks import looks
from mixer.telemetry.decision_log.masking import Masking
from mixer.telemetry.decision_log.subject import asked, one_line, subject
from mixer.telemetry.tracing import trace_of_call

Entry = dict[str, Any]

_LONGEST = 256
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
_WHO = {
    "caller": "mixer.caller",
    "caller_principal": "mixer.caller_principal",
    "source_address": "source.address",
    "source_principal": "source.principal",
}


def entry_of(
    front_end: str,
    request: Request,
    decision: Decision,
    outcome: str = "",
    masking: Masking | None = None,
) -> Entry:
    """Make an entry; what is empty is left out.

    Args:
        front_end: By which protocol it was asked for.
        request: As it was asked.
        decision: As it was sent.
        outcome: What came of it, where that is not the verdict.
        masking: Of the values of what adapters looked at; None leaves these out.
    """
    story = decision.story
    began = time.time_ns() if story is None else story.began
    entry: Entry = {
        "time_unix_nano": began,
        "id": asked_or_none(request, b"x-request-id"),
        "trace_id": _trace_id(request) or trace_of_call(),
        "front_end": front_end,
        **{name: _text(request.attributes.get(path)) for name, path in _WHO.items()},
        "subject": subject(request),
        "host": _host(request),
        "verdict": str(decision.verdict),
        "outcome": outcome,
        "adapter": decision.adapter,
        "rule": decision.rule,
        "reason": one_line(decision.reason, _LONGEST),
        "status": None if decision.response is None else decision.response.status,
        "grpc_code": decision.code,
        "failed_open": list(decision.failed_open),
    }
    if story is not None:
        entry |= _told(request, decision, story, masking)
    return {name: value for name, value in entry.items() if value not in (None, "", [])}


def _told(request: Request, decision: Decision, story: Story, masking: Masking | None) -> Entry:
    ran = dict.fromkeys((*decision.adapters, *(turn.adapter for turn in story.turns)))
    return {
        "cache": "hit" if story.from_cache else "miss",
        "duration_us": _us(story.duration or 0),
        "adapters": [_adapter(request, name, story, masking) for name in ran],
        "reads_left_out": story.left_out or None,
    }


def _adapter(request: Request, name: str, story: Story, masking: Masking | None) -> Entry:
    turns = [turn for turn in story.turns if turn.adapter == name]
    seen = looks(request, story.reads.get(name, {}), masking)
    told: Entry = {
        "name": name,
        "rule": next((turn.rule for turn in turns if turn.rule), ""),
        "us": _us(sum(turn.duration for turn in turns)),
        "callbacks": [
            {"callback": t.callback, "at_us": _us(t.began), "us": _us(t.duration),
             "outcome": t.outcome}
            for t in turns
        ],
        "reads": list(seen) if masking is None else {at: look.value for at, look in seen.items()},
        "changed_by": {at: by for at, (_, by) in seen.items() if by is not None},
        "beyond": list(story.beyond.get(name, ())),
    }  # fmt: skip
    return {key: value for key, value in told.items() if value not in ("", [], {})}


def _us(nanoseconds: int) -> float:
    return round(nanoseconds / 1000, 1)


def asked_or_none(request: Request, name: bytes) -> str | None:
    """A header as the caller sent it, bounded; None where there is none."""
    value = asked(request, name)
    return None if value == "-" else _text(value)


def _text(value: object) -> str | None:
    return None if value is None else one_line(str(value), _LONGEST)


def _host(request: Request) -> str | None:
    """Without a user and a password, which are no part of it and may be told nobody."""
    host = asked(request, b":authority").rpartition("@")[2]
    return None if host == "-" else _text(host)


def _trace_id(request: Request) -> str | None:
    match = _TRACEPARENT.fullmatch(asked(request, b"traceparent"))
    return None if match is None else match[1]
