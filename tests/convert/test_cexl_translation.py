"""What a translated expression gives, held to how Mixer evaluates.

The facts of the table were observed on the expression compiler of Istio 1.3.
"""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mixer.attributes import Duration, Timestamp, ValueType
from mixer.cel import ABSENT, EvaluationError, Program
from mixer.convert.cexl import CexlError, Translator
from mixer.convert.cexl.checking import check
from mixer.convert.cexl.parser import parse
from mixer.convert.cexl.translating import translate
from tests.convert.evaluator import FailedError, canonical, evaluate
from tests.convert.expressions import VOCABULARY, attributes, expressions

_FAILS = object()


class _Request:
    """Names as every front end gives them."""

    def __init__(self, attributes: Mapping[str, Any]) -> None:
        self._attributes = attributes

    def find(self, name: str) -> Any:
        return {"attribute": self._attributes} if name == "mixer" else ABSENT


def _run(cel: str, attributes: Mapping[str, Any]) -> Any:
    try:
        return Program(cel.encode()).evaluate(_Request(attributes))
    except EvaluationError:
        return _FAILS


def _expected(text: str, attributes: Mapping[str, Any]) -> Any:
    try:
        return evaluate(check(parse(text), VOCABULARY), attributes)
    except FailedError:
        return _FAILS


_HEADERS = {"m": {"user-agent": "curl/7", "empty": ""}}
_FACTS: list[tuple[str, dict[str, Any], Any]] = [
    ("i == 2", {"i": 2}, True),
    ("i != 2", {}, _FAILS),
    ("i | 42", {"i": 0}, 0),
    ("i | 42", {}, 42),
    ("s | a.s | \"user1\"", {"a.s": "b2"}, "b2"),
    ("s | a.s", {}, _FAILS),
    ('m["foo"]', {"m": {}}, ""),
    ('m["foo"]', {}, _FAILS),
    ('m["foo"] | "bar"', {}, "bar"),
    ('m["foo"] | "bar"', {"m": {"foo": ""}}, ""),
    ('m[s] | "bar"', {"m": {"k": "v"}}, "bar"),
    ('s | (a.s | m["foo"])', {"m": {}}, _FAILS),
    ('s | a.s | m["foo"]', {"m": {}}, ""),
    ('(m | a.m)["foo"]', {"a.m": {"foo": "far"}}, "far"),
    ('emptyStringMap()["a"]', {}, ""),
    ('match(m["user-agent"], "curl*")', _HEADERS, True),
    ('match(m["user-agent"], "*/7")', _HEADERS, True),
    ('match(m["user-agent"], "c*7")', _HEADERS, False),
    ('match(s, "**")', {"s": "*a"}, True),
    ('"ab.*d".matches("abc")', {}, False),
    ('"b".matches("abc")', {}, True),
    ('i == 20 || m["foo"] == "bar"', {"i": 20}, True),
    ('i == 20 || m["foo"] == "bar"', {"m": {"foo": "bar"}}, _FAILS),
    ('i == 20 && m["foo"] == "bar"', {"i": 2}, False),
    ('i == 20 && m["foo"] == "bar"', {"m": {}}, _FAILS),
    ('m["foo"] == "bar" && i == 20', {"i": 2}, _FAILS),
    ('size("é")', {}, 2),
    ("size(s)", {"s": "é"}, 2),
    ('ip == ip("10.0.0.1")', {"ip": b"\x0a\0\0\1"}, True),
    ('ip == ip("10.0.0.1")', {"ip": bytes(10) + b"\xff\xff\x0a\0\0\1"}, True),
    ('ip == ip("::ffff:10.0.0.1")', {"ip": b"\x0a\0\0\1"}, True),
    ('ip != ip("::1")', {"ip": bytes(15) + b"\1"}, False),
    ("ip == a.ip", {"ip": b"\x0a\0\0\1", "a.ip": bytes(10) + b"\xff\xff\x0a\0\0\1"}, True),
    ("ip == a.ip", {"ip": b"\x0a\0\0\1", "a.ip": b"\x0a\0\0\2"}, False),
    ('ip | ip("0.0.0.0")', {}, b"\0\0\0\0"),
    ('span | "1m30s"', {}, Duration(90_000_000_000)),
    ('t < timestamp("2015-01-02T15:04:36Z")', {"t": Timestamp(0)}, True),
    ('toLower("ABC") == s', {"s": "abc"}, True),
    ('toLower(s) == "abc"', {"s": "aBC"}, True),
    ('toLower(s) == "abc"', {"s": "aBCd"}, False),
    ('conditional(b, "a", s)', {"b": True}, "a"),
    ('conditionalString(b, "a", s)', {"b": True}, _FAILS),
    ('conditionalString(b, "a", s)', {"b": True, "s": "x"}, "a"),
    ("true == False", {}, False),
    ("'a' + `b\\` + \"\\x63\\u0064\"", {}, "ab\\cd"),
    ('"a" < "b" && 1 <= 1 && 2.5 > 1.0', {}, True),
]  # fmt: skip


@pytest.mark.parametrize(("text", "attributes", "value"), _FACTS)
def test_it_gives_what_mixer_gives(text: str, attributes: dict[str, Any], value: Any) -> None:
    """In CEL an expression has the value that it has in Mixer, or fails where it fails there."""
    found = _run(translate(check(parse(text), VOCABULARY)).text, attributes)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(("text", "attributes", "value"), _FACTS)
