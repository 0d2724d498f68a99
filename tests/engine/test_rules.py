"""Rules: what they do to the headers of requests that the adapters allowed."""

import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixer.attributes import HeaderMap, PairSource
from mixer.config import ConfigError
from mixer.engine import Decision, Engine, HeaderOperation, Operation, Request, Verdict
from mixer.engine.rules import Applied
from mixer.engine.rules.rules import change
from tests.engine.conftest import MakeEngine, Plugins, request
from tests.support import adapters as do
from tests.support.adapters import adapter
from tests.support.guest import http_stream

REPLACE, REMOVE, APPEND = Operation.REPLACE, Operation.REMOVE, Operation.APPEND


def rule(
    name: str = "r",
    match: str | None = None,
    *,
    request: list[dict[str, Any]] | None = None,
    response: list[dict[str, Any]] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """A MixerRule."""
    sides = {"requestHeaderOperations": request, "responseHeaderOperations": response}
    given = {"match": match, **sides}
    return {
        "apiVersion": "mixer.dev/v1alpha1",
        "kind": "MixerRule",
        "metadata": {"name": name},
        "spec": {k: v for k, v in given.items() if v is not None} | spec,
    }


def put(name: str, *values: str, operation: str = "REPLACE") -> dict[str, Any]:
    """An operation with values."""
    return {"name": name, "values": list(values), "operation": operation}


def decided(engine: Engine, asked: Request) -> Decision:
    """The decision, which is there at once."""
    decision = engine.decide(asked)
    assert isinstance(decision, Decision)
    return decision


def at(path: str, *headers: tuple[str, str], attributes: dict[str, Any] | None = None) -> Request:
    """A request for a path."""
    pairs = [(n.encode(), v.encode()) for n, v in ((":path", path), *headers)]
    stream = http_stream(pairs, attributes=attributes)
    return Request(headers=stream.request.headers, attributes=stream.attributes)


def changed(decision: Decision) -> dict[bytes, tuple[bytes, ...]]:
    """The whole difference of the request's headers."""
    return {one.name: one.values for one in decision.request_headers}


def test_operations_on_both_sides(make_engine: MakeEngine) -> None:
    """Each operation is told as it was said, and the request's are in the difference."""
    engine = make_engine(
        rule(
            request=[
                put("X-User", '"ann"'),
                put("x-tag", '"b"', operation="APPEND"),
                {"name": "x-debug", "operation": "REMOVE"},
            ],
            response=[put("x-served", "request.method"), {"name": "server", "operation": "REMOVE"}],
        )
    )
    asked = request((":method", "GET"), ("x-tag", "a"), ("x-debug", "1"), ("x-user", "eve"))
    decision = decided(engine, asked)
    assert decision.verdict is Verdict.ALLOW
    assert decision.request_operations == (
        HeaderOperation(b"x-user", b"ann"),
        HeaderOperation(b"x-tag", b"b", APPEND),
        HeaderOperation(b"x-debug", b"", REMOVE),
    )
    assert decision.response_operations == (
        HeaderOperation(b"x-served", b"GET"),
        HeaderOperation(b"server", b"", REMOVE),
    )
    assert changed(decision) == {b"x-user": (b"ann",), b"x-tag": (b"a", b"b"), b"x-debug": ()}


@pytest.mark.parametrize(
    ("match", "applies"),
    [
        (None, True),
        ('request.path.startsWith("/a")', True),
        ('request.path == "/b"', False),
        ('request.headers["x-go"] == "yes"', True),
        ('request.headers["x-absent"] == "yes"', False),
        ('request.headers["x-absent"] != "yes"', False),
        ('"x-absent" in request.headers', False),
        ('!("x-absent" in request.headers)', True),
        ('context_extensions["tenant"] in ["t1", "t2"]', True),
        ("has(request.referer)", False),
        ("request.size > 3", False),
        ("metadata.who", False),
        ('request.headers.all(name, name.matches("[a-z:-]+"))', True),
        ('request.headers.all(a, request.headers.all(b, "x".matches(a + b) || true))', True),
    ],
)
def test_a_rule_is_for_requests_for_which_its_match_is_true(
    make_engine: MakeEngine, match: str | None, applies: bool
) -> None:
    """Not for those for which it is false, no bool, or cannot be told."""
    engine = make_engine(rule(match=match, request=[put("x-a", '"1"')]))
    attributes = {"context_extensions": {"tenant": "t1"}, "metadata": {"who": "ann"}}
    decision = decided(engine, at("/a/b", ("x-go", "yes"), attributes=attributes))
    assert bool(decision.request_operations) is applies


def test_a_rule_that_takes_too_long_does_not_apply(make_engine: MakeEngine) -> None:
    """What one evaluation may take is bounded."""
    items = f"[{', '.join('1' * 40)}]"
    loops = f"{items}.all(a, {items}.all(b, {items}.all(c, a + b + c > 0)))"
    engine = make_engine(rule(match=loops, request=[put("x-a", '"1"')]))
    assert decided(engine, request()).request_operations == ()


def test_rules_are_applied_by_priority_and_name(make_engine: MakeEngine) -> None:
    """The last one wins where several replace one header."""
    engine = make_engine(
        rule("b", request=[put("x-a", '"b"')]),
        rule("first", request=[put("x-a", '"first"')], priority=5),
        rule("a", request=[put("x-a", '"a"')]),
    )
    decision = decided(engine, request())
    assert [one.value for one in decision.request_operations] == [b"first", b"a", b"b"]
    assert changed(decision) == {b"x-a": (b"b",)}


def test_the_answers_of_a_real_mixer(make_engine: MakeEngine) -> None:
    """What Mixer 1.3 put into the route directive, for the same rules and attributes.

    Each value is an operation of its own; one that cannot be evaluated or is empty is left out, and
    a rule whose match cannot be evaluated is not for the request.
    """
    engine = make_engine(
        rule(
            "zeta",
            'request.headers["x-go"] == "yes"',
            priority=3,
            request=[
                put("x-zeta", '"1"', '"2"'),
                put("X-Caps", 'request.headers["x-absent"]', '"after"'),
                put("x-empty", '""', "request.path"),
                {"name": "x-rm", "operation": "REMOVE"},
                put("x-app", '"a"', '"b"', operation="APPEND"),
            ],
            response=[{"name": "server", "operation": "REMOVE"}],
        ),
        rule(
            "alpha",
            "request.size > 10",
            priority=2,
            request=[put("x-zeta", '"from alpha"', operation="APPEND")],
        ),
        rule("always", request=[put("x-always", '"1"')]),
    )
    always = HeaderOperation(b"x-always", b"1")
    of_zeta = (
        HeaderOperation(b"x-zeta", b"1"),
        HeaderOperation(b"x-zeta", b"2"),
        HeaderOperation(b"x-caps", b"after"),
        HeaderOperation(b"x-empty", b"/p"),
        HeaderOperation(b"x-rm", b"", REMOVE),
        HeaderOperation(b"x-app", b"a", APPEND),
        HeaderOperation(b"x-app", b"b", APPEND),
    )
    of_alpha = HeaderOperation(b"x-zeta", b"from alpha", APPEND)
    server = HeaderOperation(b"server", b"", REMOVE)

    def asked(go: bool, **attributes: Any) -> Applied:
        headers = [("x-go", "yes")] if go else []
        size = {name.replace("_", "."): value for name, value in attributes.items()}
        decision = decided(engine, at("/p", *headers, attributes=size))
        return Applied(decision.request_operations, decision.response_operations)

    assert asked(go=False) == Applied((always,))
    assert asked(go=True) == Applied((*of_zeta, always), (server,))
    assert asked(go=True, request_size=5) == Applied((*of_zeta, always), (server,))
    assert asked(go=True, request_size=50) == Applied((*of_zeta, of_alpha, always), (server,))


def test_only_what_is_allowed_is_changed(make_engine: MakeEngine, plugins: Plugins) -> None:
    """No rule is applied to a denial or to an error."""
    engine = make_engine(
        plugins.plugin("a", adapter(do.when("x-deny", do.deny()), do.when("x-trap", do.trap))),
        rule(request=[put("x-a", '"1"')], response=[put("x-b", '"2"')]),
    )
    assert len(decided(engine, request()).request_operations) == 1
    for name, verdict in (("x-deny", Verdict.DENY), ("x-trap", Verdict.ERROR)):
        decision = decided(engine, request((name, "1")))
        assert decision.verdict is verdict
        assert (decision.request_operations, decision.response_operations) == ((), ())


def test_what_is_allowed_since_an_adapter_failed_open_is_changed(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """Allowed is allowed."""
    engine = make_engine(
        plugins.plugin("a", adapter(do.trap), failStrategy="FAIL_OPEN"),
        rule(request=[put("x-a", '"1"')]),
    )
    decision = decided(engine, request())
    assert (decision.failed_open, changed(decision)) == (("a",), {b"x-a": (b"1",)})


def test_rules_see_the_headers_as_the_adapters_left_them(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """And none sees what another rule does."""
    text = adapter(do.replace("x-user", "ann"), do.remove("x-gone"))
    engine = make_engine(
        plugins.plugin("a", text),
        rule("1", request=[put("x-user", '"eve"'), {"name": "x-gone", "operation": "REMOVE"}]),
        rule("2", 'request.headers["x-user"] == "ann"', request=[put("x-2", '"ann"')]),
        rule("3", '"x-gone" in request.headers', request=[put("x-3", '"gone"')]),
        rule("4", request=[put("x-4", 'request.headers["x-user"] + "!"')]),
    )
    decision = decided(engine, request(("x-user", "client"), ("x-gone", "1")))
    assert changed(decision) == {
        b"x-user": (b"eve",), b"x-gone": (), b"x-2": (b"ann",), b"x-4": (b"ann!",),
    }  # fmt: skip


def test_an_adapter_s_header_for_the_response_comes_first(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """What a rule says of the same name has the last word."""
    text = adapter(do.set_property("mixer.response_header.x-a", "adapter"))
    engine = make_engine(plugins.plugin("a", text), rule(response=[put("x-a", '"rule"')]))
    assert decided(engine, request()).response_operations == (
        HeaderOperation(b"x-a", b"adapter"),
        HeaderOperation(b"x-a", b"rule"),
    )


def test_the_own_value_of_a_client_can_be_kept_out(make_engine: MakeEngine) -> None:
    """With REMOVE first, no value is left where none can be computed."""
    engine = make_engine(
        rule(
            request=[
                {"name": "x-user", "operation": "REMOVE"},
                put("x-user", 'request.headers["x-subject"]'),
            ]
        )
    )
    assert changed(decided(engine, request(("x-user", "eve")))) == {b"x-user": ()}
    asked = request(("x-user", "eve"), ("x-subject", "ann"))
    assert changed(decided(engine, asked)) == {b"x-user": (b"ann",)}


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        (r'"a\r\nx-admin: 1"', "has a character that no header may have"),
        (r'"a\n"', "has a character that no header may have"),
        (r'"\x00"', "has a character that no header may have"),
        (r'"a\x1bb"', "has a character that no header may have"),
        ("metadata.number", "is no text"),
        ("metadata.long + metadata.long", "has more than 65536 bytes"),
    ],
)
def test_a_value_that_no_header_may_have_is_left_out(
    make_engine: MakeEngine, caplog: pytest.LogCaptureFixture, expression: str, why: str
) -> None:
    """It is told in the log, a few times, without the value."""
    engine = make_engine(rule(request=[put("x-a", expression), put("x-b", '"1"')]))
    metadata = {"number": 5, "long": "x" * 32_769}
    with caplog.at_level(logging.WARNING):
        for _ in range(20):
            decision = decided(engine, request(attributes={"metadata": metadata}))
            assert changed(decision) == {b"x-b": (b"1",)}
    assert caplog.messages == [f"rule r: a value of x-a {why}; left out"] * 5


def test_bytes_of_a_header_pass_as_they_are(make_engine: MakeEngine) -> None:
    """A value that is not UTF-8 is not changed on its way."""
    engine = make_engine(rule(request=[put("x-copy", 'request.headers["x-raw"]')]))
    asked = request()
    asked.headers.add(b"x-raw", b"caf\xe9\tx")
    assert changed(decided(engine, asked))[b"x-copy"] == (b"caf\xe9\tx",)


@pytest.mark.parametrize(
    ("spec", "field", "why"),
    [
        ({"match": "request.pth == '/'"}, "match", "undefined field 'pth'"),
        ({"match": "request.path"}, "match", "gives string, and must give a bool"),
        ({"match": "nosuch(1)"}, "match", "undeclared reference to 'nosuch'"),
        ({"match": "request.path =="}, "match", "Syntax error"),
        (
            {"request": [put("x", '"1"'), put("y", '"1"', "request.size")]},
            "requestHeaderOperations[1].values[1]",
            "gives int, and must give a string",
        ),
        (
            {"response": [put("x", "request.headers")]},
            "responseHeaderOperations[0].values[0]",
            "gives map",
        ),
        ({"match": "'" + "é" * 2050 + "' == ''"}, "match", "over 4096 bytes"),
    ],
)
def test_an_expression_that_is_wrong_refuses_the_configuration(
    make_engine: MakeEngine, plugins: Plugins, spec: dict[str, Any], field: str, why: str
) -> None:
    """Everything is told at once, with line and field; nothing is started."""
    spec = {"request": [put("x", '"1"')]} | spec
    with pytest.raises(ConfigError) as caught:
        make_engine(
            plugins.document("a", {"match": "nosuch.name"}),
            rule("good", request=[put("x", '"1"')]),
            rule("bad", **spec),
        )
    of_adapter, of_rule = caught.value.problems
    assert of_adapter.field == "metadata.annotations[mixer.dev/match]"
    assert of_rule.field == f"spec.{field}"
    assert why in of_rule.message
    assert of_rule.line > of_adapter.line > 1


@pytest.mark.parametrize(
    ("match", "runs"),
    [
        ('request.path == "/a"', True),
        ('request.path != "/a"', False),
        ('request.headers["x-absent"] == "yes"', True),
        ('request.headers["x-absent"] != "yes"', True),
        ('"x-absent" in request.headers && request.headers["x-absent"] == "yes"', False),
        ("request.size > 3", True),
        ("has(request.size) && request.size > 3", False),
        ("metadata.who", True),
    ],
)
def test_an_adapter_runs_unless_its_match_is_false(
    make_engine: MakeEngine, plugins: Plugins, match: str, runs: bool
) -> None:
    """What cannot be told excludes nothing: a missing attribute must not let a request through."""
    engine = make_engine(plugins.plugin("a", adapter(do.deny()), {"match": match}))
    attributes = {"metadata": {"who": "ann"}}
    decision = decided(engine, at("/a", attributes=attributes))
    assert decision.verdict is (Verdict.DENY if runs else Verdict.ALLOW)
    assert decision.adapters == (("a",) if runs else ())


def test_an_adapter_s_match_adds_to_its_selectors(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """Both must be for the request."""
    document = plugins.plugin(
        "a", adapter(), {"match": 'request.path == "/a"'}, match=[{"ports": [{"number": 80}]}]
    )
    engine = make_engine(document)
    for path, port, runs in (("/a", 80, 1), ("/b", 80, 0), ("/a", 81, 0)):
        decision = decided(engine, at(path, attributes={"destination.port": port}))
        assert len(decision.adapters) == runs


def test_an_adapter_s_match_sees_what_adapters_before_it_changed(
    make_engine: MakeEngine, plugins: Plugins
) -> None:
    """A first adapter can tell a second one what to do by a header."""
    engine = make_engine(
        plugins.plugin("a", adapter(do.add("x-check", "1")), priority=2),
        plugins.plugin("b", adapter(do.deny()), {"match": '"x-check" in request.headers'}),
    )
    assert decided(engine, request()).adapters == ("a", "b")


_NAMES = st.sampled_from(["x-a", "x-b", "x-c", ":path"])
_PAIRS = st.lists(st.tuples(_NAMES, st.sampled_from(["1", "2", "3"])), max_size=6)
_OPERATIONS = st.lists(
    st.tuples(_NAMES, st.sampled_from(["4", "5", "6"]), st.sampled_from(list(Operation))),
    max_size=8,
)


def _naive(pairs: list[tuple[str, str]], operations: list[Any]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    for name, value, operation in operations:
        kept = values.setdefault(name, []) if operation is APPEND else []
        values[name] = kept if operation is REMOVE else [*kept, value]
    return values


@given(_PAIRS, _OPERATIONS)
def test_operations_over_a_header_map_are_those_of_a_naive_model(
    pairs: list[tuple[str, str]], operations: list[tuple[str, str, Operation]]
) -> None:
    """Any operations on any headers, duplicates included, whichever way the map notes them."""
    headers = HeaderMap(PairSource([(n.encode(), v.encode()) for n, v in pairs]))
    change(headers, [HeaderOperation(n.encode(), v.encode(), o) for n, v, o in operations])
    expected = _naive(pairs, operations)
    for name, values in expected.items():
        assert headers.all(name.encode()) == tuple(v.encode() for v in values)
    before = _naive(pairs, [])
    found = {one.name.decode(): [v.decode() for v in one.values] for one in headers.changes()}
    assert found == {n: v for n, v in expected.items() if v != before.get(n, [])}
