"""The auth adapter: signed requests, and those that come again."""

import base64
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from mixer.state import MemorySharedData, StateLimits
from mixer.testing import Host, Outcome, Plugin, Stream
from tests.adapters.asking import raw_request
from tests.adapters.signing import COVERED, SECRET, signature_of, signed

NOW = 1_800_000_000
KEY = {"id": "billing", "secret": base64.b64encode(SECRET).decode(), "consumer": "invoices"}
BODY = b'{"amount": 7}'


@pytest.fixture
def host() -> Iterator[Host]:
    """A host with a clock of its own."""
    with Host(now=NOW) as one:
        yield one


def load(host: Host, **settings: Any) -> Plugin:
    return host.load("builtin://auth", {"signatures": {"keys": [KEY], **settings}})


def details(stream: Stream) -> str | None:
    response = stream.local_response
    return None if response is None else response.details


def told(plugin: Plugin, headers: Mapping[str, str], body: bytes | None = None) -> str | None:
    """Why a request is refused; None for one that passes."""
    stream = plugin.request(headers) if body is None else sent(plugin, headers, body)
    assert (stream.local_response is None) == (stream.outcome is Outcome.CONTINUE)
    return details(stream)


def sent(plugin: Plugin, headers: Mapping[str, str], body: bytes) -> Stream:
    """A request with a body, in two pieces."""
    stream = plugin.stream()
    stream.request_headers(headers, end_of_stream=False)
    if stream.local_response is None:
        stream.request_body(body[:5], end_of_stream=False)
    if stream.local_response is None:
        stream.request_body(body[5:])
    return stream


def test_the_signer_of_these_tests() -> None:
    """It signs as the standard's own example does (RFC 9421, B.2.5)."""
    secret = base64.b64decode(
        "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ=="
    )
    components = {
        "date": "Tue, 20 Apr 2021 02:07:55 GMT",
        "@authority": "example.com",
        "content-type": "application/json",
    }
    parameters = (
        '("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"'
    )
    signature = signature_of(components, parameters, secret)
    assert signature == "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8="


def test_who_signs_is_known(host: Host) -> None:
    """The consumer of the key goes to the upstream."""
    stream = load(host).request(signed(NOW))
    assert stream.outcome is Outcome.CONTINUE
    assert stream.request.headers["x-consumer"] == "invoices"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({":method": "DELETE"}, "signature_wrong"),
        ({":authority": "evil.example"}, "signature_wrong"),
        ({":path": "/orders?id=2"}, "signature_wrong"),
        ({":path": "/other?id=1"}, "signature_wrong"),
        ({":method": "POST"}, "signature_components"),
        ({"content-length": "3"}, "signature_components"),
        ({"transfer-encoding": "chunked"}, "signature_components"),
        ({"signature": "sig1=:AAAA:"}, "signature_wrong"),
        ({"signature": ""}, "signature_malformed"),
        ({"signature": "sig2=:AAAA:"}, "signature_malformed"),
        ({"signature-input": "sig1=()"}, "signature_malformed"),
        ({"signature-input": "x" * (1 << 20)}, "signature_malformed"),
        ({"signature": "x" * (1 << 20)}, "signature_malformed"),
    ],
)
def test_what_was_changed_is_refused(host: Host, changed: dict[str, str], reason: str) -> None:
    """Each signed part counts, whoever changes it; the client is told no more than that."""
    stream = load(host).request({**signed(NOW), **changed})
    assert details(stream) == reason
    assert stream.local_response is not None
    assert (stream.local_response.status, stream.local_response.body) == (
        401,
        b'{"error":"invalid_signature","message":"The signature is not valid."}',
    )


@pytest.mark.parametrize("name", ["signature", "signature-input"])
def test_what_is_no_text(host: Host, name: str) -> None:
    """Bytes that are no UTF-8 are no signature."""
    stream = raw_request(load(host), {**signed(NOW), name: b"\xff\xfe"})
    assert details(stream) == "signature_malformed"


@pytest.mark.parametrize("name", ["signature", "signature-input"])
def test_a_second_signature_beside_the_first(host: Host, name: str) -> None:
    """A header that is there twice is refused, in either order."""
    good = signed(NOW)
    for pairs in ([*good.items(), (name, "a=:AA==:")], [(name, "a=:AA==:"), *good.items()]):
        assert details(load(host).request(pairs)) == "signature_malformed"


def test_what_has_to_be_signed(host: Host) -> None:
    """Method, authority, path and query; or the whole target; and what the configuration says."""
    plugin = load(host)
    for number, name in enumerate(COVERED):
        covered = [one for one in COVERED if one != name]
        assert told(plugin, signed(NOW, f"a{number}", covered=covered)) == "signature_components"
    whole = ("@method", "@authority", "@request-target")
    assert told(plugin, signed(NOW, "b", covered=whole)) is None
    strict = load(host, required_components=["x-tenant"])
    assert told(strict, signed(NOW, "c")) == "signature_components"
    good = signed(NOW, "d", covered=(*COVERED, "x-tenant"), x_tenant="t1")
    assert told(strict, {**good, "x-tenant": "t2"}) == "signature_wrong"
    assert details(strict.request([*good.items(), ("x-tenant", "t2")])) == "signature_wrong"
    assert told(strict, good) is None
    del good["x-tenant"]
    assert told(strict, good) == "signature_components"


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (signed(NOW, key_id="other"), "signature_key_unknown"),
        (signed(NOW, secret=bytes(32)), "signature_wrong"),
        (signed(NOW, more=';alg="hmac-sha256"'), None),
        (signed(NOW, more=';alg="rsa-v1_5-sha256"'), "signature_algorithm"),
        (signed(NOW - 59), None),
        (signed(NOW - 60), "signature_expired"),
        (signed(NOW + 5), None),
        (signed(NOW + 6), "signature_created_in_future"),
        (signed(NOW, more=f";expires={NOW + 1}"), None),
        (signed(NOW, more=f";expires={NOW}"), "signature_expired"),
        (signed(10**14), "signature_created_in_future"),
        (signed(0), "signature_expired"),
    ],
)
def test_keys_and_times(host: Host, request_: dict[str, str], reason: str | None) -> None:
    """A key that is known, within its time."""
    assert told(load(host), request_) == reason


