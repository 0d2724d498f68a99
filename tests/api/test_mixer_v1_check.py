"""Reading a CheckRequest of Mixer."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixer.api.mixer_v1 import CallRefusedError, Question, Quota, decode_check
from mixer.api.mixer_v1.check import MOST_QUOTAS, note_told
from mixer.api.mixer_v1.references import MOST_REFERENCES
from mixer.attributes import Duration, Timestamp, Value
from mixer.cel import AttributeActivation, Result, checked_program
from mixer.proxywasm.property_codec import NotALeaf, encode, look_up, split
from mixer.wire import mixer_v1_pb2 as pb
from tests.api.mixer_calls import (
    CALLER,
    TOO_MANY,
    Reference,
    admission,
    asked_by,
    check_bytes,
    references,
)

ATTRIBUTES: dict[str, Value] = {
    "request.headers": {
        ":path": "/a/b?x=1", ":method": "POST", ":authority": "shop", ":scheme": "https",
        "user-agent": "curl", "x-request-id": "7", "content-length": "12",
    },
    "request.path": "/a/b?x=1",
    "request.method": "POST",
    "request.time": Timestamp(12_000_000_034),
    "request.total_size": 99,
    "origin.ip": b"\0" * 10 + b"\xff\xff\x0a\0\0\1",
    "destination.ip": b"\0" * 15 + b"\1",
    "destination.port": 8080,
    "source.principal": "cluster.local/ns/a/sa/b",
    "source.labels": {"app": "shop"},
    "connection.mtls": True,
    "connection.id": "41",
    "connection.requested_server_name": "outbound_.80_._.shop",
    "context.reporter.kind": "inbound",
    "destination.service.host": "shop.default",
    "response.code": 404,
    "response.duration": Duration(5),
    "response.grpc_status": "5",
    "response.headers": {"server": "envoy"},
}  # fmt: skip


def ask(attributes: dict[str, Value], **options: Any) -> Question:
    return decode_check(check_bytes(attributes, **options), admission(), asked_by).question()


def noted(question: Question, known: int = 222) -> set[Reference]:
    message = pb.ReferencedAttributes()
    question.references.write(message, known)
    return references(message)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("request.path", "/a/b?x=1"),
        ("request.url_path", "/a/b"),
        ("request.query", "x=1"),
        ("request.method", "POST"),
        ("request.host", "shop"),
        ("request.scheme", "https"),
        ("request.useragent", "curl"),
        ("request.referer", None),
        ("request.id", "7"),
        ("request.time", Timestamp(12_000_000_034)),
        ("request.size", 12),
        ("request.total_size", 99),
        ("source.address", "10.0.0.1:0"),
        ("source.port", None),
        ("destination.address", "[::1]:8080"),
        ("destination.port", 8080),
        ("source.principal", "spiffe://cluster.local/ns/a/sa/b"),
        ("connection.uri_san_peer_certificate", "spiffe://cluster.local/ns/a/sa/b"),
        ("source.labels", {"app": "shop"}),
        ("destination.labels", {}),
        ("destination.service", "shop.default"),
        ("connection.mtls", True),
        ("connection.id", 41),
        ("connection.requested_server_name", "outbound_.80_._.shop"),
        ("xds.listener_direction", 1),
        ("response.code", 404),
        ("response.grpc_status", 5),
        ("request.duration", Duration(5)),
        ("response.headers", {":status": "404", "server": "envoy"}),
        ("upstream.address", None),
        ("mixer.operation", "check"),
        ("mixer.caller", CALLER),
        ("mixer.quota", None),
        ("mixer.dedup_id", None),
    ],
)
def test_envoy_names_of_what_istio_tells(name: str, value: object) -> None:
    """What a caller tells by Istio's names is found by Envoy's; what it does not is absent."""
    assert ask(ATTRIBUTES).request.attributes.get(name) == value


@pytest.mark.parametrize(
    ("attributes", "value"),
    [
        ({"source.user": "cluster.local/ns/a/sa/c"}, "spiffe://cluster.local/ns/a/sa/c"),
        ({"source.user": "alice"}, "alice"),
        ({"source.principal": "https://a/b", "source.user": "alice"}, "https://a/b"),
        ({"source.principal": ""}, None),
    ],
)
def test_principals(attributes: dict[str, Value], value: Value | None) -> None:
    """A SPIFFE ID has its scheme, as with ext_authz; other names are as they were sent."""
    assert ask(attributes).request.attributes.get("source.principal") == value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (b"request\0headers\0user-agent", "curl"),
        (b"mixer\0attribute\0request.headers\0user-agent", "curl"),
        (b"mixer\0attribute\0destination.port", 8080),
        (b"mixer\0attribute\0source.uid", None),
        (b"mixer\0operation", "check"),
    ],
)
def test_properties_are_found_by_their_parts(path: bytes, value: Value | None) -> None:
    """Modules go from part to part of a property path."""
    assert look_up(ask(ATTRIBUTES).request.attributes.get, split(path)) == value


def test_the_quota_is_a_property() -> None:
    """Its name, amount and best effort are found by path, and the operation is another one."""
    check = decode_check(
        check_bytes({}, quotas={"rps": (5, True)}, dedup_id="7"), admission(), asked_by
    )
    assert check.quotas == (Quota("rps", 5, True),)
    find = check.quota_question(check.quotas[0]).request.attributes.get
    found = [look_up(find, ("mixer", "quota", part)) for part in ("name", "amount", "best_effort")]
    assert found == ["rps", 5, True]
    assert (find("mixer.operation"), find("mixer.dedup_id")) == ("quota", "7")


@pytest.mark.parametrize(
    ("attributes", "path"),
    [
        ({"request.path": "/a"}, b"/a"),
        ({"request.path": "/a", "request.headers": {":path": "/b"}}, b"/b"),
        ({"request.path": "", "request.headers": {}}, None),
        ({}, None),
    ],
)
def test_pseudo_headers(attributes: dict[str, Value], path: bytes | None) -> None:
    """They are in the headers or, failing that, attributes of their own."""
    headers = ask(attributes).request.headers
    assert headers.first(b":path") == path
    assert dict(headers.pairs()).get(b":path") == path
    assert headers.count() == len(headers.pairs())


def test_all_headers() -> None:
    """Pseudo headers come first; the host is the authority; bytes that are no UTF-8 are kept."""
    told: dict[str, Value] = {
        "request.method": "GET",
        "request.headers": {"x-a": "1", "host": "shop", ":path": "/"},
    }
    headers = ask(told).request.headers
    assert dict(headers.pairs()) == {
        b":method": b"GET",
        b":path": b"/",
        b":authority": b"shop",
        b"x-a": b"1",
    }
    assert [name.startswith(b":") for name, _ in headers.pairs()] == [True, True, True, False]
    assert headers.first(b"host") == b"shop"
    assert headers.count() == 4


def test_headers_in_other_spellings() -> None:
    """They are found as in any message, one by one and all together."""
    told = {"X-A": "2", "x-a": "1", "Host": "shop", "X-B": "3", "\u00c9": "4"}
    question = ask({"request.headers": told})
    headers = question.request.headers
    names = (b"x-a", b":authority", b"x-b", "\u00c9".encode(), "\u00e9".encode())
    values = [headers.all(name) for name in names]
    assert values == [(b"1", b"2"), (b"shop",), (b"3",), (b"4",), ()]
    assert ("request.headers", "X-B", "EXACT") in noted(question)
    headers.add(b"x-b", b"5")  # from now on the map is decoded
    assert [headers.all(name) for name in names[:2]] == values[:2]
    assert headers.count() == 6
    assert headers.pairs()[0] == (b":authority", b"shop")


def test_a_body_is_announced_in_any_spelling() -> None:
    """An adapter that wants the body is not told that there is none."""
    assert ask({"request.headers": {"Content-Length": "5"}}).request.has_body


@pytest.mark.parametrize(
    ("length", "has_body"), [(None, False), ("0", False), ("5", True), ("x", True)]
)
def test_whether_there_is_a_body(length: str | None, has_body: bool) -> None:
    """The length that a request announces tells; a body itself is never sent."""
    headers = {} if length is None else {"content-length": length}
    request = ask({"request.headers": headers}).request
    assert (request.has_body, request.body) == (has_body, None)


def test_look_ups_are_noted() -> None:
    """Attributes and keys of maps, there or not; a whole map only where it is absent."""
    question = ask({"request.headers": {"x-a": "1"}, "destination.port": 80})
    headers, attributes = question.request.headers, question.request.attributes
    assert noted(question) == set()
    headers.first(b"x-a")
    headers.first(b"x-b")
    attributes.get("destination.port")
    attributes.get("source.principal")
    attributes.get("request.headers")
    look_up(attributes.get, ("mixer", "attribute", "source.labels", "app"))
    look_up(attributes.get, ("mixer", "attribute", "source.uid"))
    assert noted(question) == {
        ("request.headers", "x-a", "EXACT"),
        ("request.headers", "x-b", "ABSENCE"),
        ("destination.port", None, "EXACT"),
        ("source.principal", None, "ABSENCE"),
        ("source.user", None, "ABSENCE"),
        ("source.labels", None, "ABSENCE"),
        ("source.uid", None, "ABSENCE"),
    }
    assert not question.references.volatile


@pytest.mark.parametrize("path", [b"request\0headers", b"mixer\0attribute\0request.headers"])
def test_a_map_that_is_read_as_a_whole(path: bytes) -> None:
    """Nobody can keep an answer that follows from all of a map: its condition is REGEX."""
    question = ask({"request.headers": {"x-a": "1"}})
    encode(look_up(question.request.attributes.get, split(path)))
    assert ("request.headers", None, "REGEX") in noted(question)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('"source.labels" in mixer.attribute', "source.labels"),
        ("has(response.headers)", "response.headers"),
    ],
)
def test_whether_a_map_is_there(text: str, name: str) -> None:
    """An answer that follows from it is none for a request without; one key's value implies it."""
    asks = checked_program(text, Result.BOOL)

    def answer(attributes: dict[str, Value]) -> tuple[bool, set[Reference]]:
        question = ask(attributes)
        activation = AttributeActivation(question.request.attributes.get)
        return asks.evaluate(activation), noted(question)

    assert answer({name: {"b": "2", "a": "1"}}) == (True, {(name, "a", "EXACT")})
    assert answer({name: {}}) == (True, {(name, None, "REGEX")})
    assert answer({name: {"": ""}}) == (True, {(name, None, "REGEX")})
    assert answer({}) == (False, {(name, None, "ABSENCE")})


