"""With and without the decision cache a service gives the same answers, to any modules."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mixer.attributes import AttributeBag, Duration, HeaderMap, Timestamp
from mixer.engine import Decision, Engine, Request
from mixer.engine.cache.reads import AttributeRead, PresenceRead
from mixer.engine.cache.traced_bag import TracedBag
from tests.engine.conftest import MakeEngine, Plugins, request
from tests.support import adapters as do
from tests.support.adapters import Step, adapter
from tests.support.guest import http_stream
from tests.support.tenants import TEXT, gets, rule

if TYPE_CHECKING:
    from collections.abc import Sequence

ALWAYS = {"valid-duration": "1h"}

# Few names and values, so that requests are alike in much and differ in little.
NAMES = st.sampled_from(["a", "b", ":path", "host", "user-agent"])
VALUES = st.sampled_from(["", "1", "2", "/x?y=1", "/x?y=2", "v" * 200])
PROPERTIES = st.sampled_from(
    [
        "request\0path", "request\0url_path", "request\0query", "request\0host",
        "request\0useragent", "request\0headers\0a", "request\0headers\0b",
        "source\0address", "context_extensions\0a", "destination\0labels\0b", "plugin_name",
        "request\0headers", "context_extensions", "nothing\0at\0all",
        "request\0size", "request\0total_size", "request\0headers_bytes", "number",
    ]
)  # fmt: skip
EXPRESSIONS = st.sampled_from(
    [
        "request.path == '/x?y=1'", "'a' in request.headers", "request.headers['a'] == '1'",
        "request.headers_bytes > 20", "request.url_path.startsWith('/x')",
        "has(context_extensions.a)", "source.address.contains('1')", "size(request.headers) > 2",
        "number == 0.0", "1.0 / number > 0.0", "request.useragent == '2'", "request.size > 2",
        "has(maybe.a) || maybe == '1'", "!has(maybe.a)", "maybe.a == null",
        "destination.labels == {'b': '1'}", "context_extensions.exists(k, k == 'b')",
    ]
)  # fmt: skip
ACTIONS = st.one_of(
    st.builds(do.add, NAMES, VALUES),
    st.builds(do.replace, NAMES, VALUES),
    st.builds(do.remove, NAMES),
    st.builds(do.deny, st.sampled_from([401, 403, 429]), VALUES, VALUES),
    st.builds(do.count, st.sampled_from(["m", "n"]), st.integers(1, 3)),
    st.builds(do.set_property, st.sampled_from(["own\0p", "mixer\0response_header\0x"]), VALUES),
)


def _conditions(inner: st.SearchStrategy[Step]) -> st.SearchStrategy[Step]:
    value = st.none() | VALUES
    return st.one_of(
        st.builds(do.where_header, NAMES, value, inner),
        st.builds(do.where_property, PROPERTIES | st.just("own\0p"), value, inner),
        st.builds(do.where_told, st.integers(0, 5), inner),
        st.builds(do.where_header_bytes, st.integers(0, 40), inner),
        st.builds(do.where_true, EXPRESSIONS, inner),
    )


STEPS = st.lists(st.recursive(ACTIONS, _conditions, max_leaves=4), min_size=1, max_size=5)
BODY_STEPS = st.lists(
    st.one_of(
        ACTIONS,
        st.builds(do.where_body, st.sampled_from(["", "abc", "b" * 300]), ACTIONS),
        st.builds(do.where_told, st.integers(0, 4), ACTIONS),
        st.builds(do.set_body, VALUES),
    ),
    max_size=3,
)
END_STEPS = st.lists(
    st.one_of(
        st.builds(do.count, st.just("end"), st.just(1)),
        st.builds(
            lambda path, value: do.where_property(path, value, do.count("end of", 1)),
            PROPERTIES, VALUES,
        ),
    ),
    max_size=2,
)  # fmt: skip
ANSWER_STEPS = st.lists(
    st.one_of(
        st.builds(do.add_to_response, NAMES, VALUES),
        st.builds(
            lambda path, value: do.where_property(path, value, do.add_to_response("x", "1")),
            PROPERTIES, VALUES | st.sampled_from([(0).to_bytes(8, "little"), None]),
        ),
        st.builds(
            lambda expression: do.where_true(expression, do.add_to_response("y", "1")),
            EXPRESSIONS,
        ),
    ),
    max_size=2,
)  # fmt: skip


@st.composite
def modules(draw: st.DrawFn) -> str:
    """A module that decides by what it reads, and by nothing else."""
    callbacks: dict[str, Sequence[Step]] = {}
    if draw(st.booleans()):
        callbacks["request_body"] = draw(BODY_STEPS)
    if draw(st.booleans()):
        callbacks["response_headers"] = draw(ANSWER_STEPS)
    if draw(st.booleans()):
        callbacks["delete"] = draw(END_STEPS)
    return adapter(*draw(STEPS), **callbacks)


ATTRIBUTES = st.fixed_dictionaries(
    {},
    optional={
        "number": st.sampled_from([0.0, -0.0, 1.0]),
        "maybe": st.sampled_from(["1", {}, {"a": "1"}, {"a": None}]),
        "told.useragent": VALUES,
        "source.address": st.sampled_from(["10.0.0.1:1", "10.0.0.2:1", "x" * 200]),
        "context_extensions": st.dictionaries(st.sampled_from(["a", "b"]), VALUES),
        "destination.labels": st.dictionaries(st.sampled_from(["a", "b"]), VALUES),
    },
)
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=3)
BODIES = st.none() | st.sampled_from([b"", b"abc", b"abd", b"b" * 300])
Asked = tuple[list[tuple[str, str]], bytes | None, dict[str, Any]]
REQUESTS = st.lists(st.tuples(HEADERS, BODIES, ATTRIBUTES), min_size=1, max_size=12)


class Resolvers(dict[str, Any]):
    """Those of a front end that falls back on attributes where a header lacks."""

    def __missing__(self, name: str) -> Any:
        return lambda source: source[1].get(name)

    def get(self, name: str, _default: Any = None) -> Any:
        """As the bag asks for them."""
        return self[name]


def _useragent(source: tuple[HeaderMap, AttributeBag]) -> Any:
    sent = source[0].first(b"user-agent")
    return source[1].get("told.useragent") if sent is None else sent.decode()


RESOLVERS = Resolvers({"request.useragent": _useragent})


def _request(asked: Asked) -> Request:
    headers, body, attributes = asked
    made = request(*headers, body=body, attributes=attributes)
    made.attributes = AttributeBag(RESOLVERS, (made.headers, made.attributes))
    return made


def _decisions(engine: Engine, requests: list[Asked]) -> list[Decision]:
    made = [engine.decide(_request(one)) for one in requests]
    assert all(isinstance(one, Decision) for one in made)
    return made  # type: ignore[return-value]


def _metrics(engine: Engine) -> dict[str, int]:
    return {m.name: m.value for m in engine.services.metrics.snapshot()}


MATCHES = st.sampled_from(
    [
        'request.path == "/x?y=1"', 'request.path.startsWith("/x")', 'request.host in ["1", "2"]',
        'request.headers["a"] == "1"', 'request.headers["b"] == "2" || request.host == "1"',
        'context_extensions.a == "2"', 'destination.labels["b"] == "1" && request.host == "2"',
        'request.useragent.endsWith("1")', 'source.address != "10.0.0.1:1"', "request.size > 2",
    ]
)  # fmt: skip
RULES = st.lists(
    st.tuples(MATCHES, st.sampled_from([{"disabled": True}, {}, {"pluginConfig": {"a": 1}}])),
    max_size=8,
)


def _rules(rules: list[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Rules that say whether the first adapter runs."""
    return [rule(f"r{n}", match, {"name": "m0", **how}) for n, (match, how) in enumerate(rules)]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(texts=st.lists(modules(), min_size=1, max_size=3), rules=RULES, requests=REQUESTS)
