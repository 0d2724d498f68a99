"""The requests of the demo and what must come of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mixer.demo.credentials import KEY_CONSUMER, TOKEN_CONSUMER, Credentials
from mixer.study.client import Request


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a placement must do with a request.

    Attributes:
        status: The status that the client gets.
        reason: The adapter's word for a refusal; None for an allowed request.
        upstream_headers: What the upstream must see, by name in lower case; None for a header
            that it must not see.
        upstream_path: The path that the upstream must see; None for any.
    """

    status: int = 200
    reason: str | None = None
    upstream_headers: Mapping[str, str | None] = field(default_factory=dict)
    upstream_path: str | None = None

    @property
    def verdict(self) -> str:
        """``allow`` or ``deny``, as the service says it."""
        return "allow" if self.reason is None else "deny"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One request with a short text that says what is sent."""

    sent: str
    request: Request
    expected: Expectation


def scenarios(credentials: Credentials) -> tuple[Scenario, ...]:
    """Every request of the demo, in the order of the report."""
    return (*_allowed(credentials), *_unauthenticated(credentials), *_forbidden(credentials))


def _allowed(credentials: Credentials) -> tuple[Scenario, ...]:
    key = ("x-api-key", credentials.api_key)
    by_key = {"x-consumer": KEY_CONSUMER, "x-api-key": None}
    by_token = {
        "x-consumer": TOKEN_CONSUMER,
        "x-email": "alice@demo.mixer.dev",
        "x-scope": "orders:read",
    }
    return (
        Scenario("no credential, /health", _get("/health"), Expectation()),
        Scenario("API key", _get("/orders", key), Expectation(upstream_headers=by_key)),
        Scenario(
            "API key in the query",
            _get(f"/orders?page=2&key={credentials.api_key}&sort=%2Bdate"),
            Expectation(upstream_headers=by_key, upstream_path="/orders?page=2&sort=%2Bdate"),
        ),
        Scenario(
            "API key, x-consumer: admin forged",
            _get("/orders", key, ("x-consumer", "admin")),
            Expectation(upstream_headers=by_key),
        ),
        Scenario(
            "API key, and a wrong one after it",
            _get("/orders", key, ("x-api-key", credentials.wrong_api_key)),
            Expectation(upstream_headers=by_key),
        ),
        Scenario(
            "API key, POST with a body",
            Request("POST", "/orders", (key, ("content-type", "text/plain")), b"two apples\n"),
            Expectation(upstream_headers=by_key),
        ),
        Scenario(
            "JWT",
            _get("/accounts/7", _bearer(credentials.token)),
            Expectation(upstream_headers=by_token),
        ),
        Scenario(
            "JWT, x-email forged",
            _get("/orders", _bearer(credentials.token), ("x-email", "root@example.com")),
            Expectation(upstream_headers=by_token),
        ),
    )


def _unauthenticated(credentials: Credentials) -> tuple[Scenario, ...]:
    def refused(sent: str, reason: str, *headers: tuple[str, str]) -> Scenario:
        return Scenario(sent, _get("/orders", *headers), Expectation(401, reason))

    return (
        refused("no credential", "credential_missing"),
        refused("wrong API key", "api_key_unknown", ("x-api-key", credentials.wrong_api_key)),
        refused("expired JWT", "token_expired", _bearer(credentials.expired_token)),
        refused("JWT for others", "token_audience", _bearer(credentials.other_audience_token)),
        refused("JWT, other signer", "token_signature", _bearer(credentials.forged_token)),
    )


def _forbidden(credentials: Credentials) -> tuple[Scenario, ...]:
    key = ("x-api-key", credentials.api_key)
    return (
        Scenario(
            "API key, path of others",
            _get("/accounts/7", key),
            Expectation(403, "consumer_forbidden:rules[2]"),
        ),
        Scenario(
            "API key, /health;/../internal",
            _get("/health;/../internal", key),
            Expectation(400, "path_invalid"),
        ),
        Scenario(
            "API key, /internal",
            _get("/internal/x", key),
            Expectation(403, "path_forbidden:rules[1]"),
        ),
    )


def _get(target: str, *headers: tuple[str, str]) -> Request:
    return Request("GET", target, headers)


def _bearer(token: str) -> tuple[str, str]:
    return ("authorization", f"Bearer {token}")
