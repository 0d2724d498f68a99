"""Plugins that rewrite what goes to a model: generic-proxy-router, ai-data-masking."""

from tests.higress.cases import Case, Expected, Request, Step, refused
from tests.higress.messages import answer, asked, chat, post, said

_ROUTER = {
    "addProviderHeader": "x-higress-llm-provider",
    "modelToHeader": "x-higress-llm-model-final",
    "aliasNameMapping": {"qwen-alias": "qwen2.5-7b-instruct", "openai-alias": "openai/gpt-4"},
    "autoRouting": {
        "enable": True,
        "defaultModel": "qwen2.5-7b-instruct",
        "rules": [{"pattern": r"(?i)\bcode\b", "model": "qwen2.5-coder-7b"}],
    },
}
_MODEL, _PROVIDER, _FINAL = (
    "x-higress-llm-model", "x-higress-llm-provider", "x-higress-llm-model-final",
)  # fmt: skip
_FOO = {"model": "foo"}
_FORM_DATA = (
    b'--xx\r\ncontent-disposition: form-data; name="model"\r\n\r\nopenai/whisper-1\r\n'
    b'--xx\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n\0\xff\r\n--xx--\r\n'
)
_MULTIPART = (("content-type", "multipart/form-data; boundary=xx"),)


def _auto(content: str, model: str) -> Step:
    body = {"model": "higress/auto", "messages": [{"role": "user", "content": content}]}
    return Step(
        post("/v1/chat/completions", body),
        Expected(sent={_MODEL: model, _FINAL: model}, sent_body={**body, "model": model}),
    )


ROUTER = {
    "router by path": Case(
        "gpustack-generic-proxy-router",
        _ROUTER,
        (
            Step(
                post("/model/proxy/qwen-alias/v1/chat/completions", _FOO, (_MODEL, "forged")),
                Expected(
                    sent={_MODEL: "qwen2.5-7b-instruct", _FINAL: "qwen2.5-7b-instruct"},
                    sent_body=_FOO,
                ),
            ),
            Step(
                post("/model/proxy/openai-alias/v1/chat/completions", _FOO),
                Expected(
                    sent={_MODEL: "openai/gpt-4", _PROVIDER: "openai", _FINAL: "gpt-4"},
                    sent_body=_FOO,
                ),
            ),
            Step(
                post("/model/proxy/unknown/v1/other", _FOO),
                Expected(sent={_MODEL: None}, sent_body=_FOO),
            ),
        ),
    ),
    "router by body": Case(
        "gpustack-generic-proxy-router",
        _ROUTER,
        (
            Step(
                post("/v1/chat/completions", {"model": "openai/gpt-4o"}),
                Expected(
                    sent={
                        _MODEL: "openai/gpt-4o", _PROVIDER: "openai", _FINAL: "gpt-4o",
                        "content-length": None,
                    },
                    sent_body={"model": "gpt-4o"},
                ),
            ),
            _auto("write some code", "qwen2.5-coder-7b"),
            _auto("write a poem", "qwen2.5-7b-instruct"),
            Step(
                Request("/v1/audio/transcriptions", _MULTIPART, _FORM_DATA),
                Expected(sent={_MODEL: "openai/whisper-1", _FINAL: "whisper-1"}),
            ),
            Step(
                post("/v1/embeddings", {"input": "x"}),
                Expected(sent={_MODEL: None}, sent_body={"input": "x"}),
            ),
            Step(
                post("/healthz", {"model": "a/b"}),
                Expected(sent={_MODEL: None, "content-length": "16"}, sent_body={"model": "a/b"}),
            ),
        ),
    ),
}  # fmt: skip

_DENIED = "blocked"
_AS_JSON = {"content-type": "application/json"}
_MASKING = {
    "deny_words": ["forbidden"],
    "deny_message": _DENIED,
    "deny_raw": True,
    "deny_raw_message": '{"errmsg":"blocked"}',
    "deny_jsonpath": ["$.note"],
    "replace_roles": [
        {"regex": "%{MOBILE}", "type": "replace", "value": "****"},
        {
            "regex": "%{EMAILLOCALPART}@%{HOSTNAME:domain}",
            "type": "replace",
            "restore": True,
            "value": "****@$domain",
        },
        {"regex": "%{IP}", "type": "replace", "restore": True, "value": "***.***.***.***"},
    ],
}

MASKING = {
    "masking replaces and restores": Case(
        "ai-data-masking",
        _MASKING,
        (
            Step(
                chat("call 13800138000 or admin@gmail.com at 192.168.0.1"),
                Expected(
                    body=said("mail admin@gmail.com at 192.168.0.1, call ****"),
                    sent_body=asked("call **** or ****@gmail.com at ***.***.***.***"),
                ),
                answer(said("mail ****@gmail.com at ***.***.***.***, call ****")),
            ),
            Step(
                chat("nothing of note"),
                Expected(body=said("nor here")),
                answer(said("nor here")),
            ),
        ),
    ),
    "masking refuses": Case(
        "ai-data-masking",
        _MASKING,
        (
            Step(
                chat("a forbidden thing"),
                refused(200, headers={"content-type": "application/json"}),
            ),
            Step(
                post("/other", {"note": "a forbidden thing"}),
                refused(200, {"errmsg": "blocked"}),
            ),
            Step(chat("a harmless thing"), Expected(), answer(said("fine"))),
        ),
    ),
}

CASES = {**ROUTER, **MASKING}