def test_the_same_answers(
    texts: list[str], rules: list[tuple[str, dict[str, Any]]], requests: list[Asked]
) -> None:
    """Whatever modules and rules read and do, in which order things are asked: nobody can tell."""
    with TemporaryDirectory() as folder:
        plugins = Plugins(Path(folder))
        documents = [plugins.plugin(f"m{n}", text, ALWAYS) for n, text in enumerate(texts)]
        documents += _rules(rules)
        configuration = plugins.configuration(*documents)
        with Engine(configuration) as cached, Engine(configuration) as plain:
            cached.cache.in_use = True
            plain.cache.note = lambda _: None  # type: ignore[method-assign]
            plain.cache.in_use = False
            stream = requests * 2
            decisions = _decisions(cached, stream)
            assert decisions == _decisions(plain, stream)
            assert _metrics(cached) == _metrics(plain)
            assert cached.verdicts == plain.verdicts
            for one, other in zip(cached.adapters, plain.adapters, strict=True):
                assert one.stats == other.stats
            assert not plain.cache.stats.misses
            again = sum(bool(one.adapters) for one in decisions[len(requests) :])
            assert cached.cache.stats.hits >= again, "the second time nothing is new"


def test_maps_tell_what_is_looked_up() -> None:
    """Of a map only the keys that somebody looks at count, until somebody reads all of it."""
    reads: list[Any] = []
    inner = request(attributes={"m": {"a": {"x": "1"}, "b": "2"}}).attributes
    found: Any = TracedBag(inner, reads.append).get("m")
    assert "b" in found
    assert "c" not in found
    assert found["a"]["x"] == "1"
    with pytest.raises(KeyError):
        found["d"]
    assert reads == [
        PresenceRead("m"),
        PresenceRead("m", ("b",)),
        PresenceRead("m", ("c",)),
        PresenceRead("m", ("a",)),
        AttributeRead("m", ("a", "x")),
        AttributeRead("m", ("d",)),
    ]
    reads.clear()
    assert (len(found), dict(found)["b"]) == (2, "2")
    assert reads == [AttributeRead("m")]


