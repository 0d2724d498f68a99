"""The adapter policy: rules that deny, and lists."""

from collections.abc import Mapping
from typing import Any

import pytest

from mixer.attributes import Value
from mixer.proxywasm import PluginStartError
from mixer.testing import Host, LocalResponse, Outcome
from tests.adapters import readme

Rule = dict[str, Any]
ALLOWED = {b"mixer.valid_duration": b"5s", b"mixer.valid_use_count": b"1000"}


def asked(
    host: Host,
    *rules: Rule,
    headers: Mapping[str, str] | None = None,
    properties: Mapping[str, Value] | None = None,
    **options: Any,
) -> tuple[LocalResponse | None, dict[bytes, bytes]]:
    """What is answered, and which properties are set."""
    plugin = host.load("builtin://policy", {"rules": list(rules)} | options)
    stream = plugin.request(headers or {}, properties=properties)
    assert stream.outcome is (Outcome.RESPOND if stream.local_response else Outcome.CONTINUE)
    return stream.local_response, dict(stream.properties)


def deny(match: str) -> Rule:
    return {"name": "r", "match": match, "deny": {"code": 7, "message": "Not allowed"}}


@pytest.fixture
def host(proxy_wasm: Host) -> Host:
    return proxy_wasm


def test_a_denial(host: Host) -> None:
    """The message is the body, the name is in the details, and the code is told."""
    response, properties = asked(
        host, deny('request.headers["clnt"] == "abc"'), headers={"clnt": "abc"}
    )
    assert response == LocalResponse(
        403, "denied_by_r", b"Not allowed", ((b"content-type", b"text/plain"),), 7
    )
    assert properties == {**ALLOWED, b"mixer.deny.code": b"7"}


def test_what_passes_has_a_validity_too(host: Host) -> None:
    """A caller may keep a permission as long as a refusal."""
    response, properties = asked(host, deny("false"), validDuration="1m30s", validUseCount=-1)
    assert response is None
    assert properties == {b"mixer.valid_duration": b"1m30s", b"mixer.valid_use_count": b"-1"}


@pytest.mark.parametrize(
    "match",
    [
        'request.headers["absent"] == "1"',
        'request.headers["absent"] != "1"',
        "connection.mtls && request.path == '/'",
        'mixer.attribute["source.user"] != "admin"',
        'mixer.attribute["my.own"]["x"] == "1"',
        "response.code == 200",
        'filter_state["nothing"] == "1"',
    ],
)
def test_what_is_absent_does_not_match(host: Host, match: str) -> None:
    """As in Mixer, a rule does not hold where the request lacks what its match reads."""
    response, properties = asked(host, deny(match))
    assert (response, properties) == (None, ALLOWED)


def test_what_is_absent_can_be_made_to_match(host: Host) -> None:
    """A match that asks first holds for a request without the attribute."""
    match = '!("source.user" in mixer.attribute) || mixer.attribute["source.user"] != "admin"'
    for attributes, denied in (
        ({}, True), ({"source.user": "bob"}, True), ({"source.user": "admin"}, False),
    ):  # fmt: skip
        response, _ = asked(host, deny(match), properties={"mixer.attribute": attributes})
        assert (response is not None) is denied


@pytest.mark.parametrize(
    "match",
    [
        "int(request.path) > 1",
        "request.path",
        "1",
        'request.heders["x"] == "1"',
        "reqest.path == '/'",
        "has(request.headers.x) || int(request.path) > 1",
        '"x" in request.headers || int(request.path) > 1',
        "1 / 0 == 1",
    ],
)
def test_what_cannot_be_evaluated_is_no_permission(host: Host, match: str) -> None:
    """A mistake in a match refuses, tells that it is no denial, and is not kept."""
    response, properties = asked(host, deny(match))
    assert response is not None
    assert (response.status, response.details) == (503, "not_evaluated_in_r")
    assert response.body == b"r: rules[0].match cannot be evaluated"
    assert properties == {
        b"mixer.valid_duration": b"0s",
        b"mixer.valid_use_count": b"0",
        b"mixer.deny.code": b"13",
    }


@pytest.mark.parametrize("operation", ["quota", "report"])
def test_only_checks_are_decided(host: Host, operation: str) -> None:
    """Where a quota is asked for, or something is reported, nothing happens."""
    everything: Rule = {"deny": {}}
    response, properties = asked(host, everything, properties={"mixer.operation": operation})
    assert (response, properties) == (None, {})
    assert asked(host, everything, properties={"mixer.operation": "check"})[0] is not None


