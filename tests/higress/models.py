"""Plugins in front of models: ai-proxy, which speaks their protocols, and ai-statistics."""

from tests.higress.cases import Case, Expected, Step
from tests.higress.messages import (
    CHAT,
    SPENT,
    USAGE,
    answer,
    asked,
    chat,
    delta,
    events,
    post,
    said,
)  # fmt: skip

_OPENAI = {
    "provider": {
        "type": "openai",
        "apiTokens": ["sk-1"],
        "modelMapping": {"m": "gpt-4o", "old-*": "gpt-4o-mini"},
        "customSettings": [
            {"name": "max_tokens", "value": 7},
            {"name": "temperature", "value": 0.5, "overwrite": False},
        ],
    }
}
_CLAUDE = {"provider": {"type": "claude", "apiTokens": ["sk-2"], "modelMapping": {"*": "claude-3"}}}
_CLAUDE_SAID = {
    "id": "msg",
    "type": "message",
    "role": "assistant",
    "model": "claude-3",
    "content": [{"type": "text", "text": "hello"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 50, "output_tokens": 100},
}
_SYSTEM = {"role": "system", "content": "be brief"}
_USER = {"role": "user", "content": "hi"}

PROXY = {
    "ai-proxy openai": Case(
        "gpustack-ai-proxy",
        _OPENAI,
        (
            Step(
                chat("hi", ("authorization", "Bearer client's")),
                Expected(
                    sent={
                        "host": "api.openai.com",
                        "authorization": "Bearer sk-1",
                        "content-length": None,
                    },
                    sent_body={
                        **asked("hi"),
                        "model": "gpt-4o",
                        "max_tokens": 7,
                        "temperature": 0.5,
                    },
                    body=said("hello"),
                ),
                answer(said("hello")),
            ),
            Step(
                post(CHAT, {**asked("hi", stream=True, temperature=1), "model": "old-1"}),
                Expected(
                    sent_body={
                        **asked("hi", stream=True, temperature=1),
                        "model": "gpt-4o-mini",
                        "max_tokens": 7,
                        "stream_options": {"include_usage": True},
                    },
                    body=(delta("he"), delta("llo"), SPENT),
                ),
                events(delta("he"), delta("llo"), SPENT),
            ),
        ),
    ),
    "ai-proxy claude": Case(
        "gpustack-ai-proxy",
        _CLAUDE,
        (
            Step(
                post(CHAT, {"model": "m", "messages": [_SYSTEM, _USER]}),
                Expected(
                    path="/v1/messages",
                    sent={"x-api-key": "sk-2", "anthropic-version": "2023-06-01"},
                    sent_body={
                        "model": "claude-3",
                        "messages": [_USER],
                        "system": "be brief",
                        "max_tokens": 4096,
                    },
                    body={
                        "id": "msg",
                        "object": "chat.completion",
                        "created": 0,
                        "model": "claude-3",
                        "choices": [
                            {
                                "index": 0,
                                "message": {"role": "assistant", "content": "hello"},
                                "finish_reason": "stop",
                                "logprobs": None,
                            }
                        ],
                        "usage": USAGE,
                    },
                ),
                answer(_CLAUDE_SAID),
            ),
        ),
    ),
}

_STATISTICS = {
    "attributes": [
        {
            "key": "question",
            "value_source": "request_body",
            "value": "messages.@reverse.0.content",
            "apply_to_log": True,
        },
        {
            "key": "answer",
            "value_source": "response_streaming_body",
            "value": "choices.0.delta.content",
            "rule": "append",
            "apply_to_log": True,
        },
        {
            "key": "answer",
            "value_source": "response_body",
            "value": "choices.0.message.content",
            "apply_to_log": True,
        },
        {
            "key": "consumer",
            "value_source": "request_header",
            "value": "x-mse-consumer",
            "apply_to_span": True,
            "as_separate_log_field": True,
            "apply_to_log": True,
        },
    ]
}
_LOGGED = {
    "api": "-",
    "chat_round": 1,
    "model": "m",
    "question": "hi",
    "answer": "hello",
    "input_token": 50,
    "input_token_details": {},
    "output_token": 100,
    "output_token_details": {},
    "total_token": 150,
    "llm_service_duration": 0,
}

STATISTICS = {
    "ai-statistics": Case(
        "ai-statistics",
        _STATISTICS,
        (
            Step(
                chat("hi", ("x-mse-consumer", "alice")),
                Expected(
                    body=said("hello"),
                    properties={
                        "ai_log": {**_LOGGED, "response_type": "normal"},
                        "consumer": b"alice",
                        "trace_span_tag.consumer": b"alice",
                        "trace_span_tag.gen_ai.usage.total_tokens": b"150",
                    },
                ),
                answer(said("hello")),
            ),
            Step(
                chat("hi", stream=True),
                Expected(
                    body=(delta("he"), delta("llo"), SPENT),
                    properties={
                        "ai_log": {
                            **_LOGGED,
                            "response_type": "stream",
                            "llm_first_token_duration": 0,
                        }
                    },
                ),
                events(delta("he"), delta("llo"), SPENT),
            ),
        ),
    )
}

CASES = {**PROXY, **STATISTICS}