def test_the_evaluator_of_the_tests_knows_the_facts(
    text: str, attributes: dict[str, Any], value: Any
) -> None:
    """What random expressions are compared with gives what Mixer gives."""
    assert _expected(text, attributes) == value


_COMPARED = [one for one in ValueType if one in set(VOCABULARY.values())]


@settings(max_examples=200, suppress_health_check=list(HealthCheck), deadline=None)
@given(st.data())
def test_any_expression_gives_what_mixer_gives(data: st.DataObject) -> None:
    """Whatever is written, and whatever a request has: the same value, or both fail."""
    text = data.draw(expressions(data.draw(st.sampled_from(_COMPARED))))
    request = data.draw(attributes())
    try:
        cel = translate(check(parse(text), VOCABULARY)).text
    except CexlError:
        return
    assert canonical(_run(cel, request)) == canonical(_expected(text, request)), cel


@settings(max_examples=200, suppress_health_check=list(HealthCheck), deadline=None)
@given(expressions(ValueType.BOOL), attributes())
def test_a_match_holds_where_mixer_matches(text: str, request: dict[str, Any]) -> None:
    """A match that fails in Mixer does not match; here it is false, or fails as well."""
    try:
        cel = Translator(VOCABULARY).match(text)
    except CexlError:
        return
    found = True if cel is None else _run(cel, request)
    assert (found is True) == (_expected(text, request) is True), cel


@pytest.mark.parametrize(
    "text",
    [
        's == "x"',
        'm["a"] == "x" && s == "y"',
        's == "x" || s == "y"',
        'm["a"] == "x" || s == "y"',
        'a.m["b"] == m["a"]',
        "b",
        'conditional(b, s == "x", a.b)',
        'ip != ip("10.0.0.1")',
    ],
)
def test_a_match_asks_before_it_reads(text: str) -> None:
    """A match is false for a request that has none of the attributes, and does not fail."""
    cel = Translator(VOCABULARY).match(text)
    assert cel is not None
    assert _run(cel, {}) is False


def test_a_match_of_everything_is_none() -> None:
    """No text, and the constant true, are for every request."""
    assert Translator(VOCABULARY).match("") is None
    assert Translator(VOCABULARY).match("true") is None


@pytest.mark.parametrize(
    ("request_", "holds"),
    [
        ({"destination.namespace": "shop"}, True),
        ({"destination.namespace": "other"}, False),
        ({}, False),
        ({"context.reporter.kind": "inbound", "destination.namespace": "shop"}, True),
        ({"context.reporter.kind": "outbound", "destination.namespace": "shop"}, False),
        ({"context.reporter.kind": "outbound", "source.namespace": "shop"}, True),
        ({"context.reporter.kind": "", "destination.namespace": "shop"}, False),
        ({"context.reporter.kind": "none", "source.namespace": "shop"}, False),
    ],
)
def test_a_rule_of_a_namespace_is_for_its_traffic(request_: dict[str, Any], holds: bool) -> None:
    """As in Mixer the destination counts, or the source as its own proxy sees it."""
    for text in ("", "true"):
        cel = Translator(VOCABULARY).match(text, "shop")
        assert cel is not None
        assert _run(cel, request_) is holds


_NAMES = {"dns": ValueType.DNS_NAME, "mail": ValueType.EMAIL_ADDRESS, "uri": ValueType.URI}


@pytest.mark.parametrize(
    ("text", "value", "holds"),
    [
        ('dns == dnsName("Foo.bar")', "fOO.BAR.", True),
        ('dns == dnsName("foo.bar.")', "foo.bar", True),
        ('dnsName("foo.bar") != dns', "foo.baz", True),
        ('dns == dnsName("foo.bar")', "fooxbar", False),
        ('mail == email("User@foo.bar")', "User@FOO.bar", True),
        ('mail == email("User@foo.bar")', "user@foo.bar", False),
        ('uri == uri("http://Foo.bar:80/A?b=c")', "HTTP://foo.bar:80/A?b=c", True),
        ('uri == uri("http://foo.bar/A")', "http://foo.bar/a", False),
        ('uri == uri("urn:foo")', "URN:foo", True),
    ],
)
def test_names_are_compared_as_names(text: str, value: str, holds: bool) -> None:
    """Case does not count in host names and schemes, nor a dot at the end of a name."""
    name = next(one for one in _NAMES if one in text.replace("dnsName", "").replace("uri(", ""))
    cel = Translator(_NAMES).match(text)
    assert cel is not None
    assert _run(cel, {name: value}) is holds


def test_texts_of_other_types() -> None:
    """A number is written as text where text is wanted, an address stays bytes."""
    translator = Translator(VOCABULARY)
    for text, value in [("i", "5"), ("b", "true"), ("span", "1.500s"), ("s", "x")]:
        cel, _ = translator.text(text)
        assert _run(cel, {"i": 5, "b": True, "s": "x", "span": Duration(1_500_000_000)}) == value
    assert translator.text("ip")[1] is ValueType.IP_ADDRESS


def test_the_text_of_cel_is_bounded() -> None:
    """What would grow beyond a CEL expression's bound is refused, whatever it is made of."""
    nested = "s"
    for _ in range(40):
        nested = f"m[{nested}]"
    long = " || ".join(f's == "{"x" * 90}{n}"' for n in range(60))
    for text in (nested, f"{nested} == s", long):
        with pytest.raises(CexlError, match=r"bytes in CEL"):
            Translator(VOCABULARY).text(text)
