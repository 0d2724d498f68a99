"""From an evaluation to what the engine is asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from mixer.api.authzen.evaluation import Evaluation
from mixer.api.authzen.http_request import headers_of
from mixer.attributes import (
    CALLER_RESOLVERS,
    HTTP_RESOLVERS,
    AttributeBag,
    FindCaller,
    HeaderMap,
    IstioAttributes,
    PairSource,
    Resolver,
    Value,
)
from mixer.engine import Request


@dataclass(frozen=True, slots=True)
class AuthzenSource:
    """What the resolvers are given.

    Attributes:
        evaluation: Subject, action, resource and context by name.
        headers: Of the HTTP request that is asked about; empty where it is none.
        caller: Tells who asks.
    """

    evaluation: Mapping[str, Any]
    headers: HeaderMap
    caller: FindCaller


def _istio(source: AuthzenSource) -> Value | None:
    return IstioAttributes(AttributeBag(RESOLVERS, source).get)


def _of_http(resolver: Resolver) -> Resolver:
    """Absent where no HTTP request is asked about."""
    return lambda source: resolver(source) if source.headers.first(b":path") else None


RESOLVERS: Mapping[str, Resolver] = MappingProxyType(
    {
        **{name: _of_http(resolver) for name, resolver in HTTP_RESOLVERS.items()},
        "request.headers": HTTP_RESOLVERS["request.headers"],
        **CALLER_RESOLVERS,
        "mixer.attribute": _istio,
        "mixer.authzen": lambda source: source.evaluation,
        "mixer.operation": lambda _: "check",
    }
)
"""How to compute each attribute from an `AuthzenSource`."""


def request_of(evaluation: Evaluation, caller: FindCaller) -> Request:
    """What the engine is asked.

    Raises:
        MalformedError: The evaluation is about an HTTP request that cannot be one.
    """
    headers = HeaderMap(PairSource(headers_of(evaluation)))
    source = AuthzenSource(evaluation.as_map(), headers, caller)
    return Request(headers=headers, attributes=AttributeBag(RESOLVERS, source))
