"""The messages that clients and models of OpenAI's API exchange."""

import json
from typing import Any

from tests.higress.cases import JSON, SSE, Request, Response

CHAT = "/v1/chat/completions"
USAGE = {"prompt_tokens": 50, "completion_tokens": 100, "total_tokens": 150}


def post(path: str, value: Any, *headers: tuple[str, str], **more: Any) -> Request:
    """A request with a JSON body."""
    return Request(path, (*JSON, *headers), json.dumps(value).encode(), **more)


def answer(value: Any, *headers: tuple[str, str]) -> Response:
    """A response with a JSON body."""
    return Response((json.dumps(value).encode(),), (*JSON, *headers))


def chat(content: str, *headers: tuple[str, str], **more: Any) -> Request:
    """What a client asks."""
    return post(CHAT, asked(content, **more), *headers)


def asked(content: str, **more: Any) -> dict[str, Any]:
    """The body of `chat`."""
    return {"model": "m", "messages": [{"role": "user", "content": content}], **more}


def said(content: str) -> dict[str, Any]:
    """What a model answers."""
    message = {"role": "assistant", "content": content}
    return {"model": "m", "choices": [{"index": 0, "message": message}], "usage": USAGE}


def events(*values: Any) -> Response:
    """A stream of server-sent events, each of which comes by itself."""
    return Response((*map(event, values), b"data: [DONE]\n\n"), SSE)


def event(value: Any) -> bytes:
    """One of `events`."""
    return b"data: %b\n\n" % json.dumps(value).encode()


def delta(content: str) -> dict[str, Any]:
    """A piece of an answer that comes as events."""
    return {"model": "m", "choices": [{"index": 0, "delta": {"content": content}}]}


SPENT = {"model": "m", "choices": [], "usage": USAGE}
"""The last event of an answer: what it cost."""