def checked(value: str, kind: str, *entries: str) -> Rule:
    return {"name": "l", "list": {"value": value, "type": kind, "entries": list(entries)}}


@pytest.mark.parametrize(
    ("rule", "attributes", "message"),
    [
        (checked("source.address", "IP_ADDRESSES", "10.0.0.0/8"), {}, None),
        (
            checked("source.address", "IP_ADDRESSES", "10.1.2.4"), {},
            "10.1.2.3:4711 is not whitelisted",
        ),
        (
            checked('mixer.attribute["source.ip"]', "IP_ADDRESSES", "10.1.2.3"),
            {"source.ip": bytes((10, 1, 2, 3))}, None,
        ),
        (
            checked('mixer.attribute["my.address"]', "IP_ADDRESSES", "1::2"),
            {"my.address": b"1::2"}, "49.58.58.50 is not whitelisted",
        ),
        (
            checked('mixer.attribute["my.address"]', "IP_ADDRESSES", "1::2"),
            {"my.address": "1::2"}, None,
        ),
        (
            checked('mixer.attribute["source.labels"]["version"]', "STRINGS", "v1"),
            {"source.labels": {"version": "v3"}}, "v3 is not whitelisted",
        ),
        (checked("request.method + request.path", "REGEX", "^GET/$"), {}, None),
        (
            checked("source.port", "STRINGS", "4711"), {},
            "4711 is not a valid string or IP address",
        ),
        (
            checked('mixer.attribute["gone"]', "STRINGS", "a"), {},
            "l: rules[0].list.value cannot be evaluated",
        ),
    ],
)  # fmt: skip
def test_lists(host: Host, rule: Rule, attributes: dict[str, Value], message: str | None) -> None:
    """Values are read with their types, so that bytes are addresses and texts are texts."""
    known: dict[str, Value] = {
        "source.address": "10.1.2.3:4711", "source.port": 4711, "mixer.attribute": attributes,
    }  # fmt: skip
    response, _ = asked(host, rule, properties=known)
    assert (response and response.body.decode()) == message


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ({"match": "1 +", "deny": {}}, "rules[0].match"),
        ({"match": "true) || (true", "deny": {}}, "rules[0].match"),
        (checked("a b", "STRINGS"), "rules[0].list.value"),
        (checked("'a'], ['b'", "STRINGS"), "rules[0].list.value"),
    ],
)
def test_an_expression_that_is_none(host: Host, rule: Rule, field: str) -> None:
    """It is refused at the start, with its place."""
    with pytest.raises(PluginStartError, match="is not an expression that the host takes") as error:
        asked(host, rule)
    assert field in str(error.value)


def test_a_comment_ends_with_its_line(host: Host) -> None:
    """What is put around an expression is none of its comment."""
    assert asked(host, deny("true // always"))[0] is not None


@pytest.mark.parametrize(
    ("number", "request_", "status", "message"),
    [
        (0, {"clnt": "abc"}, 403, "Not allowed"),
        (0, {"source.address": "11.0.0.1:80"}, 403, "come from inside"),
        (0, {"source.address": "10.0.0.1:80"}, None, None),
        (1, {}, 401, "no version"),
        (1, {"version": "v3"}, 403, "v3 is not whitelisted"),
        (1, {"version": "v2"}, None, None),
        (2, {"user-agent": "curl/8"}, 410, "no robots"),
        (2, {"user-agent": "Some Bot"}, 410, "no robots"),
        (2, {"user-agent": "Firefox"}, None, None),
        (2, {}, None, None),
    ],
)
def test_the_examples_of_the_page(
    host: Host, number: int, request_: dict[str, str], status: int | None, message: str | None
) -> None:
    """They do what is said about them."""
    labels = {"version": request_["version"]} if "version" in request_ else {}
    properties: dict[str, Value] = {
        "source.address": request_.get("source.address", "10.0.0.1:80"),
        "source.labels": labels,
        "mixer.attribute": {"source.labels": labels},
    }
    response, _ = asked(
        host, headers=request_, properties=properties, **readme.examples("policy")[number]
    )
    assert (response and response.status) == status
    assert (response and response.body.decode()) == message


def test_every_field_is_documented() -> None:
    """The tables of the page have what the parser knows, and nothing else."""
    assert readme.documented("policy") == readme.known("policy")