def test_an_entry_of_a_map_is_all_that_is_noted() -> None:
    """Reading it asks for no more than the entry, in expressions too."""
    question = ask({"source.labels": {"app": "shop", "a": "b"}})
    reads = checked_program('mixer.attribute["source.labels"]["app"] == "shop"', Result.BOOL)
    assert reads.evaluate(AttributeActivation(question.request.attributes.get)) is True
    assert noted(question) == {("source.labels", "app", "EXACT")}


def test_what_a_change_follows_from_is_noted() -> None:
    """Whether a header is changed follows from what it was."""
    question = ask({"request.headers": {"x-a": "1"}})
    headers = question.request.headers
    headers.replace(b"x-a", b"1")
    headers.remove(b"x-b")
    assert headers.changes() == ()
    assert noted(question) == {
        ("request.headers", "x-a", "EXACT"),
        ("request.headers", "x-b", "ABSENCE"),
    }


def test_how_many_headers_there_are_is_not_noted() -> None:
    """Every module is told: answers could never be kept."""
    question = ask(ATTRIBUTES)
    assert question.request.headers.count() == 7
    assert noted(question) == set()


def test_what_every_adapter_is_told_is_noted() -> None:
    """Whether there is a body follows from the announced length."""
    question = ask(ATTRIBUTES)
    note_told(question)
    assert noted(question) == {("request.headers", "content-length", "EXACT")}


