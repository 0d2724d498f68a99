"""The auth adapter: basic authentication, certificates, addresses, conditions, anonymous access."""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from mixer.attributes import Value
from mixer.testing import Host, Outcome, Plugin, PluginStartError, Stream
from tests.adapters.asking import raw_request

KEYS = {"keys": [{"sha256": hashlib.sha256(b"k").hexdigest(), "consumer": "key"}]}


@pytest.fixture
def host() -> Iterator[Host]:
    """A host with a clock of its own."""
    with Host() as one:
        yield one


def password_hash(password: str, iterations: int = 1000) -> str:
    salt = b"saltsalt"
    made = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    parts = (base64.b64encode(one).decode().rstrip("=") for one in (salt, made))
    return f"$pbkdf2-sha256$i={iterations}$" + "$".join(parts)


def user(name: str, password: str, **settings: Any) -> dict[str, Any]:
    hashed = password_hash(password, **settings)
    return {"username": name, "password_hash": hashed, "consumer": f"user:{name}"}


def basic(text: str | bytes) -> dict[str, str]:
    data = text.encode() if isinstance(text, str) else text
    return {"authorization": f"Basic {base64.b64encode(data).decode()}"}


def load(host: Host, **settings: Any) -> Plugin:
    return host.load("builtin://auth", settings)


def details(stream: Stream) -> str | None:
    response = stream.local_response
    assert (response is None) == (stream.outcome is Outcome.CONTINUE)
    return None if response is None else response.details


def told(
    plugin: Plugin, headers: Mapping[str, str] | None = None, /, **properties: Value
) -> str | None:
    """Why a request is refused; the consumer of one that passes."""
    named = {name.replace("__", "."): value for name, value in properties.items()}
    stream = plugin.request(headers or {}, properties=named)
    return details(stream) or stream.request.headers.get("x-consumer")


def test_users(host: Host) -> None:
    """The name and the password count, as UTF-8; the scheme in any case."""
    plugin = load(host, basic={"users": [user("al", "p:w"), user("bö", "pä", iterations=1200)]})
    assert told(plugin, basic("al:p:w")) == "user:al"
    shouted = basic("al:p:w")["authorization"].replace("Basic", "BASIC")
    assert told(plugin, {"authorization": shouted}) == "user:al"
    assert told(plugin, basic("bö:pä")) == "user:bö"
    refused: list[tuple[str | bytes, str]] = [
        ("al:x", "basic_password_wrong"), ("al:", "basic_password_wrong"),
        ("bo:p:w", "basic_user_unknown"), ("AL:p:w", "basic_user_unknown"),
        (":", "basic_user_unknown"), ("al", "basic_malformed"), ("al:p:w\n", "basic_malformed"),
        (b"\xff:\xfe", "basic_malformed"), ("x" * (1 << 20), "basic_malformed"),
    ]  # fmt: skip
    for text, reason in refused:
        assert told(plugin, basic(text)) == reason
    for value in ("Basic", "Basic ", "Bearer x", ""):
        assert told(plugin, {"authorization": value}) == "basic_missing"
    assert details(raw_request(plugin, {"authorization": b"Basic \xff"})) == "basic_malformed"


def test_the_client_is_not_told_whether_there_is_such_a_user(host: Host) -> None:
    """The answers are the same, and only the details tell the operator."""
    plugin = load(host, basic={"users": [user("al", "pw")]}, realm="shop")
    answers = [plugin.request(basic(text)).local_response for text in ("al:x", "bo:x")]
    assert [one.details for one in answers if one] == ["basic_password_wrong", "basic_user_unknown"]
    assert len({(one.status, one.body, one.headers) for one in answers if one}) == 1
    assert answers[0] is not None
    assert (b"www-authenticate", b'Basic realm="shop", charset="UTF-8"') in answers[0].headers


def test_so_many_passwords_are_hashed_in_a_second(host: Host) -> None:
    """One that was right costs none; the others have to wait, known or not."""
    plugin = load(host, basic={"users": [user("al", "pw")], "max_hashes_per_second": 2})
    good = basic("al:pw")
    assert [told(plugin, good) for _ in range(4)] == ["user:al"] * 4
    assert told(plugin, basic("bo:x")) == "basic_user_unknown"
    assert [told(plugin, basic(text)) for text in ("bo:x", "al:x")] == ["basic_busy"] * 2
    assert told(plugin, good) == "user:al"
    host.advance(1.0)
    assert told(plugin, basic("al:x")) == "basic_password_wrong"