HERE = {"headers": (("x", "1"), ("y", "2")), "attributes": {}}
READS: dict[str, tuple[Step, dict[str, Any], dict[str, Any]]] = {
    "a header's value": (do.when("x"), HERE, {"headers": (("x", "3"), ("y", "2"))}),
    "a header's presence": (do.when("x"), HERE, {"headers": (("z", "1"), ("y", "2"))}),
    "a header's absence": (do.when("z"), HERE, {"headers": (("x", "1"), ("z", "2"))}),
    "an empty header": (
        do.when("x"),
        {"headers": (("x", ""), ("y", "2"))},
        {"headers": (("z", ""), ("y", "2"))},
    ),
    "a header's second value": (
        do.where_property("request\0headers\0x", None),
        {"headers": (("x", "1"), ("x", "2"))},
        {"headers": (("x", "1"), ("x", "3"))},
    ),
    "how values are divided": (
        do.when("x"),
        {"headers": (("x", "1"), ("x", "2,3"))},
        {"headers": (("x", "1,2"), ("x", "3"))},
    ),
    "the number of headers": (do.log("told"), HERE, {"headers": (("x", "1"),)}),
    "the size of the headers": (
        do.where_header_bytes(1), HERE, {"headers": (("x", "1"), ("y", "22"))},
    ),
    "all headers": (
        do.where_pairs([(b"x", b"1")]), HERE, {"headers": (("x", "1"), ("y", "3"))},
    ),
    "the order of all headers": (
        do.where_pairs([(b"x", b"1")]), HERE, {"headers": (("y", "2"), ("x", "1"))},
    ),
    "a header that is set": (do.replace("x", "1"), HERE, {"headers": (("x", "3"), ("y", "2"))}),
    "a header that is removed": (do.remove("x"), HERE, {"headers": (("z", "1"), ("y", "2"))}),
    "a property of a header": (
        do.where_property("request\0host", None),
        {"headers": (("host", "a"),)},
        {"headers": (("host", "b"),)},
    ),
    "an attribute": (
        do.where_property("source\0address", None),
        {"attributes": {"source.address": "a"}},
        {"attributes": {"source.address": "b"}},
    ),
    "an attribute's absence": (
        do.where_property("source\0address", None), {}, {"attributes": {"source.address": "b"}},
    ),
    "an attribute's type": (
        do.where_true("type(x) == int"), {"attributes": {"x": 1}}, {"attributes": {"x": True}},
    ),
    "a duration": (
        do.where_property("request\0duration", None),
        {"attributes": {"request.duration": Duration(1)}},
        {"attributes": {"request.duration": Duration(2)}},
    ),
    "a time": (
        do.where_property("request\0time", None),
        {"attributes": {"request.time": Timestamp(1)}},
        {"attributes": {"request.time": Timestamp(2)}},
    ),
    "a key of a map": (
        do.where_property("context_extensions\0a", None),
        {"attributes": {"context_extensions": {"a": "1"}}},
        {"attributes": {"context_extensions": {"a": "2"}}},
    ),
    "a key's absence": (
        do.where_property("context_extensions\0a", None),
        {"attributes": {"context_extensions": {}}},
        {"attributes": {"context_extensions": {"a": ""}}},
    ),
    "a key's presence": (
        do.where_true("'a' in context_extensions"),
        {"attributes": {"context_extensions": {"a": ""}}},
        {"attributes": {"context_extensions": {"b": ""}}},
    ),
    "a map": (
        do.where_property("context_extensions", None),
        {"attributes": {"context_extensions": {"a": "1"}}},
        {"attributes": {"context_extensions": {"a": "1", "b": "2"}}},
    ),
    "a nested value": (
        do.where_true("mixer.attribute['request.headers']['x'] == '1'"),
        {"attributes": {"mixer.attribute": {"request.headers": {"x": "1"}}}},
        {"attributes": {"mixer.attribute": {"request.headers": {"x": "2"}}}},
    ),
    "a large value": (
        do.when("x"), {"headers": (("x", "v" * 999),)}, {"headers": (("x", "w" * 999),)},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("read", "before", "after"), READS.values(), ids=READS)
def test_what_was_read_is_never_answered_otherwise(
    make_engine: MakeEngine, plugins: Plugins, read: Step, before: Any, after: Any
) -> None:
    """An answer holds for the same request, and not once one thing that was read is changed."""
    engine = make_engine(plugins.plugin("one", adapter(read), ALWAYS))
    engine.cache.in_use = True
    for asked, hits in ((before, 0), (before, 1), (after, 1), (after, 2), (before, 3)):
        engine.decide(request(*asked.get("headers", ()), attributes=asked.get("attributes")))
        assert engine.cache.stats.hits == hits, asked


@pytest.mark.parametrize(
    ("step", "before", "after"),
    [
        (do.where_body("abc"), b"abc", b"abd"),
        (do.where_body("abc"), b"b" * 300, b"b" * 299 + b"c"),
        (do.set_body("abc"), b"abc", b"abd"),
        (do.log("told"), b"abc", b"abcd"),
    ],
    ids=["the body", "a large body", "a body that is replaced", "the size of the body"],
)
def test_a_body_that_was_read(
    make_engine: MakeEngine, plugins: Plugins, step: Step, before: bytes, after: bytes
) -> None:
    """The body counts by its content if it was read or replaced, else by its size."""
    engine = make_engine(plugins.plugin("one", adapter(request_body=[step]), ALWAYS))
    engine.cache.in_use = True
    for body, hits in ((before, 0), (before, 1), (after, 1), (after, 2)):
        engine.decide(request(body=body))
        assert engine.cache.stats.hits == hits


@pytest.mark.parametrize(
    ("asked", "other"),
    [
        ({"body": None, "has_body": True}, {"body": None, "has_body": False}),
        ({"body": b"", "has_body": False}, {"body": None, "has_body": False}),
        ({"body": b"", "has_body": True}, {"body": b"", "has_body": False}),
    ],
)
def test_which_callbacks_are_made(
    make_engine: MakeEngine, plugins: Plugins, asked: Any, other: Any
) -> None:
    """Whether there is a body decides which callbacks are made, and with which arguments."""
    engine = make_engine(plugins.plugin("one", adapter(), ALWAYS))
    engine.cache.in_use = True
    for one, hits in ((asked, 0), (asked, 1), (other, 1), (other, 2)):
        engine.decide(request(**one))
        assert engine.cache.stats.hits == hits


def test_what_was_not_read_is_no_matter(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Requests that differ in what nobody looked at have one answer."""
    engine = make_engine(plugins.plugin("one", adapter(do.when("x")), ALWAYS))
    engine.cache.in_use = True
    for number in range(5):
        asked = request(
            ("x", "1"), ("y", str(number)), body=None, attributes={"source.address": str(number)}
        )
        engine.decide(asked)
    assert engine.cache.stats.hits == 4


def test_adapters_are_chosen_by_attributes(make_engine: MakeEngine, plugins: Plugins) -> None:
    """What decides which adapters run is read as well."""
    engine = make_engine(
        plugins.plugin("one", adapter(), ALWAYS),
        plugins.plugin("two", adapter(do.deny()), ALWAYS, match=[{"ports": [{"number": 80}]}]),
    )
    engine.cache.in_use = True
    verdicts = [
        engine.decide(request(attributes={"destination.port": port})).verdict  # type: ignore[union-attr]
        for port in (80, 81, 80, 81)
    ]
    assert verdicts == ["deny", "allow", "deny", "allow"]
    assert engine.cache.stats.hits == 2


@pytest.mark.parametrize(
    ("match", "name", "values"),
    [
        ('request.host == "{}"', ":authority", ("h0", "h1", "h9")),
        ('request.path.startsWith("/{}/")', ":path", ("/h0/", "/h1/", "/h9/")),
        ('request.headers["x-tenant"] == "{}"', "x-tenant", ("h0", "h1", "h9")),
    ],
)
def test_rules_are_chosen_by_what_is_looked_up(
    make_engine: MakeEngine, plugins: Plugins, match: str, name: str, values: tuple[str, ...]
) -> None:
    """What the index of the rules looks at is read as well, and what it need not look at is not."""
    engine = make_engine(
        plugins.plugin("t", TEXT, ALWAYS, pluginConfig={"own": 1}),
        *(rule(f"r{n}", match.format(f"h{n}"), gets("t", f"k{n}")) for n in range(8)),
    )
    engine.cache.in_use = True
    for _ in range(2):
        for value, key in zip(values, ("k0", "k1", "own"), strict=True):
            pairs = [(name.encode(), value.encode()), (b"x-other", str(engine.decisions).encode())]
            stream = http_stream(pairs)
            decision = engine.decide(Request(stream.request.headers, stream.attributes))
            assert isinstance(decision, Decision)
            (change,) = decision.request_headers
            assert change.values == (f'{{"{key}":1}}'.encode(),)
    assert engine.cache.stats.hits == 3