@pytest.mark.parametrize("path", ["mixer.dedup_id", "mixer.attribute"])
def test_answers_that_nobody_can_keep(path: str) -> None:
    """The deduplication id is another one each time; all attributes are too many."""
    question = ask(ATTRIBUTES, dedup_id="7")
    value = question.request.attributes.get(path)
    if isinstance(value, str):
        assert value == "7"
    else:
        encode(value)
    assert question.references.volatile


def test_too_many_look_ups() -> None:
    """A module that looks for thousands of headers gets an answer that is not for keeping."""
    question = ask({"request.headers": {}})
    for number in range(MOST_REFERENCES):
        question.request.headers.first(b"x-%d" % number)
    assert not question.references.volatile
    question.request.headers.first(b"x-more")
    assert question.references.volatile
    assert len(noted(question)) == MOST_REFERENCES


def test_a_key_that_no_reference_can_name() -> None:
    """A key that is not UTF-8 counts as the whole map."""
    question = ask({"request.headers": {"x-a": "1"}})
    question.request.headers.first(b"x-\xff")
    assert noted(question) == {("request.headers", None, "REGEX")}


@pytest.mark.parametrize("known", [0, 16, 111, 222])
def test_references_have_words_that_the_caller_knows(known: int) -> None:
    """Of the global dictionary only as many are used as the caller said; a key is never 0."""
    question = ask({"source.labels": {"source.ip": "x"}, "request.path": "/"}, known=known)
    question.request.attributes.get("destination.port")
    question.request.attributes.get("request.path")
    look_up(question.request.attributes.get, ("source", "labels", "source.ip"))
    message = pb.ReferencedAttributes()
    question.references.write(message, known)
    assert all(
        one.name < known and one.map_key < max(known, 1) for one in message.attribute_matches
    )
    assert ("source.labels", "source.ip", "EXACT") in references(message)
    assert ("destination.port", None, "ABSENCE") in references(message)


