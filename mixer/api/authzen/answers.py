"""From decisions to the bytes of a response."""

import json
from collections.abc import Mapping
from typing import Any

from mixer.api.authzen.errors import MalformedError
from mixer.api.http import HttpAnswer, HttpCall, plain
from mixer.api.safe_headers import is_safe
from mixer.attributes import Pair
from mixer.engine import Decision, Response, Verdict

_JSON = (b"content-type", b"application/json")
_REQUEST_ID = b"x-request-id"
_PLAIN = b"text/plain"
_LONGEST_TEXT = 1024
_BAD_REQUEST = 400

Told = Mapping[str, Any]
"""A JSON object to send."""


def told_decision(decision: Decision) -> Told:
    """A decision as the specification has it; why it is a denial is told as in its examples."""
    if decision.verdict is Verdict.ALLOW:
        return {"decision": True}
    response = decision.response or Response(503)
    status = str(response.status)
    why = decision.reason or "denied"
    if decision.verdict is Verdict.ERROR:
        return _denied({"error": {"status": response.status, "message": why}})
    admin = f"{decision.adapter}: {why}" if decision.adapter else why
    context: dict[str, Any] = {"reason_admin": {status: admin}}
    if text := _for_people(response):
        context["reason_user"] = {status: text}
    return _denied(context)


def told_error(error: MalformedError) -> Told:
    """An evaluation that is malformed, among others that are not: denied."""
    return _denied({"error": {"status": _BAD_REQUEST, "message": str(error)}})


def _denied(context: Told) -> Told:
    return {"decision": False, "context": context}


def _for_people(response: Response) -> str:
    """The body of an answer, where it is a short text."""
    kind = next((value for name, value in response.headers if name == b"content-type"), _PLAIN)
    if not kind.lower().startswith(_PLAIN) or len(response.body) > _LONGEST_TEXT:
        return ""
    return response.body.decode(errors="replace").strip()


def as_json(call: HttpCall, told: Told, decision: Decision | None = None) -> HttpAnswer:
    """A successful answer.

    Args:
        call: What is answered.
        told: The object to send.
        decision: What was sent of one, for the log.
    """
    body = json.dumps(told, separators=(",", ":")).encode()
    return HttpAnswer(200, (_JSON, *_identified(call)), body, decision)


def refused(call: HttpCall, error: MalformedError) -> HttpAnswer:
    """The answer to a request that is none."""
    return plain(_BAD_REQUEST, str(error).encode(errors="replace").decode(), *_identified(call))


def _identified(call: HttpCall) -> tuple[Pair, ...]:
    """The identifier that the caller gave the request."""
    found = call.first(_REQUEST_ID)
    return () if found is None or not is_safe(_REQUEST_ID, found) else ((_REQUEST_ID, found),)