def test_a_body(host: Host) -> None:
    """None of it goes on before all of it is there and has the digest that is signed."""
    plugin = load(host, max_body_bytes=100)

    def post(nonce: str, body: bytes = BODY, **settings: Any) -> dict[str, str]:
        return signed(NOW, nonce, method="POST", body=body, **settings)

    stream = sent(plugin, post("a"), BODY)
    assert (stream.outcome, stream.passed_request_body) == (Outcome.CONTINUE, BODY)
    assert stream.request.headers["x-consumer"] == "invoices"
    assert told(plugin, post("b"), BODY + b" ") == "signature_content_digest"
    assert told(plugin, post("b"), BODY) == "signature_replayed"
    assert told(plugin, post("c"), None) == "signature_content_digest"
    assert told(plugin, post("d", b""), None) is None
    long = b"x" * 101
    assert told(plugin, post("e", long), long) == "signature_body_too_large"
    assert told(plugin, post("f", secret=bytes(32)), BODY) == "signature_wrong"
    assert told(plugin, signed(NOW, "g", method="POST"), BODY) == "signature_components"
    assert told(plugin, signed(NOW, "h"), BODY) == "signature_components"


def test_a_body_with_trailers(host: Host) -> None:
    """The trailers end it."""
    for body, reason in ((BODY, None), (b"other", "signature_content_digest")):
        stream = load(host).stream()
        headers = signed(NOW, body.hex(), method="PUT", body=BODY)
        stream.request_headers(headers, end_of_stream=False)
        stream.request_body(body, end_of_stream=False)
        assert stream.waits
        stream.request_trailers({"x-end": "1"})
        assert details(stream) == reason


def test_headers_that_wait_for_the_body(host: Host) -> None:
    """Where that is configured, nothing of a request goes on before its body is right."""
    settings = {"signatures": {"keys": [KEY], "hold_headers": True}}
    plugin = host.load("builtin://auth", settings, allow_on_headers_stop_iteration=True)
    for body, reason in ((BODY, None), (b"other", "signature_content_digest")):
        stream = plugin.stream()
        headers = signed(NOW, body.hex(), method="PUT", body=BODY)
        assert stream.request_headers(headers, end_of_stream=False) is Outcome.HOLD
        stream.request_body(body)
        assert details(stream) == reason


def test_once_and_not_again(host: Host) -> None:
    """Also in another VM of the same host."""
    first, second = load(host), load(host)
    assert told(first, signed(NOW)) is None
    for plugin in (first, second):
        assert told(plugin, signed(NOW)) == "signature_replayed"
        assert told(plugin, signed(NOW, target="/other")) == "signature_replayed"
    assert told(second, signed(NOW, "n2")) is None
    assert told(first, signed(NOW, "n2")) == "signature_replayed"


class Racing(MemorySharedData):
    """Lets another VM come between a read and its set."""

    def __init__(self) -> None:
        super().__init__()
        self.between: list[Any] = []

    def get(self, vm_id: str, key: bytes) -> Any:
        found = super().get(vm_id, key)
        if self.between:
            self.between.pop()()
        return found


def test_two_vms_at_once(host: Host) -> None:
    """Of two that ask for the same in the same moment, one passes."""
    host.shared_data = racing = Racing()
    first, second = load(host), load(host)
    seen: list[str | None] = []
    racing.between.append(lambda: seen.append(told(second, signed(NOW))))
    seen.append(told(first, signed(NOW)))
    assert seen == [None, "signature_replayed"]


def test_a_store_without_room_lets_nobody_in(host: Host) -> None:
    """What could be a replay is answered by 503."""
    host.shared_data = MemorySharedData(StateLimits(max_keys=0))
    stream = load(host).request(signed(NOW))
    assert details(stream) == "signature_nonce_store"
    assert stream.local_response is not None
    assert stream.local_response.status == 503


def test_a_clock_that_jumps(host: Host) -> None:
    """What was used is not let in again, wherever the clock goes."""
    plugin = load(host)
    assert told(plugin, signed(NOW)) is None
    host.advance(3600.0)
    assert told(plugin, signed(NOW)) == "signature_expired"
    assert told(plugin, signed(NOW + 3600, "later")) is None
    host.advance(-3600.0)
    assert told(plugin, signed(NOW)) in ("signature_replayed", "signature_expired")


def test_nothing_is_kept_for_the_next_request(host: Host) -> None:
    """Whatever `validity` says, an answer to a signed request is for this one."""
    settings = {"signatures": {"keys": [KEY]}, "validity": {"duration_seconds": 60}}
    plugin = host.load("builtin://auth", settings)
    for headers in (signed(NOW), signed(NOW)):
        assert plugin.request(headers).properties[b"mixer\0valid_duration"] == b"0ms"
