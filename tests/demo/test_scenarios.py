import hashlib
import json
from pathlib import Path

import pytest
import yaml

from mixer.demo.configuration import auth_configuration, envoy_bootstrap, service_documents
from mixer.demo.credentials import AUDIENCE, Credentials, new_credentials
from mixer.demo.scenarios import scenarios
from mixer.demo.stack import DemoError, _socket_in

joserfc = pytest.importorskip("joserfc", reason="pip install '.[demo]'")


@pytest.fixture(scope="module")
def credentials() -> Credentials:
    return new_credentials()


def test_no_secret_is_configured(credentials: Credentials) -> None:
    """The configuration has the digest of the key and the public half of the signer only."""
    configured = json.dumps(auth_configuration(credentials))
    assert credentials.api_key not in configured
    assert hashlib.sha256(credentials.api_key.encode()).hexdigest() in configured
    (key,) = credentials.jwks["keys"]
    assert "d" not in key


def test_tokens_are_what_they_are_called(credentials: Credentials) -> None:
    """Only the good token verifies, is not expired and is for the configured audience."""
    from joserfc import errors, jwt
    from joserfc.jwk import KeySet

    keys = KeySet.import_key_set(credentials.jwks)  # type: ignore[arg-type]
    rules = jwt.JWTClaimsRegistry(
        aud={"essential": True, "value": AUDIENCE}, exp={"essential": True}
    )
    rules.validate(jwt.decode(credentials.token, keys).claims)
    with pytest.raises(errors.ExpiredTokenError):
        rules.validate(jwt.decode(credentials.expired_token, keys).claims)
    with pytest.raises(errors.InvalidClaimError):
        rules.validate(jwt.decode(credentials.other_audience_token, keys).claims)
    with pytest.raises(errors.BadSignatureError):
        jwt.decode(credentials.forged_token, keys)


def test_scenarios_cover_both_verdicts(credentials: Credentials) -> None:
    """Each request is named once, and each kind of answer occurs."""
    table = scenarios(credentials)
    assert len({scenario.sent for scenario in table}) == len(table)
    assert {scenario.expected.status for scenario in table} == {200, 400, 401, 403}
    assert all((s.expected.reason is None) == (s.expected.status == 200) for s in table)


def test_both_placements_get_the_same_configuration(
    credentials: Credentials, tmp_path: Path
) -> None:
    """The service's plugin and Envoy's plugin are configured alike, word for word."""
    auth = auth_configuration(credentials)
    mixer, plugin = yaml.safe_load_all(service_documents("127.0.0.1:9000", auth))
    bootstrap = envoy_bootstrap("127.0.0.1:1", "127.0.0.1:9000", tmp_path / "auth.wasm", auth)
    in_proxy = json.dumps(bootstrap["static_resources"]["listeners"][2])
    assert mixer["spec"]["listeners"][0]["address"] == "127.0.0.1:9000"
    assert plugin["spec"]["pluginConfig"] == auth
    assert json.dumps(json.dumps(auth)) in in_proxy


def test_socket_path_must_fit(tmp_path: Path) -> None:
    """A temporary folder that is too deep for a socket is a clear error."""
    with pytest.raises(DemoError, match="set TMPDIR"):
        _socket_in(tmp_path / ("x" * 100))