def test_the_authorization_is_stripped_where_that_is_wanted(host: Host) -> None:
    """With the password, not with a token of another scheme."""
    settings = {"users": [user("al", "pw")], "strip": True}
    stream = load(host, basic=settings).request(basic("al:pw"))
    assert stream.request.headers.get("authorization") is None


MTLS = {
    "identities": [
        {"spiffe_id": "spiffe://mesh/ns/shop/sa/*", "consumer": "shop"},
        {"spiffe_id": "spiffe://mesh/ns/*/sa/web"},
    ]
}
URI = "connection__uri_san_peer_certificate"


def test_the_certificate_of_the_peer(host: Host) -> None:
    """Its SPIFFE ID is known by a pattern; what a header says of it does not count."""
    plugin = load(host, mtls=MTLS)
    for uri, expected in [
        ("spiffe://mesh/ns/shop/sa/a", "shop"),
        ("spiffe://mesh/ns/x/sa/web", "spiffe://mesh/ns/x/sa/web"),
        ("spiffe://mesh/ns/x/sa/other", "certificate_unknown"),
        ("spiffe://evil/ns/shop/sa/a", "certificate_unknown"),
        ("spiffe://mesh/ns/shop/sa/a/../../x", "certificate_identity"),
        ("https://mesh/ns/shop/sa/a", "certificate_identity"),
        ("", "certificate_missing"),
    ]:
        assert told(plugin, **{URI: uri}) == expected, uri
    forged = {"x-forwarded-client-cert": "URI=spiffe://mesh/ns/shop/sa/a"}
    assert told(plugin, forged) == "certificate_missing"


def test_the_certificate_that_a_trusted_proxy_forwards(host: Host) -> None:
    """Only its own element counts, however many headers there are."""
    plugin = load(host, mtls=MTLS | {"forwarded_certificate": {"trusted_hops": 1}})
    header, good, bad = "x-forwarded-client-cert", "URI=spiffe://mesh/ns/shop/sa/a", "URI=https://x"
    for values, expected in [
        ([f"Hash=1;{good}"], "shop"),
        ([f"{bad}, {good}"], "shop"),
        ([bad, good], "shop"),
        ([good, bad], "certificate_identity"),
        ([good, "Hash=1"], "certificate_identity"),
        ([f"{good};{good}"], "certificate_identity"),
        ([f'{good};Subject="'], "certificate_identity"),
        (["x" * (1 << 20)], "certificate_identity"),
        ([], "certificate_missing"),
    ]:
        stream = plugin.request([(header, value) for value in values])
        assert (details(stream) or stream.request.headers.get("x-consumer")) == expected, values
    assert details(raw_request(plugin, {header: b"\xff;URI=a"})) == "certificate_identity"
    # The connection's own is that of the proxy.
    assert told(plugin, **{URI: "spiffe://mesh/ns/shop/sa/a"}) == "certificate_missing"


def test_a_token_counts_before_a_certificate(host: Host) -> None:
    """A certificate is that of the machine; a key that is wrong leaves it."""
    plugin = load(host, mtls=MTLS, api_keys=KEYS)
    peer: dict[str, Value] = {URI: "spiffe://mesh/ns/shop/sa/a"}
    assert told(plugin, {"x-api-key": "k"}, **peer) == "key"
    assert told(plugin, {"x-api-key": "wrong"}, **peer) == "shop"
    assert told(plugin, {"x-api-key": "wrong"}) == "api_key_unknown"
    assert told(plugin) == "credential_missing"


KEY = {"x-api-key": "k"}


