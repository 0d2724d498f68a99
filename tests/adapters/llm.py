"""Responses of LLMs as their providers make them, with the usage that they tell."""

import json
from typing import Any

Usage = dict[str, int]


def _sse(*events: dict[str, Any] | str, names: bool = False) -> bytes:
    """Server-sent events; with names, as Anthropic and OpenAI's Responses have them."""
    lines = []
    for event in events:
        data = event if isinstance(event, str) else json.dumps(event)
        name = f"event: {event['type']}\n" if names and isinstance(event, dict) else ""
        lines.append(f"{name}data: {data}\n\n")
    return "".join(lines).encode()


def _json(body: Any) -> bytes:
    return json.dumps(body, indent=2).encode()


_CHAT_USAGE = {
    "prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29,
    "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 3},
}  # fmt: skip
_RESPONSES_USAGE = {
    "input_tokens": 36, "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 87, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 123,
}  # fmt: skip
_GEMINI_USAGE = {
    "promptTokenCount": 8, "candidatesTokenCount": 12, "thoughtsTokenCount": 30,
    "totalTokenCount": 50,
}  # fmt: skip

JSON: dict[str, tuple[bytes, Usage]] = {
    "openai-chat": (
        _json({
            "id": "chatcmpl-1", "object": "chat.completion", "model": "gpt",
            "choices": [{"index": 0, "message": {
                "role": "assistant", "content": 'Not this: "usage": {"prompt_tokens": 1}'},
                "finish_reason": "stop"}],
            "usage": _CHAT_USAGE,
        }),
        {"input_tokens": 19, "output_tokens": 10, "total_tokens": 29},
    ),
    "openai-completions": (
        _json({"object": "text_completion", "choices": [{"text": "}"}], "usage": {
            "prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}}),
        {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12},
    ),
    "openai-responses": (
        _json({"object": "response", "output": [], "usage": _RESPONSES_USAGE}),
        {"input_tokens": 36, "output_tokens": 87, "total_tokens": 123},
    ),
    "openai-embeddings": (
        _json({"object": "list", "data": [{"embedding": [0.0023, -9.3e-05] * 500}],
               "usage": {"prompt_tokens": 8, "total_tokens": 8}}),
        {"input_tokens": 8, "total_tokens": 8},
    ),
    "anthropic-messages": (
        _json({"type": "message", "content": [{"type": "text", "text": "Hi"}], "usage": {
            "input_tokens": 25, "cache_creation_input_tokens": 100,
            "cache_read_input_tokens": 1000, "output_tokens": 15,
            "cache_creation": {"ephemeral_5m_input_tokens": 100}}}),
        {"input_tokens": 25, "output_tokens": 15, "total_tokens": 1140},
    ),
    "gemini": (
        _json({"candidates": [{"content": {"parts": [{"text": "Hi"}]}}],
               "usageMetadata": _GEMINI_USAGE}),
        {"input_tokens": 8, "output_tokens": 12, "total_tokens": 50},
    ),
}  # fmt: skip
"""Whole responses, and what they come to."""

SSE: dict[str, tuple[bytes, Usage]] = {
    "openai-chat": (
        _sse(
            {"choices": [{"delta": {"content": "Hi\n\ndata: {}"}}], "usage": None},
            {"choices": [], "usage": _CHAT_USAGE},
            "[DONE]",
        ),
        JSON["openai-chat"][1],
    ),
    "openai-responses": (
        _sse(
            {"type": "response.created", "response": {"usage": None}},
            {"type": "response.output_text.delta", "delta": "Hi"},
            {"type": "response.completed", "response": {"usage": _RESPONSES_USAGE}},
            names=True,
        ),
        JSON["openai-responses"][1],
    ),
    "anthropic-messages": (
        _sse(
            {"type": "message_start", "message": {"usage": {
                "input_tokens": 25, "cache_read_input_tokens": 1000, "output_tokens": 1}}},
            {"type": "ping"},
            {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hi"}},
            {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 15}},
            {"type": "message_stop"},
            names=True,
        ),
        {"input_tokens": 25, "output_tokens": 15, "total_tokens": 1040},
    ),
    "gemini": (
        _sse(
            {"candidates": [], "usageMetadata": {"promptTokenCount": 8, "totalTokenCount": 8}},
            {"candidates": [], "usageMetadata": _GEMINI_USAGE},
        ),
        JSON["gemini"][1],
    ),
}  # fmt: skip
"""Streams of events, and what they come to."""

CASES = {
    f"{name}-{kind}": (content_type, *case)
    for kind, content_type, cases in (
        ("json", "application/json", JSON),
        ("sse", "text/event-stream; charset=utf-8", SSE),
    )
    for name, case in cases.items()
}
"""Content type, body and usage of all of them."""