def test_an_attribute_of_the_wrong_type() -> None:
    """It is absent and told by its name, and the rest is used."""
    known = admission()
    data = check_bytes({"source.principal": 5, "destination.port": 80, "own": "ignored"})
    attributes = decode_check(data, known, asked_by).question().request.attributes
    assert attributes.get("source.principal") is None
    assert attributes.get("destination.port") == 80
    assert known.rejected == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff", "grpc: error unmarshalling request: "),
        (check_bytes({"request.path": "/a"})[:-1], "grpc: error unmarshalling request: "),
        (bytes.fromhex("22070a01ff12020801"), "grpc: error unmarshalling request: "),
        (
            pb.CheckRequest(global_word_count=223).SerializeToString(),
            "inconsistent global dictionary versions used: mixer knows 222 words, caller knows 223",
        ),
        (
            check_bytes({}, quotas={f"q{n}": (1, True) for n in range(MOST_QUOTAS + 1)}),
            "257 quotas in one request: at most 256 are taken",
        ),
        (
            pb.CheckRequest(attributes=TOO_MANY).SerializeToString(),
            "4097 attributes in one request: at most 4096 are taken",
        ),
    ],
)
def test_calls_that_are_refused(data: bytes, message: str) -> None:
    """Malformed bytes, a larger dictionary, too many quotas or attributes end the call."""
    with pytest.raises(CallRefusedError) as caught:
        decode_check(data, admission(), asked_by)
    assert caught.value.message.startswith(message)


@given(st.data())
def test_a_flipped_bit_does_no_harm(data: st.DataObject) -> None:
    """Whatever flips on the way, the only error is that the call is refused."""
    sent = bytearray(check_bytes(ATTRIBUTES, quotas={"rps": (5, True)}, dedup_id="7"))
    sent[data.draw(st.integers(0, len(sent) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        question = decode_check(bytes(sent), admission(), asked_by).question()
    except CallRefusedError:
        return
    attributes = question.request.attributes
    for name in attributes.names():
        value = attributes.get(name)
        if value is not None:
            try:
                encode(value)
            except NotALeaf:
                continue
    question.request.headers.pairs()
    question.references.write(pb.ReferencedAttributes(), 222)