@pytest.mark.parametrize(
    ("lists", "address", "expected"),
    [
        ({"allow": ["10.0.0.0/8"]}, "10.1.2.3:80", "key"),
        ({"allow": ["10.0.0.0/8"]}, "[::ffff:10.1.2.3]:80", "key"),
        ({"allow": ["10.0.0.0/8"]}, "11.1.2.3:80", "address_not_allowed"),
        ({"allow": ["10.0.0.0/8"]}, "[::10.1.2.3]:80", "address_not_allowed"),
        ({"allow": ["10.0.0.0/8"], "deny": ["10.6.6.6"]}, "10.6.6.6:80", "address_denied"),
        ({"deny": ["10.6.6.6"]}, "[::ffff:10.6.6.6]:80", "address_denied"),
        ({"deny": ["::ffff:10.6.6.6"]}, "10.6.6.6:80", "address_denied"),
        ({"deny": ["2001:db8::/32"]}, "[2001:db8::7]:80", "address_denied"),
        ({"deny": ["2001:db8::/32"]}, "[2001:db9::7]:80", "key"),
        ({"deny": ["10.6.6.6"]}, "/run/socket", "address_unknown"),
        ({"deny": ["10.6.6.6"]}, None, "address_unknown"),
        ({}, None, "key"),
    ],
)
def test_lists_of_addresses(
    host: Host, lists: dict[str, Any], address: str | None, expected: str
) -> None:
    """Who is denied, not among those allowed, or nowhere known does not pass with a key either."""
    properties: dict[str, Value] = {} if address is None else {"source__address": address}
    assert told(load(host, api_keys=KEYS, addresses=lists), KEY, **properties) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["10.1.1.1, 9.9.9.9"], "key"),
        (["1.1.1.1", "10.1.1.1, 9.9.9.9"], "key"),
        (["10.1.1.1", "1.1.1.1, 9.9.9.9"], "address_not_allowed"),
        (["10.1.1.1:77,9.9.9.9"], "key"),
        (["1.1.1.1, 10.1.1.1"], "address_not_allowed"),
        (["10.1.1.1"], "address_unknown"),
        (["x, 9.9.9.9"], "address_unknown"),
        ([", 9.9.9.9"], "address_unknown"),
        (["10.1.1.1," * 100_000 + "9.9.9.9"], "key"),
        ([], "address_unknown"),
    ],
)
def test_addresses_behind_proxies(host: Host, values: list[str], expected: str) -> None:
    """What comes before the entries of the trusted proxies can be forged, and does not count."""
    plugin = load(host, api_keys=KEYS, addresses={"allow": ["10.0.0.0/8"], "trusted_hops": 2})
    headers = [*KEY.items(), *(("x-forwarded-for", value) for value in values)]
    stream = plugin.request(headers, properties={"source.address": "10.9.9.9:1"})
    assert (details(stream) or stream.request.headers.get("x-consumer")) == expected


def test_an_address_that_is_no_text(host: Host) -> None:
    """Is none."""
    plugin = load(host, api_keys=KEYS, addresses={"deny": ["10.0.0.0/8"], "trusted_hops": 1})
    assert details(raw_request(plugin, {**KEY, "x-forwarded-for": b"\xff"})) == "address_unknown"


def test_who_may_come_without_a_credential(host: Host) -> None:
    """From some networks, under a name of their own; from elsewhere the next rule decides."""
    rules = [
        {"paths": ["/status"], "addresses": ["10.0.0.0/8"], "anonymous": "allow"},
        {"paths": ["/closed"], "addresses": ["10.6.0.0/16"], "deny": True},
        {"paths": ["/open"], "anonymous": "allow"},
    ]
    plugin = load(host, api_keys=KEYS, rules=rules, anonymous_consumer="guest")

    def at(path: str, address: str | None, *own: tuple[str, str]) -> str | None:
        properties: dict[str, Value] = {} if address is None else {"source__address": address}
        return told(plugin, {":path": path, **dict(own)}, **properties)

    assert at("/status", "10.1.1.1:1") == "guest"
    assert at("/status", "10.1.1.1:1", ("x-consumer", "root")) == "guest"
    assert at("/status", "10.1.1.1:1", *KEY.items()) == "key"
    assert at("/status", "11.1.1.1:1") == "api_key_missing"
    assert at("/status", None) == "address_unknown:rules[0]"
    assert at("/closed", "10.6.1.1:1", *KEY.items()) == "path_forbidden:rules[1]"
    assert at("/closed", "10.7.1.1:1", *KEY.items()) == "key"
    assert at("/closed", None, *KEY.items()) == "address_unknown:rules[1]"
    assert at("/open", None) == "guest"


def token(claims: dict[str, Any], secret: bytes = bytes(32)) -> dict[str, str]:
    from joserfc import jwt
    from joserfc.jwk import OctKey

    whole = {"iss": "i", "sub": "carol", **claims}
    made = jwt.encode({"alg": "HS256"}, whole, OctKey.import_key(secret))
    return {"authorization": f"Bearer {made}"}


def with_rules(host: Host, *rules: dict[str, Any]) -> Plugin:
    provider = {"issuer": "i", "audiences": ["*"], "require_exp": False,
                "jwks": {"keys": [{"kty": "oct", "k": "A" * 43}]}}  # fmt: skip
    return load(host, jwt={"providers": [provider]}, api_keys=KEYS, rules=list(rules))


