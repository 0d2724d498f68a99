"""Asking an engine by AuthZEN, without a server."""

import json
from typing import Any

from mixer.api.authzen import ENDPOINTS
from mixer.api.http import HttpAnswer, HttpCall
from mixer.engine import Decision, Engine

_ANSWERS = {one.path: one.answer for one in ENDPOINTS}
JSON = ((b"host", b"pdp.example.com"), (b"content-type", b"application/json"))


def asked(
    engine: Engine | None,
    body: Any,
    path: str = "/access/v1/evaluation",
    headers: Any = JSON,
    method: bytes = b"POST",
) -> HttpAnswer:
    """What is answered; whoever has no engine must not be asked."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    asking = _ANSWERS[path](HttpCall(method, path.encode(), tuple(headers), data))
    decision: Decision | None = None
    while True:
        try:
            request = asking.send(decision)  # type: ignore[arg-type]
        except StopIteration as end:
            return end.value
        assert engine is not None, "the engine is asked"
        found = engine.decide(request)
        assert isinstance(found, Decision)
        decision = found


def told(answer: HttpAnswer) -> Any:
    """The object of a successful answer."""
    assert answer.status == 200, answer
    assert (b"content-type", b"application/json") in answer.headers
    return json.loads(answer.body)


def decisions(answer: HttpAnswer) -> list[bool]:
    """Those of several evaluations."""
    return [one["decision"] for one in told(answer)["evaluations"]]
