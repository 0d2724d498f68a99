"""The plugins that pick an instance of a model: each states an opinion, gpustack-lb decides."""

from dataclasses import replace
from typing import Any

from tests.higress.cases import Case, Expected, Request, Step, refused
from tests.higress.messages import asked, chat, post

CANDIDATES, RANKS = "gpustack_lb_candidates", "gpustack_lb_ranks"
FIRST, SECOND = "outbound|80||model-1-1.static", "outbound|80||model-2-1.static"
KEYS = f"{FIRST}\0001", f"{SECOND}\0002"
CONTEXT = {
    "mode": "context",
    "candidates": [
        {"cluster": FIRST, "targetId": "1"},
        {"cluster": SECOND, "targetId": "2"},
    ],
    "modelMappers": {"1": {"gpt-*": "strong"}, "2": {"gpt-*": "fast"}},
}
ASKED = ("x-higress-llm-model", "gpt-4")
TARGET = "x-higress-target-cluster"
NOT_IN_ENVOY = "it imports the Redis calls of Higress, which a stock Envoy lacks"
AFTER_IT = "what it reads is stored by gpustack-lb, which a stock Envoy cannot load"


def candidate(cluster: str, target: str, model: str, inflight: int = 0) -> dict[str, Any]:
    """A candidate as gpustack-lb publishes it."""
    return {
        "cluster": cluster,
        "modelName": model,
        "targetId": target,
        "kind": "instance",
        "inflight": inflight,
        "penalty": 0,
    }


def published(first: int = 0, second: int = 0) -> dict[str, Any]:
    """Both candidates, with so many requests under way at each."""
    return {
        "candidates": [
            candidate(FIRST, "1", "strong", first), candidate(SECOND, "2", "fast", second),
        ]
    }  # fmt: skip


_AFFINITY, _LEAST = "gpustack-lb-session-affinity", "gpustack-lb-least-load"


def _ranked(name: str, weight: float, first: float, second: float) -> list[dict[str, Any]]:
    return [
        {"name": name, "weight": weight, "scores": dict(zip(KEYS, (first, second), strict=True))}
    ]


def _loaded(first: int, second: int, ranks: list[dict[str, Any]]) -> Step:
    request = Request("/", stored={CANDIDATES: published(first, second)})
    return Step(request, Expected(properties={RANKS: ranks}))


def _picked(ranks: list[dict[str, Any]], cluster: str, model: str) -> Step:
    stored = {CANDIDATES: published(), RANKS: ranks}
    sent = {TARGET: cluster, "x-higress-llm-model-final": model}
    return Step(
        replace(chat("hi", ASKED), stored=stored),
        Expected(sent=sent, sent_body={**asked("hi"), "model": model}),
    )


def _of_session(request: Request, first: float, second: float) -> Step:
    return Step(
        replace(request, stored={CANDIDATES: published()}),
        Expected(properties={RANKS: _ranked(_AFFINITY, 1, first, second)}),
    )


CASES = {
    "lb context": Case(
        "gpustack-lb",
        CONTEXT,
        (Step(chat("hi", ASKED), Expected(properties={CANDIDATES: published()})),),
        differs=NOT_IN_ENVOY,
    ),
    "lb finisher": Case(
        "gpustack-lb",
        {"mode": "finisher"},
        (
            _picked(_ranked("one", 1, 0.9, 0.1), FIRST, "strong"),
            _picked([*_ranked("one", 1, 0.9, 0.1), *_ranked("two", 3, 1, 3)], SECOND, "fast"),
            Step(
                Request("/", stored={CANDIDATES: {"candidates": []}}),
                refused(
                    503,
                    {
                        "error": {
                            "message": "no healthy model instance available",
                            "type": "no_candidate",
                            "code": 503,
                        }
                    },
                ),
            ),
            Step(Request("/"), Expected(sent={TARGET: None})),
        ),
        differs=NOT_IN_ENVOY,
    ),
    "lb-least-load": Case(
        _LEAST,
        {"weight": 0.5},
        (
            _loaded(1, 0, _ranked(_LEAST, 0.5, 0.5, 1)),
            _loaded(3, 3, _ranked(_LEAST, 0.5, 0.25, 0.25)),
        ),
        differs=AFTER_IT,
    ),
    "lb-session-affinity": Case(
        _AFFINITY,
        {"sessionKeys": [{"header": "session_id"}, {"bodyKey": "prompt_cache_key"}]},
        (
            _of_session(Request("/", (("session_id", "a"),)), 0.5, 1),
            _of_session(post("/v1/responses", {"prompt_cache_key": "a"}), 0.5, 1),
            Step(
                Request("/", stored={CANDIDATES: published()}),
                Expected(properties={CANDIDATES: published()}),
            ),
        ),
        differs=AFTER_IT,
    ),
}