@pytest.mark.parametrize(
    ("when", "claims", "expected"),
    [
        ('claims.tier == "gold"', {"tier": "gold"}, "carol"),
        ('claims.tier == "gold"', {"tier": "iron"}, "condition_forbidden:rules[0]"),
        ('claims.tier == "gold"', {}, "condition_not_evaluated:rules[0]"),
        ('has(claims.tier) && claims.tier == "gold"', {}, "condition_forbidden:rules[0]"),
        ('"admin" in claims.roles', {"roles": ["x", "admin"]}, "carol"),
        ('"admin" in claims.roles', {"roles": ["x"]}, "condition_forbidden:rules[0]"),
        ("claims.age >= 18.0", {"age": 18}, "carol"),
        ("claims.age >= 18.0", {"age": 17.5}, "condition_forbidden:rules[0]"),
        ("claims.org.id == consumer", {"org": {"id": "carol"}}, "carol"),
        ("claims.ok", {"ok": True}, "carol"),
        ("claims.ok", {"ok": "true"}, "condition_not_evaluated:rules[0]"),
        ('request.path.startsWith("/" + claims.sub)', {}, "condition_forbidden:rules[0]"),
        ('consumer == "carol" && request.method == "GET"', {}, "carol"),
        ('claims.iss == "i" && claims.long.size() == 2000', {"long": "x" * 2000}, "carol"),
        ("claims.none == null", {"none": None}, "carol"),
        ("int(request.headers['x-n']) > 0", {}, "condition_not_evaluated:rules[0]"),
    ],
)  # fmt: skip
def test_conditions(host: Host, when: str, claims: dict[str, Any], expected: str) -> None:
    """Over the claims, the consumer and the request; what cannot be told is refused."""
    assert told(with_rules(host, {"when": when}), token(claims)) == expected


def test_conditions_without_claims(host: Host) -> None:
    """Who has none has an empty map of them, not those of someone before."""
    plugin = with_rules(host, {"when": 'claims.sub == "carol" || consumer == "key"'})
    other = with_rules(host, {"when": 'claims.sub == "carol"'})
    assert told(plugin, token({})) == "carol"
    assert told(plugin, KEY) == "key"
    assert told(other, token({})) == "carol"
    assert told(other, KEY) == "condition_not_evaluated:rules[0]"


def test_rules_that_match_by_a_condition(host: Host) -> None:
    """What is absent does not match; what cannot be evaluated refuses the request."""
    plugin = with_rules(
        host,
        {"match": 'request.headers["x-debug"] == "1"', "deny": True},
        {"paths": ["/n"], "match": 'int(request.headers["x-n"]) > 1', "anonymous": "allow"},
    )
    assert told(plugin, KEY) == "key"
    assert told(plugin, KEY | {"x-debug": "1"}) == "path_forbidden:rules[0]"
    assert told(plugin, {":path": "/n", "x-n": "2"}) is None
    assert told(plugin, {":path": "/n", "x-n": "1"}) == "credential_missing"
    assert told(plugin, {":path": "/n"}) == "credential_missing"
    assert told(plugin, KEY | {":path": "/n", "x-n": "x"}) == "match_not_evaluated:rules[1]"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rules": [{"when": "1 +"}]}, "rules[0].when is no CEL expression"),
        ({"rules": [{"match": ""}]}, "rules[0].match must be a CEL expression"),
        ({"rules": [{"when": "true", "deny": True}]}, "rules[0] must have only one of"),
        ({"rules": [{"addresses": ["10.0.0.0/33"]}]}, "rules[0].addresses[0] must be an address"),
        ({"addresses": {"allow": ["x"]}}, "addresses.allow[0] must be an address"),
        ({"addresses": {"trusted_hops": 17}}, "addresses.trusted_hops must be a whole number"),
        ({"basic": {"users": [user("a:b", "x")]}}, "basic.users[0].username must be without a"),
        ({"basic": {"users": [user("a", "x", iterations=999)]}}, "password_hash must be $pbkdf2"),
        ({"basic": {"users": [user("a", "x"), user("a", "y")]}}, "users[1].username is there"),
        ({"signatures": {"keys": [{"id": "a", "secret": "AAAA", "consumer": "c"}]}},
         "signatures.keys[0].secret must be base64 of 32"),
        ({"signatures": {"keys": []}}, "signatures.keys must be a list of 1"),
        ({"mtls": {"identities": [{"spiffe_id": "spiffe://*/a"}]}}, "spiffe_id must be a SPIFFE"),
        ({"mtls": {"identities": []}}, "mtls.identities must be a list of 1"),
        ({"anonymous_consumer": ""}, "anonymous_consumer must be 1 to 256"),
    ],
)  # fmt: skip
def test_mistakes_are_named(host: Host, settings: dict[str, Any], message: str) -> None:
    """With the field, and never with a secret."""
    with pytest.raises(PluginStartError) as refused:
        load(host, api_keys=KEYS, **settings)
    assert message in str(refused.value)
    assert "AAAA" not in str(refused.value)
