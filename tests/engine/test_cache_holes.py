"""What modules see in roundabout ways is part of the key too, and notes of it are bounded."""

import struct
from typing import Any

import pytest

from mixer.attributes import HTTP_RESOLVERS, AttributeBag, HeaderMap
from mixer.config import DecisionCacheLimits
from mixer.engine import Decision, Engine, Request
from mixer.engine.cache import DecisionCache, Trace
from mixer.engine.cache.trace import MAX_EFFECTS, MAX_READ_BYTES, MAX_READS
from mixer.proxywasm import LogLevel, MapType
from tests.engine.conftest import MakeEngine, Plugins, request
from tests.support import adapters as do
from tests.support.adapters import adapter

ALWAYS = {"valid-duration": "1h"}


def _decide(engine: Engine, asked: Request) -> Decision:
    engine.cache.in_use = True
    decision = engine.decide(asked)
    assert isinstance(decision, Decision)
    return decision


def _number(value: int) -> bytes:
    return struct.pack("<q", value)


@pytest.mark.parametrize("name", ["size", "total_size"])
def test_the_size_of_a_request_that_is_answered(
    make_engine: MakeEngine, plugins: Plugins, name: str
) -> None:
    """Once the headers are closed ``request.size`` tells how much of the body came in."""
    path = f"request\0{name}"
    is_three = do.where_property(path, _number(3), do.add_to_response("three", "1"))
    text = adapter(do.deny(), response_headers=[is_three])
    engine = make_engine(plugins.plugin("one", text, ALWAYS))
    three, four, again = (_decide(engine, request(body=b)) for b in (b"abc", b"abcd", b"abc"))
    assert three != four
    assert three == again
    assert engine.cache.stats.hits == 1


def test_zero_has_a_sign(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A module gets the bits of a floating-point number: 0.0 and -0.0 are two."""
    is_zero = do.where_property("number", struct.pack("<d", 0.0), do.deny())
    engine = make_engine(plugins.plugin("one", adapter(is_zero), ALWAYS))
    verdicts = [
        _decide(engine, request(attributes={"number": n})).verdict for n in (0.0, -0.0, 0.0)
    ]
    assert verdicts == ["deny", "allow", "deny"]


@pytest.mark.parametrize("name", ["kind", "m.kind"])
def test_what_is_a_map(make_engine: MakeEngine, plugins: Plugins, name: str) -> None:
    """Whether something is a map at all counts, not only what is in it."""
    is_without = do.where_true(f"!has({name}.a)", do.deny())
    engine = make_engine(plugins.plugin("one", adapter(is_without), ALWAYS))
    values: list[Any] = [{}, "text", {}]
    attributes = [{"kind": v, "m": {"kind": v}} for v in values]
    assert [_decide(engine, request(attributes=a)).verdict for a in attributes] == [
        "deny",
        "allow",
        "deny",
    ]


def test_null_is_not_absent(make_engine: MakeEngine, plugins: Plugins) -> None:
    """A key whose value is null can be asked for, though it has none."""
    there = do.where_true("m.a == null", do.deny())
    engine = make_engine(plugins.plugin("one", adapter(there), ALWAYS))
    verdicts = [
        _decide(engine, request(attributes={"m": m})).verdict
        for m in ({"a": None}, {}, {"a": None})
    ]
    assert verdicts == ["deny", "allow", "deny"]


def _with_fallback(host: str, attribute: str) -> Request:
    """A request of a front end that has an attribute of its own where the headers tell nothing."""

    class Source:
        headers = HeaderMap.of((":path", "/"), ("user-agent", host))

    resolvers = {
        **HTTP_RESOLVERS,
        "request.useragent": lambda s: HTTP_RESOLVERS["request.useragent"](s) or attribute,
    }
    return Request(Source.headers, AttributeBag(resolvers, Source()))


def test_what_a_removed_header_hid(make_engine: MakeEngine, plugins: Plugins) -> None:
    """An attribute may have another source where a header is gone: that one counts as well."""
    is_bot = do.where_property("request\0useragent", b"bot", do.deny())
    engine = make_engine(
        plugins.plugin("one", adapter(do.remove("user-agent")), ALWAYS),
        plugins.plugin("two", adapter(is_bot), ALWAYS),
    )
    verdicts = [
        _decide(engine, _with_fallback("x", told)).verdict for told in ("bot", "man", "bot", "man")
    ]
    assert verdicts == ["deny", "allow", "deny", "allow"]
    assert engine.cache.stats.hits == 2


def test_notes_are_bounded() -> None:
    """Modules that log, count and look up without end fill no memory with the notes of it."""
    trace = Trace()
    for number in range(10 * MAX_EFFECTS):
        trace.logged(lambda _level, _text: None, LogLevel.INFO, f"{number}")
    assert trace.volatile
    assert not trace.effects
    trace = Trace()
    for number in range(10 * MAX_READS):
        trace.saw_header(MapType.HTTP_REQUEST_HEADERS, b"%d" % number, None)
    assert trace.volatile
    assert not trace.reads
    trace = Trace()
    for number in range(4):
        name = b"%d" % number * (MAX_READ_BYTES // 2)
        trace.saw_header(MapType.HTTP_REQUEST_HEADERS, name, None)
    assert trace.volatile
    assert not trace.reads


def test_what_is_repeated_takes_room(make_engine: MakeEngine, plugins: Plugins) -> None:
    """Each use counts and logs again: what it takes to do so is kept, and counted."""

    def size(times: int) -> int:
        counts = [do.count("m", 1)] * times
        engine = make_engine(plugins.plugin(f"m{times}", adapter(*counts), ALWAYS))
        _decide(engine, request())
        return engine.cache.bytes

    assert size(100) > size(0) + 100 * 128


def test_names_of_what_was_read_take_room(make_engine: MakeEngine, plugins: Plugins) -> None:
    """What is looked up may be as long as a value, and counts as that."""
    name = "n" * 5000
    engine = make_engine(plugins.plugin("one", adapter(do.when(name)), ALWAYS))
    adapters = {a.name: a for a in engine.adapters}
    engine.cache = DecisionCache(DecisionCacheLimits(), adapters)
    _decide(engine, request())
    assert len(engine.cache) == 1
    assert engine.cache.bytes > len(name)
